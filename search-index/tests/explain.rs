//! Why a hit has its score: one promise a test.

use std::sync::Arc;

use search_index::{
    AttributeValue, Boost, DocKey, Document, Filter, Index, Live, Matching, Pin, Query, Results, ScoreOf, Settings, Signals, Sort, Synonym,
    Synonyms, merge,
};

fn document(key: u64, title: &str, description: &str) -> Document {
    Document { title: title.into(), description: description.into(), ..Document::new(DocKey(key)) }
}

fn asked(text: &str) -> Query {
    Query { text: Some(text.into()), explain: true, ..Query::default() }
}

const STOCK: Option<Live<'static>> = Some(&|key| key.0.is_multiple_of(2));

fn results(documents: &[Document], query: &Query) -> Results {
    // In segments and in the head alike.
    let whole = Index::build(Settings { head_rows_max: 1, ..Settings::default() }, documents.iter().cloned()).expect("a few");
    assert_eq!(whole.layout().head_rows, 0);
    let mut head = Index::new(Settings::default());
    documents.iter().for_each(|document| assert!(head.upsert(document).is_ok()));
    let found = whole.search(query, STOCK).expect("within bounds");
    assert_eq!(head.search(query, STOCK).expect("within bounds").explanations, found.explanations);
    for (hit, (key, explanation)) in found.hits.iter().zip(&found.explanations) {
        let sum: f32 = explanation.parts.iter().map(|part| part.score).sum();
        assert_eq!(hit.key, *key);
        assert!((sum - hit.score).abs() < 1e-4, "{sum} is not {}: {explanation:?}", hit.score);
        assert!(explanation.parts.iter().all(|part| part.score != 0.0), "{explanation:?}");
    }
    found
}

/// Of the only document, or the first hit.
fn why(documents: &[Document], query: &Query) -> Vec<ScoreOf> {
    let explanation = results(documents, query).explanations.swap_remove(0).1;
    explanation.parts.into_iter().map(|part| part.what).collect()
}

fn word(typed: &str, found: Option<&str>) -> ScoreOf {
    ScoreOf::Word { typed: typed.into(), found: found.map(Into::into) }
}

fn title(word: &str) -> ScoreOf {
    ScoreOf::TitleAsTyped { word: word.into() }
}

#[test] // Title and description, the text of a query, and what is said.
fn words_are_explained_by_what_was_found() {
    let rows: [(&str, &str, &str, Vec<ScoreOf>); 11] = [
        ("Desk lamp", "", "lamp", vec![word("lamp", None), title("lamp")]),
        ("Desk lamp", "", "LÁMP desk", vec![word("lamp", None), word("desk", None), title("lamp"), title("desk")]),
        ("Desk lamp", "", "lamps", vec![word("lamps", None)]), // another form of the same word is no other word
        ("A thing", "a lamp", "lamp", vec![word("lamp", None)]),
        ("Desk lamp", "", "lamp zebra", vec![word("lamp", None), title("lamp")]),
        ("Desk lamp", "", "lapm", vec![word("lapm", Some("lamp")), title("lamp")]),
        ("Smartwatch", "", "smart watch", vec![word("smart", Some("smartwatch")), word("watch", Some("smartwatch"))]),
        (
            "Stand for an ipad",
            "",
            "ipadstand",
            vec![word("ipadstand", Some("ipad")), word("ipadstand", Some("stand")), title("ipad"), title("stand")],
        ),
        ("HP 80 ink", "", "hp80", vec![word("hp80", Some("hp")), word("hp80", Some("80")), title("hp"), title("80")]),
        ("Feeder for sheets", "", "for feeder", vec![word("feeder", None), title("feeder"), ScoreOf::StopWord { word: "for".into() }]),
        ("Desk lamp", "", "\"desk lamp\" -zebra", vec![word("desk", None), word("lamp", None), title("desk"), title("lamp")]),
    ];
    for (of, description, text, wanted) in rows {
        assert_eq!(why(&[document(1, of, description)], &asked(text)), wanted, "{of}, {text}");
    }
}

#[test]
fn a_longer_word_is_named() {
    let query = Query { prefix: true, ..asked("lam") };
    assert_eq!(why(&[document(1, "Desk lamp", "")], &query), [word("lam", Some("lamp"))]);
    // What was typed counts for more where both are there.
    assert_eq!(why(&[document(1, "Lam and lamp", "")], &query), [word("lam", None), title("lam")]);
}

#[test]
fn a_synonym_is_named() {
    let rule = Synonym { typed: vec!["usb stick".into()], found: vec!["flash drive".into(), "pendrive".into()] };
    let query = Query { synonyms: Arc::new(Synonyms::new(&[rule]).expect("within bounds")), ..asked("usb stick") };
    let both = |found| vec![word("usb", Some(found)), word("stick", Some(found))];
    assert_eq!(why(&[document(1, "Flash drive", "")], &query), both("flash drive"));
    assert_eq!(why(&[document(1, "A pendrive", "")], &query), both("pendriv"), "as the dictionary has it");
    // Of equals it is what was typed.
    let typed = [word("usb", None), word("stick", None), title("usb"), title("stick")];
    assert_eq!(why(&[document(1, "A usb stick or a flash drive", "")], &query), typed);
    // What does not stand side by side is no way to say it, however much it weighs.
    let apart = document(
        1,
        "Drive to flash",
        "a pendrive, with room for all that one may want to have along on the way from here to there and back",
    );
    assert_eq!(why(&[apart], &query), both("pendriv"));
    // Of several the one that counts: here the one in the title.
    let long = "as good as a flash drive, with room for all that one may want to have along on the way from here to there and back";
    assert_eq!(why(&[document(1, "A pendrive", long)], &query), both("pendriv"));
}

#[test]
fn what_a_title_is_about_is_said() {
    // Learnt from a thousand titles.
    let many = (0..1_200).map(|key| document(key + 10, if key % 2 == 0 { "Monitor" } else { "Arm for a monitor" }, ""));
    let documents: Vec<Document> = many.chain([document(1, "Monitor of brass", "")]).collect();
    let query = Query { matching: Matching::All, ..asked("monitor brass") };
    let index = Index::build(Settings::default(), documents).expect("within bounds");
    let found = index.search(&query, None).expect("within bounds");
    let what: Vec<&ScoreOf> = found.explanations[0].1.parts.iter().map(|part| &part.what).collect();
    assert!(what.iter().any(|what| matches!(what, ScoreOf::About { .. })), "{what:?}");
}

#[test]
fn categories_come_with_their_keys() {
    let shoes = Document { category: vec!["wear".into(), "wear/casual shoes".into()], ..document(1, "Sneakers", "casual shoes") };
    let wanted = [word("casual", None), word("shoes", None), ScoreOf::Category { name: "wear/casual shoes".into() }];
    assert_eq!(why(&[shoes], &asked("casual shoes")), wanted);
}

#[test] // An attribute, a query, and the type that it names.
fn types_of_product_come_as_they_are_written() {
    let ways = |text: &str| vec![text.to_owned(), "notebook".to_owned()];
    let rules = [("laptop", "notebook"), ("portable computer", "notebook")];
    let rules = rules.map(|(text, found)| Synonym { typed: ways(text), found: vec![found.into()] });
    let synonyms = Arc::new(Synonyms::new(&rules).expect("within bounds"));
    for (attribute, text, wanted) in [
        ("product_type", "notebooks", Some("Notebook")),
        ("Product Type", "notebook", Some("Notebook")),
        ("t_productType", "cheap notebook", Some("Notebook")),
        ("type", "notebook", None),
        ("product_type_of_case", "notebook", None),
        ("product_type", "laptop", Some("Notebook")),
        ("product_type", "portable computers", Some("Notebook")),
        ("product_type", "portable", None),
        ("product_type", "ntoebook", Some("Notebook")),
    ] {
        let attributes = vec![(attribute.to_owned(), AttributeValue::Text("Notebook".into()))];
        let document = Document { attributes, ..document(1, "Acme 5 notebook, cheap and portable, a computer", "") };
        let query = Query { synonyms: synonyms.clone(), ..asked(text) };
        let found = why(&[document], &query).into_iter().find_map(|what| match what {
            ScoreOf::ProductType { name } => Some(name),
            _ => None,
        });
        assert_eq!(found.as_deref(), wanted, "{attribute}, {text}");
    }
}

#[test]
fn boosts_come_with_what_each_changed() {
    let boost = |min, percent| Boost { filter: Filter::Price { min: Some(min), max: None }, percent };
    let lamp = Document { price: Some(100), ..document(1, "Lamp", "") };
    let scores = |boosts: &[(i64, i16)]| {
        let boosts = boosts.iter().map(|(min, percent)| boost(*min, *percent)).collect();
        let query = Query { boosts, ..asked("lamp") };
        let parts = results(std::slice::from_ref(&lamp), &query).explanations.swap_remove(0).1.parts;
        let of_boost = |part: &search_index::ScorePart| match part.what {
            ScoreOf::Boost { nth } => Some((nth, part.score)),
            _ => None,
        };
        parts.iter().filter_map(of_boost).collect::<Vec<_>>()
    };
    let one = scores(&[(0, 100)])[0].1;
    let is = |found: &[(usize, f32)], wanted: &[(usize, f32)]| {
        let near = |(a, b): (&(usize, f32), &(usize, f32))| a.0 == b.0 && (a.1 - b.1 * one).abs() < 1e-3;
        assert!(found.len() == wanted.len() && found.iter().zip(wanted).all(near), "{found:?} is not {wanted:?} times {one}");
    };
    is(&scores(&[(0, 100), (500, 100), (0, 50)]), &[(0, 1.0), (2, 0.5)]); // one is about others
    is(&scores(&[(0, 300), (0, 300), (0, 10)]), &[(0, 3.0), (1, 1.0)]); // together no more than one can give
    is(&scores(&[(0, 50), (0, -10)]), &[(0, 0.5), (1, -0.1)]);
    let all = scores(&[(0, -400), (0, 10)]);
    assert!(all.len() == 1 && all[0].0 == 0 && all[0].1 > -4.0 * one, "no more than there was: {all:?}");
}

#[test]
fn signals_come_last() {
    let lamp = |key| Document { popularity: 9, rating: Some(400), margin: 30, ..document(key, "A thing", "lamp") };
    let query = Query { signals: Signals { popularity: 10, rating: 10, in_stock: 10, margin: 10 }, ..asked("lamp") };
    let wanted = [word("lamp", None), ScoreOf::Popularity, ScoreOf::Rating, ScoreOf::InStock, ScoreOf::Margin];
    assert_eq!(why(&[lamp(2)], &query), wanted);
    let not_in_stock: Vec<ScoreOf> = wanted.into_iter().filter(|what| *what != ScoreOf::InStock).collect();
    assert_eq!(why(&[lamp(1)], &query), not_in_stock);
}

#[test]
fn every_hit_of_the_page_is_explained_and_no_other() {
    let documents: Vec<Document> = (1..=9).map(|key| document(key, "Lamp", "")).chain([document(10, "Desk", "")]).collect();
    let pins = vec![Pin { place: 1, key: DocKey(10) }, Pin { place: 2, key: DocKey(7) }];
    for sort in [Sort::Relevance, Sort::Price] {
        let query = Query { limit: 4, pins: pins.clone(), sort, ..asked("lamp") };
        let found = results(&documents, &query);
        assert_eq!(found.explanations.len(), 4);
        let later = results(&documents, &Query { after: found.next, ..query.clone() });
        assert_eq!(later.explanations.len(), 4);
        assert_eq!(results(&documents, &Query { explain: false, ..query.clone() }).explanations, []);
        // A pinned document without any of the words has its score of nothing.
        let of_pin = found.explanations.iter().chain(&later.explanations).find(|(key, _)| *key == DocKey(10));
        assert!(sort == Sort::Price || of_pin.is_some_and(|(_, explanation)| explanation.parts.is_empty()));
        // Nor does asking change anything else.
        let silent = results(&documents, &Query { explain: false, ..query });
        assert_eq!((silent.hits, silent.next), (found.hits, found.next));
    }
    let all = results(&documents, &Query { text: None, ..asked("") });
    assert!(all.explanations.len() == 10 && all.explanations.iter().all(|(_, explanation)| explanation.parts.is_empty()));
}

#[test]
fn several_indexes_answer_as_one() {
    let halves = [1_u64, 2].map(|first| {
        let documents = (0..5).map(|nth| document(first + 2 * nth, if nth % 2 == 0 { "Lamp" } else { "Lamp of brass" }, ""));
        Index::build(Settings::default(), documents).expect("a few")
    });
    let query = Query { limit: 6, ..asked("lamp") };
    let found = merge(halves.iter().map(|index| index.search_part(&query, None).expect("within bounds")).collect(), &query);
    assert_eq!(
        found.explanations.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
        found.hits.iter().map(|hit| hit.key).collect::<Vec<_>>()
    );
    assert_eq!(found.explanations[5].1.parts[0].what, word("lamp", None));
}
