//! Texts in many languages and scripts: what finds them, what lights up, what is suggested, and that no text of any kind breaks anything.

use std::sync::Arc;

use proptest::prelude::*;
use search_index::{
    DocKey, Document, Index, Language, Matching, Pattern, PatternKind, QUERY_BYTES_MAX, Query, QueryError, Settings, Synonym, SynonymError,
    Synonyms, TERMS_MAX, Typed,
};

fn index(language: Language, titles: &[&str]) -> Index {
    let document = |(title, key): (&&str, u64)| Document { title: (*title).into(), ..Document::new(DocKey(key)) };
    Index::build(Settings { language, ..Settings::default() }, titles.iter().zip(1..).map(document)).expect("a few")
}

fn in_code(code: &str, titles: &[&str]) -> Index {
    index(code.parse().expect("known"), titles)
}

fn asked(text: &str) -> Query {
    Query { text: Some(text.into()), matching: Matching::All, typos: false, ..Query::default() }
}

/// Keys in order, those with all words.
fn keys(index: &Index, query: &Query) -> Vec<u64> {
    index.search(query, None).expect("within bounds").hits.into_iter().map(|hit| hit.key.0).collect()
}

#[test] // Language; title; queries that find it, and some that do not.
fn what_finds_a_title() {
    for (code, title, found_by, not_by) in [
        ("de", "Kopfhörer für Mädchen", "Kopfhoerer|kopfhorer madchen|Maedchen|kopfhörer für das mädchen", "made|hörer"),
        ("de", "Schreibtischlampen aus Holz", "schreibtischlampe|holz schreibtischlampe", "lampe"),
        (
            "fr",
            "Cartouche d'encre pour l’imprimante",
            "encre|cartouches d'encre|dencre|cartouche encre imprimantes|\"d'encre\"",
            "dimprimante",
        ),
        ("fr", "Parfum L'Oréal Paris", "loreal|l'oreal|oréal|L’ORÉAL", "oral"),
        ("fr", "Housse pour ordinateur portable", "housses d'ordinateur|l'ordinateur", "ordre"),
        ("it", "Olio d'oliva dell'Umbria", "olio oliva|olio d'oliva umbria|doliva", "dumbria"),
        ("es", "Cámaras fotográficas", "camara|cámara fotografica|la cámara", "camarero"),
        ("sv", "Påsar i papper", "påse|pase|papperspåsar papper", "post"),
        ("ru", "Электрические чайники для кухни", "чайник|электрический чайник|кухня", "чай"),
        ("en", "Men's lamps", "lamp|mens|the lamp for men", "lambs"),
        ("none", "Lamps for a desk", "lamps|for lamps", "lamp"),
        ("en", "ワイヤレスイヤホン 黒", "ワイヤレス|イヤホン|ワイヤレス イヤホン|ｲﾔﾎﾝ|黒|ホン", "黒人|イヤフォン"),
        ("en", "プリンター用インク", "プリンタ インク|インク|プリンター用|用", "プリインク"),
        ("de", "日本語の本棚と食べ物", "日本語|本棚|語|食べ物|食|本 棚", "日語|大本"),
        ("fr", "无线蓝牙耳机 Sony WH-1000XM4", "蓝牙|耳机 sony|无线耳机 wh1000xm4|牙|\"蓝牙耳机\"", "蓝耳|\"无线耳机\""),
        ("en", "무선이어폰 케이스", "무선 이어폰|이어폰 케이스|케이스", "이폰"),
        ("en", "เครื่องพิมพ์เลเซอร์", "เครื่องพิมพ์|เลเซอร์|พิมพ์", "เครื่องเลพิมพ์"),
        ("en", "LED電球10個セット", "led 電球|電球|10 個|セット", "電灯"),
    ] {
        let index = in_code(code, &[title, "something else"]);
        for query in found_by.split('|') {
            // A word that is nowhere is in a query of several by what the others find.
            let (query, found) = match query {
                "papperspåsar papper" | "无线耳机 wh1000xm4" => (Query { matching: Matching::AllThenAny, ..asked(query) }, vec![1]),
                query => (asked(query), vec![1]),
            };
            assert_eq!(keys(&index, &query), found, "{code} {title}: {query:?}");
        }
        for query in not_by.split('|') {
            assert_eq!(keys(&index, &asked(query)), [0; 0], "{code} {title}: {query}");
        }
    }
}

#[test] // Language; two things; the word between them, behind which stands what a thing is for.
fn what_a_thing_is_for_comes_behind_a_preposition() {
    for (code, thing, other, between) in
        [("de", "tasche", "monitor", "für"), ("fr", "sac", "sport", "de"), ("fr", "sac", "encre", "d'"), ("es", "funda", "móvil", "para")]
    {
        // A thousand titles teach what is a noun.
        let fill = (0..1_200).map(|nth| [thing, other, "abc"][if nth % 50 < 2 { nth % 50 } else { 2 }].to_owned());
        let titles = [format!("{other} {between} {thing}"), format!("{thing} {between} {other}")].into_iter().chain(fill);
        let titles: Vec<String> = titles.map(|title| title.replace("' ", "'")).collect();
        let index = in_code(code, &titles.iter().map(String::as_str).collect::<Vec<_>>());
        let found = keys(&index, &Query { limit: 100, ..asked(thing) });
        let place = |key: u64| found.iter().position(|other| *other == key);
        assert!(place(2) < place(1) && place(2).is_some(), "{code} {thing} {between} {other}");
    }
}

#[test] // Query; text with what lights up in brackets.
fn what_is_found_lights_up() {
    for (code, query, marked) in [
        ("en", "日本語", "[日本語]の本、[日本]人"),
        ("en", "本", "日[本]語の[本]棚"),
        ("en", "プリンタ", "[プリンタ]ーとHPの[ﾌﾟﾘﾝﾀ]ｰ"),
        ("en", "HP プリンター", "[HP][プリンター]用"),
        ("en", "耳机", "无线[耳机]，蓝牙[耳机]"),
        ("en", "무선 이어폰", "[무선][이어폰] 케이스"),
        ("en", "พิมพ์", "เครื่อง[พิมพ์]เลเซอร์"),
        ("en", "น้ำ", "ขวด[น้ำ]ดื่ม"),
        ("en", "8gb メモリ", "[8] [GB] [メモリ]"),
        ("fr", "encre", "Cartouche d'[encre] et d’[encre]"),
        ("fr", "loreal", "Parfum [L'][Oréal]"),
        ("de", "kopfhoerer", "Die [Kopfhörer]"),
    ] {
        let text = marked.replace(['[', ']'], "").replace("무선이어폰", "무선 이어폰");
        let marked = marked.replace("][이어폰", "] [이어폰");
        let mut shown = text.clone();
        let index = in_code(code, &[&text]);
        for range in index.highlighter(&asked(query)).expect("short").ranges(&text).into_iter().rev() {
            shown.insert(range.end, ']');
            shown.insert(range.start, '[');
        }
        assert_eq!(shown, marked, "{code} {query}");
    }
}

#[test] // Text being typed; completions with their counts.
fn what_is_typed_goes_on() {
    let cjk = in_code("en", &["手机 壳", "手机", "手表", "プリンター", "プリン", "黒いプリンター", "Sony 耳机"]);
    for (text, wanted) in [
        ("手", "手机 2, 手表 1"),
        ("手机", "手机 2"),
        ("プリ", "プリ 3, プリン 3"),
        ("プリンタ", "プリンタ 2, プリンター 2"),
        ("sony 耳", "sony 耳机 1"),
        ("電", ""),
        ("手電", ""),
    ] {
        let found = cjk.suggest(text, 9);
        let shown: Vec<String> = found.completions.iter().map(|found| format!("{} {}", found.text, found.count)).collect();
        assert_eq!(shown.join(", "), wanted, "{text}");
        assert_eq!(found.products.is_empty(), wanted.is_empty(), "{text}");
    }
    let french = in_code("fr", &["Cartouche d'encre", "Encre noire"]);
    assert_eq!(french.suggest("d'enc", 9).completions[0].text, "d'encre");
    assert_eq!(in_code("de", &["Kopfhörer"]).suggest("Kopfhö", 9).completions[0].text, "kopfhorer");
}

#[test]
fn what_was_meant_is_said() {
    let said = |code: &str, title: &str, text: &str| {
        let query = Query { did_you_mean: true, typos: true, ..asked(text) };
        in_code(code, &[title]).search(&query, None).expect("within bounds").did_you_mean
    };
    assert_eq!(said("fr", "Cartouche d'encre", "l'ecnre").as_deref(), Some("l'encre"));
    assert_eq!(said("de", "Kopfhörer", "Kopfhöerr").as_deref(), Some("kopfhorer"));
    assert_eq!(said("en", "日本語の本棚", "日木語の本棚"), None, "a character is no slip");
    assert_eq!(keys(&in_code("en", &["プリンター"]), &Query { typos: true, ..asked("プリソター") }), [0; 0]);
}

#[test]
fn synonyms_and_rules_are_in_the_language_too() {
    let ways: Vec<String> = ["Handy", "Mobiltelefone"].map(String::from).into();
    let rules = [Synonym { typed: ways.clone(), found: ways }];
    let synonyms = Arc::new(Synonyms::in_language(Language::German, &rules).expect("within bounds"));
    let index = in_code("de", &["Mobiltelefon", "Lampe"]);
    assert_eq!(keys(&index, &Query { synonyms, ..asked("handy") }), [1]);
    let pattern = Pattern::in_language(Language::German, "Mädchen Kopfhörer", PatternKind::Is).expect("within bounds");
    assert!(pattern.matches(&Typed::in_language(Language::German, "kopfhoerer für maedchen", &[])));

    let ways: Vec<String> = ["ワイヤレスイヤホン", "蓝牙耳机"].map(String::from).into();
    let rule = Synonym { typed: ways.clone(), found: ways };
    let synonyms = Arc::new(Synonyms::new([&rule]).expect("within bounds"));
    let index = in_code("en", &["ワイヤレスイヤホン", "ワイヤレス 充電", "蓝牙耳机", "耳机 蓝牙"]);
    let mut found = keys(&index, &Query { synonyms, ..asked("ワイヤレスイヤホン") });
    found.sort_unstable();
    assert_eq!(found, [1, 3]);
    let long = Synonym { typed: vec!["猫".repeat(18)], found: vec!["a".into()] };
    assert_eq!(Synonyms::new([&long]), Err(SynonymError::TooManyPairs { text: "猫".repeat(18), len: 17 }));
}

#[test] // A sentence without spaces has more pairs than a query may have words.
fn long_sentences_are_taken() {
    let sentence: String = ('一'..).take(64).collect();
    let index = in_code("en", &[&sentence, "一丁"]);
    for len in [1, 2, 33, 34, 35, 63, 64] {
        let text: String = sentence.chars().take(len).collect();
        assert!(keys(&index, &asked(&text)).contains(&1), "{len}");
    }
    let text: String = ('一'..).take(65).collect();
    assert_eq!(index.search(&asked(&text), None).expect_err("over the bound"), QueryError::TooManyTerms { len: TERMS_MAX + 1 });
}

#[test] // Folders of categories are called by words of the language.
fn categories_are_called_so() {
    let document =
        |key: u64, category: &str| Document {
            title: "ソファ couch".into(), category: vec![category.into()], ..Document::new(DocKey(key))
        };
    for (code, query, category) in [("de", "couch für mädchen", "x/Mädchen"), ("en", "ソファ 子供用家具", "x/子供用家具")] {
        let settings = Settings { language: code.parse().expect("known"), ..Settings::default() };
        let documents = [document(1, "other"), document(2, category)];
        let index = Index::build(settings, documents).expect("a few");
        assert_eq!(keys(&index, &Query { matching: Matching::Any, ..asked(query) }), [2, 1], "{code}");
    }
}

/// Texts of letters that some language does something with, and of any.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-zäöüßéèêçñåøæœ'’-]{1,12}",
        1 => "[а-яё]{1,10}(ый|ой|ого|ами)?",
        1 => "[α-ωάέή]{1,10}(ς|ες)?",
        1 => "[\u{621}-\u{652}]{1,8}",
        2 => "[日本語々ー食べ物の茶]{1,8}",
        1 => "[アイプリンター゛ﾌﾟﾘﾝﾀ\u{3099}]{1,8}",
        1 => "[가-힣각]{1,6}",
        1 => "[ก-๎ຂ-ໆក-៓က-၀]{1,10}",
        1 => "[0-9]{1,4}(gb|個|\\.5)?",
        1 => ".{0,12}",
    ];
    prop::collection::vec(word, 0..8).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn any_text_in_any_language_is_taken(texts in prop::collection::vec(text(), 1..5), query in text(), prefix in any::<bool>()) {
        for language in Language::ALL {
            let titles: Vec<&str> = texts.iter().map(String::as_str).collect();
            let index = index(language, &titles);
            for text in [&query, &texts[0], &format!("\"{query}\""), &format!("-{query}")] {
                let query = Query { prefix, did_you_mean: true, explain: true, typos: true, ..asked(text) };
                match index.search(&query, None) {
                    Ok(_) => {
                        let _ = Pattern::in_language(language, text, PatternKind::Contains);
                        let marked = index.highlighter(&query).expect("as the search took it");
                        for title in &titles {
                            let ranges = marked.ranges(title);
                            prop_assert!(ranges.windows(2).all(|two| two[0].end <= two[1].start), "{:?}", ranges);
                            prop_assert!(ranges.iter().all(|range| title.get(range.clone()).is_some_and(|word| !word.is_empty())), "{:?}", ranges);
                        }
                    }
                    Err(QueryError::TooManyTerms { .. } | QueryError::TooManyOperators { .. }) => {}
                    Err(error) => prop_assert!(text.len() > QUERY_BYTES_MAX, "{}", error),
                }
                let _ = index.suggest(text, 5);
            }
        }
    }

    #[test] // What is typed as it stands in a title finds it, and all of it lights up that is in letters.
    fn every_title_finds_itself(title in text()) {
        for language in Language::ALL {
            let index = index(language, &[&title]);
            let query = asked(&title.replace(['"', '-', '“', '”', '„'], " "));
            let has_words = index.highlighter(&query).is_ok_and(|marked| !marked.ranges(&title).is_empty());
            match index.search(&query, None) {
                Ok(found) => prop_assert!(!found.hits.is_empty() || !has_words, "{} {}", language, title),
                Err(QueryError::TooManyTerms { .. }) => {}
                Err(error) => prop_assert!(title.len() > QUERY_BYTES_MAX, "{}", error),
            }
        }
    }
}

#[test] // `redde` would be a form of `red`: that a title has this one says nothing of the other word.
fn a_word_with_what_would_be_an_ending_is_no_word_of_both() {
    let index = in_code("nl", &["red lamp", "smartwatch"]);
    for (text, prefix) in [("red de", true), ("smart watch", false)] {
        let query = Query { prefix, ..asked(text) };
        assert_eq!(keys(&index, &query), if prefix { vec![] } else { vec![2] }, "{text}");
    }
}
