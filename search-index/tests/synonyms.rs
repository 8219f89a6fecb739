//! What synonyms find, one promise a test.

use std::sync::Arc;

use search_index::{DocKey, Document, Index, Matching, Query, Settings, Sort, Synonym, Synonyms, merge, misjudged};

fn titled(key: u64, title: &str) -> Document {
    Document { title: title.into(), ..Document::new(DocKey(key)) }
}

fn index(titles: &[&str]) -> Index {
    Index::build(Settings::default(), titles.iter().zip(1..).map(|(title, key)| titled(key, title))).expect("titles are short")
}

/// Rules as `typed, typed > found, found`, or `way = way, way` for all of each other.
fn synonyms(rules: &[&str]) -> Arc<Synonyms> {
    let ways = |side: &str| side.split(',').map(|way| way.trim().to_owned()).collect::<Vec<_>>();
    let rules: Vec<Synonym> = rules
        .iter()
        .map(|rule| match rule.split_once('>') {
            Some((typed, found)) => Synonym { typed: ways(typed), found: ways(found) },
            None => Synonym { typed: ways(&rule.replace('=', ",")), found: ways(&rule.replace('=', ",")) },
        })
        .collect();
    Arc::new(Synonyms::new(&rules).expect("within bounds"))
}

fn asked(text: &str, rules: &[&str]) -> Query {
    Query { text: Some(text.into()), synonyms: synonyms(rules), matching: Matching::All, ..Query::default() }
}

/// Keys in order.
fn keys(index: &Index, query: &Query) -> Vec<u64> {
    index.search(query, None).expect("within bounds").hits.iter().map(|hit| hit.key.0).collect()
}

/// Keys ascending.
fn found(index: &Index, query: &Query) -> Vec<u64> {
    let mut keys = keys(index, query);
    keys.sort_unstable();
    keys
}

const TITLES: [&str; 8] = [
    "USB stick, 64 GB",               // 1
    "Flash drive, 64 GB",             // 2
    "Pendrive",                       // 3
    "A drive for camera and a flash", // 4
    "Stick of wood",                  // 5
    "Television set",                 // 6
    "TV set",                         // 7
    "Telly",                          // 8
];

#[test] // Query, rules, what all words find. The head and segments say the same.
fn ways_to_say_it_are_found() {
    let built = index(&TITLES);
    let mut written = Index::new(Settings { head_rows_max: 100, ..Settings::default() });
    for (title, key) in TITLES.iter().zip(1..) {
        written.upsert(&titled(key, title)).expect("short");
    }
    let rows: [(&str, &[&str], &[u64]); 22] = [
        ("usb stick", &[], &[1]),
        ("usb stick", &["usb stick = flash drive = pendrive"], &[1, 2, 3]),
        ("USB-Sticks", &["usb stick = flash drive = pendrive"], &[1, 2, 3]),
        ("flash drives", &["usb stick = flash drive = pendrive"], &[1, 2, 3, 4]),
        ("pendrive", &["usb stick = flash drive = pendrive"], &[1, 2, 3]),
        ("usb stick", &["usb stick > pendrive"], &[1, 3]),
        ("pendrive", &["usb stick > pendrive"], &[3]), // one way only
        ("usb stick 64", &["usb stick > flash drive"], &[1, 2]),
        ("stick usb", &["usb stick > pendrive"], &[1]),    // another order says something else
        ("usb 64 stick", &["usb stick > pendrive"], &[1]), // these are no neighbours
        ("the usb of stick", &["usb stick > pendrive"], &[1, 3]),
        ("stick", &["usb stick > pendrive"], &[1, 5]), // not the whole of it
        ("stick", &["stick > usb"], &[1, 5]),
        ("stick", &["stick > TELLY, Sets"], &[1, 5, 6, 7, 8]),
        ("tv", &["tv > television", "television > telly"], &[6, 7]), // rules are not followed twice
        ("tv", &["tv > television", "tv > telly"], &[6, 7, 8]),
        ("gogglebox", &["gogglebox > tv"], &[7]),
        ("gogglebox set", &["gogglebox > television, tv"], &[6, 7]),
        ("camera", &["camera > flash drive"], &[2, 4]),
        ("camera", &["camera > drive for camera"], &[4]), // stop words stand there too
        ("camera", &["camera > drive camera"], &[4]),
        ("\"usb stick\"", &["usb stick > pendrive"], &[1]),
    ];
    for (text, rules, wanted) in rows {
        for index in [&built, &written] {
            let mut query = asked(text, rules);
            assert_eq!(found(index, &query), wanted, "{text} by {rules:?}");
            (query.sort, query.total) = (Sort::Newest, true);
            assert_eq!(found(index, &query), wanted, "{text} by {rules:?}, counted");
            assert_eq!(index.search(&query, None).expect("within bounds").total, Some(wanted.len() as u64));
        }
    }
}

#[test]
fn forbidden_words_know_none() {
    let index = index(&TITLES);
    assert_eq!(found(&index, &asked("set -tv", &["tv = television"])), [6]);
}

#[test]
fn a_word_that_has_a_synonym_is_not_misspelt() {
    let index = index(&["Lamp", "Lantern", "Lamb", "Foot stool"]);
    assert_eq!(found(&index, &asked("lamq", &[])), [1, 3], "what is a slip away");
    assert_eq!(found(&index, &asked("lamq", &["lamq > lantern"])), [2]);
    assert_eq!(found(&index, &asked("footstool", &[])), [4], "what it is run together from");
    assert_eq!(found(&index, &asked("footstool", &["footstool > lantern"])), [2]);
    // One of several words is no other matter, and nothing better is suggested.
    let query = Query { did_you_mean: true, ..asked("lamq oil", &["lamq oil > lantern"]) };
    let part = index.search_part(&query, None).expect("within bounds");
    assert!(part.guessed.is_empty());
    let results = merge(vec![part], &query);
    assert_eq!((results.hits[0].key, results.did_you_mean), (DocKey(2), None));
}

#[test]
fn a_misspelt_word_finds_what_the_right_one_does() {
    let index = index(&TITLES);
    let rules = ["television > tv", "usb stick > pendrive"];
    assert_eq!(found(&index, &asked("televsion", &rules)), [6, 7]);
    assert_eq!(found(&index, &asked("usb stikc", &rules)), [1, 3]);
    assert_eq!(found(&index, &Query { typos: false, ..asked("televsion", &rules) }), [], "not where slips are not looked for");
    // Where it may be one of two words it is neither.
    let two = self::index(&["Lamp", "Lamb", "Lantern"]);
    assert_eq!(found(&two, &asked("lamq", &["lamp > lantern"])), [1, 2]);
}

#[test]
fn a_word_in_two_spellings_has_the_synonyms_of_both() {
    let index = index(&["HP 80 ink", "HP 82 ink", "HP 84 ink", "80 desks"]);
    assert_eq!(found(&index, &asked("hp80", &[])), [1]);
    assert_eq!(found(&index, &asked("hp80", &["hp80 > hp 82"])), [1, 2], "as it was typed");
    assert_eq!(found(&index, &asked("hp80", &["hp 80 > hp 84"])), [1, 3], "as it is looked for");
    assert_eq!(found(&index, &asked("hp80 ink", &["ink > desk"])), [1]);
    // A word that stands for two words of the query must be there for the one that has no synonym.
    assert_eq!(found(&index, &asked("80 hp80", &["80 > hp 82"])), [1]);
    assert_eq!(found(&index, &asked("80 ink hp80", &["80 ink > hp 82"])), [1]);
}

#[test]
fn what_is_still_being_typed_has_its_synonyms_as_it_stands() {
    let index = index(&TITLES);
    let typing = |text: &str| Query { prefix: true, ..asked(text, &["tele > pendrive", "television > telly"]) };
    assert_eq!(found(&index, &typing("tele")), [3, 6]);
    assert_eq!(found(&index, &typing("televi")), [6]);
    assert_eq!(found(&index, &typing("television")), [6, 8]);
}

#[test]
fn what_was_typed_comes_first_where_all_else_is_equal() {
    let index = index(&["Couch", "Sofa", "Sofa", "Couch"]);
    assert_eq!(keys(&index, &asked("sofa", &["sofa = couch"])), [2, 3, 1, 4]);
    assert_eq!(keys(&index, &asked("couch", &["sofa = couch"])), [1, 4, 2, 3]);
}

#[test]
fn some_words_find_some_of_the_ways() {
    let index = index(&["USB stick", "Flash drive", "Stick", "Drive", "Cap for USB stick", "Cap for flash drive"]);
    let query = Query { matching: Matching::AllThenAny, ..asked("usb stick cap", &["usb stick > flash drive"]) };
    let results = index.search(&query, None).expect("within bounds");
    let tiers: Vec<(u64, bool)> = results.hits.iter().map(|hit| (hit.key.0, hit.sort.tier == search_index::Tier::AllTerms)).collect();
    assert_eq!(tiers[..2].iter().map(|(key, _)| *key).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(tiers.iter().filter(|(_, all)| *all).count(), 2);
    assert_eq!(found(&index, &query), [1, 2, 3, 5, 6], "a drive is none");
    assert!(results.relaxed);
}

#[test]
fn words_of_synonyms_light_up() {
    let index = index(&TITLES);
    let query = asked("usb stick", &["usb stick = flash drive = pendrive"]);
    let highlighter = index.highlighter(&query).expect("within bounds");
    assert_eq!(highlighter.mark("Pendrives, flash drives"), "<em>Pendrives</em>, <em>flash</em> <em>drives</em>");
}

#[test]
fn several_indexes_agree() {
    let one = index(&["Lamp", "Lantern", "Torch"]);
    let other = Index::build(Settings::default(), [titled(10, "Lamq"), titled(11, "Flash light")]).expect("short");
    let query = asked("lamq", &["lamq > flash light, torch", "lamp > lantern"]);
    let parts: Vec<_> = [&one, &other].map(|index| index.search_part(&query, None).expect("within bounds")).into();
    assert!(misjudged(&parts, &query).is_empty(), "a word that has synonyms is guessed at nowhere");
    let mut keys: Vec<u64> = merge(parts, &query).hits.iter().map(|hit| hit.key.0).collect();
    keys.sort_unstable();
    assert_eq!(keys, [3, 10, 11]);
}

#[test] // A query that many rules know stays within bounds, and every word is given the same ways.
fn of_too_many_ways_the_last_bring_nothing() {
    let titles: Vec<String> = (0..200).map(|nth| format!("other{nth}x way")).chain(["usb stick".into()]).collect();
    let index = index(&titles.iter().map(String::as_str).collect::<Vec<_>>());
    let rules: Vec<Synonym> =
        (0..200).map(|nth| Synonym { typed: vec!["usb stick".into()], found: vec![format!("other{nth}x way")] }).collect();
    let synonyms = Arc::new(Synonyms::new(&rules).expect("within bounds"));
    let query = Query { synonyms, sort: Sort::Newest, total: true, matching: Matching::All, ..asked("usb stick", &[]) };
    assert_eq!(index.search(&query, None).expect("within bounds").total, Some(128 + 1));
}
