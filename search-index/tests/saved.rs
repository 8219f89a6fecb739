//! Saved segments: their bytes, what damage to them does, and what becomes of documents that changed since.

use std::collections::BTreeMap;

use expect_test::expect_file;
use search_index::{
    AttributeValue, Columns, Current, DocKey, Document, Filter, FilterValue, Index, Language, Query, Saved, SavedError, Saving, Settings,
};

/// Texts that analysis takes apart in all its ways: a change of any of them is a change of [`the fixture`](the_bytes_are_these).
const TEXTS: [&str; 8] = [
    "HP 80 Original Cyan Ink Cartridges",
    "TN-2110 tn2110 CB541A A4/A3 v2.0",
    "8GB 8 GB RAM 15.6\" screen, 1,000 sheets, 2,5 mm",
    "Men's don't O’Neill relational generalizations",
    "Café Müller Straße Ångström ﬁre ①②",
    "日本語 プリンター Привет мир हिन्दी",
    "wi-fi --- !! ' the case for a laptop",
    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhh",
];

fn documents() -> Vec<Document> {
    let document = |(key, text): (u64, &&str)| Document {
        stamp: 0x1111_1111_1111_1111 * (key + 1),
        partition: key as u16,
        title: (*text).into(),
        description: TEXTS[(key as usize + 3) % 8].into(),
        model: "DCP-7055W".into(),
        keywords: "sku 4006381333931".into(),
        brand: (key % 3 > 0).then(|| format!("Brand {}", key % 3)),
        category: [&["a"][..], &["a", "a/b"], &[]][key as usize % 3].iter().map(ToString::to_string).collect(),
        released: key as i64 - 4,
        price: Some(100 * key as i64),
        attributes: vec![
            ("colour".into(), AttributeValue::Text("dark red".into())),
            ("code".into(), AttributeValue::Keyword(format!("k{}", key % 2))),
            ("size".into(), AttributeValue::Number(-0.0 + key as f64 / 2.0)),
            ("new".into(), AttributeValue::Bool(key % 2 == 0)),
            ("colour".into(), AttributeValue::Text("blue".into())),
        ],
        ..Document::new(DocKey(0x0123_0000 + key))
    };
    (0..).zip(&TEXTS).map(document).collect()
}

fn index(documents: &[Document]) -> Index {
    Index::build(Settings { head_rows_max: 1, ..Settings::default() }, documents.iter().cloned()).expect("within bounds")
}

/// The bytes of the only segment, made in steps of `bytes`.
fn save(index: &Index, bytes: usize) -> Vec<u8> {
    let id = index.segments().next().expect("a segment").id;
    let mut save = index.save(id).expect("it is there");
    let mut out = Vec::new();
    while index.save_step(&mut save, &mut out, bytes) == Saving::More {}
    assert_eq!(index.save_step(&mut save, &mut out, bytes), Saving::Done, "and so it stays");
    out
}

fn read(bytes: &[u8]) -> Result<Saved, SavedError> {
    Saved::decode(bytes, Language::English, |_, _| true)
}

fn dump(bytes: &[u8]) -> String {
    let hex = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    bytes.chunks(32).zip(0..).map(|(line, at)| format!("{:04x} {}\n", 32 * at, hex(line))).collect()
}

fn undump(text: &str) -> Vec<u8> {
    let line = |line: &str| {
        let hex = line.split_once(' ').expect("offset, space, bytes").1.to_owned();
        (0..hex.len() / 2).map(move |at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal")).collect::<Vec<u8>>()
    };
    text.lines().flat_map(line).collect()
}

const FIXTURE: &str = include_str!("../fixtures/v4.hex");

#[test] // When this fails, either the format's version has to rise or the analysis' (`ANALYSIS_VERSION`), and older files are read as before or refused.
fn the_bytes_are_these() {
    expect_file!["../fixtures/v4.hex"].assert_eq(&dump(&save(&index(&documents()), 200)));
}

#[test]
fn released_bytes_are_read() {
    let mut loaded = Index::new(Settings::default());
    let adopted = loaded.adopt(read(&undump(FIXTURE)).expect("whole"), current(&documents()));
    assert_eq!((adopted.taken, adopted.stale), (8, 0));
    same_answers(&loaded, &index(&documents()));
}

fn current(documents: &[Document]) -> impl Fn(DocKey) -> Option<Current> {
    let by_key: BTreeMap<DocKey, Document> = documents.iter().map(|document| (document.key, document.clone())).collect();
    move |key| {
        let Document { stamp, price, rating, popularity, margin, .. } = *by_key.get(&key)?;
        Some(Current { stamp, columns: Columns { price, rating, popularity, margin } })
    }
}

fn same_answers(a: &Index, b: &Index) {
    assert_eq!(a.len(), b.len());
    for text in TEXTS.iter().flat_map(|text| text.split(' ')).chain(["dcp7055w", "sku", "red", "brand"]) {
        let query = Query { text: Some(text.into()), total: true, ..Query::default() };
        let answer = |index: &Index| {
            let found = index.search(&query, None).expect("within bounds");
            (found.hits.iter().map(|hit| (hit.key, hit.partition, hit.score)).collect::<Vec<_>>(), found.total)
        };
        assert_eq!(answer(a), answer(b), "{text}");
        assert_eq!(a.suggest(text, 20), b.suggest(text, 20), "{text}");
    }
}

#[test]
fn any_length_of_steps_gives_the_same_documents() {
    let index = index(&documents());
    for bytes in [0, 1, 7, 64, 1_000, 1 << 20] {
        let mut loaded = Index::new(Settings::default());
        assert_eq!(loaded.adopt(read(&save(&index, bytes)).expect("whole"), current(&documents())).taken, 8, "{bytes}");
        same_answers(&loaded, &index);
    }
}

#[test]
fn any_damage_is_noticed() {
    let whole = save(&index(&documents()), 200);
    for at in 0..whole.len() {
        assert!(read(&whole[..at]).is_err(), "cut at {at}");
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[at] ^= bit;
            assert!(read(&bytes).is_err(), "bit {bit} at {at}");
        }
    }
    let more = [&whole[..], &[0]].concat();
    assert!(matches!(read(&more), Err(SavedError::Damaged { offset, .. }) if offset == whole.len()));
}

#[test] // Bytes from an offset on, then what is said of the file.
fn other_files_are_told_apart() {
    let whole = save(&index(&documents()), 200);
    let with = |at: usize, new: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        read(&bytes).err()
    };
    assert_eq!(with(16, b"EMPBATCH"), Some(SavedError::Foreign));
    assert_eq!(with(24, &1_u32.to_le_bytes()), Some(SavedError::Version { found: 1 }));
    assert_eq!(with(28, &7_u32.to_le_bytes()), Some(SavedError::Analysis { found: 7 }));
    let another = |found: &str, wanted| Some(SavedError::Language { found: found.into(), wanted });
    assert_eq!(with(32, b"de\0\0"), another("de", Language::English));
    assert_eq!(with(32, &[0xff; 4]).map(|error| error.to_string().ends_with("wanted en")), Some(true));
    assert_eq!(read(&[]).err(), Some(SavedError::Foreign));
    assert_eq!(read(&whole[..20]).err(), Some(SavedError::Foreign));
    let message = with(54, &[0xff; 8]).map(|error| error.to_string());
    assert_eq!(message.as_deref(), Some("a saved index segment is damaged in the block at 36: the checksum is another"));
}

#[test]
fn only_what_is_unchanged_is_taken_over() {
    let old = documents();
    let bytes = save(&index(&old), 200);
    let mut new = old.clone();
    (new[1].title, new[1].stamp) = ("Something else".into(), 99); // changed
    new[2].price = Some(7); // in place
    new.remove(5); // gone
    let mut loaded = Index::new(Settings { head_rows_max: 1, ..Settings::default() });
    loaded.upsert(&new[0]).expect("within bounds"); // there before
    let adopted = loaded.adopt(read(&bytes).expect("whole"), current(&new));
    assert_eq!((adopted.taken, adopted.stale), (5, 3));
    assert_eq!(loaded.columns(new[2].key).and_then(|columns| columns.price), Some(7));
    for document in &new {
        assert_eq!(loaded.contains(document.key), document.key != new[1].key);
    }
    loaded.upsert(&new[1]).expect("within bounds");
    same_answers(&loaded, &index(&new));
    for document in &new[3..] {
        loaded.upsert(document).expect("within bounds");
    }
    while loaded.maintain(100) {}
    same_answers(&loaded, &index(&new));
    assert_eq!(loaded.layout().dead_rows, 0, "more than half of the segment was dead, so it was written anew");

    let mut nothing = Index::new(Settings::default());
    let adopted = nothing.adopt(read(&bytes).expect("whole"), |_| None);
    assert_eq!((adopted.id, adopted.taken, nothing.layout().segments), (None, 0, 0));
}

#[test]
fn a_shard_reads_what_is_its_own() {
    let bytes = save(&index(&documents()), 200);
    let own: Vec<Document> = documents().into_iter().filter(|document| document.partition % 3 == 1).collect();
    let saved = Saved::decode(&bytes, Language::English, |_, partition| partition % 3 == 1).expect("whole");
    assert_eq!(saved.len(), own.len());
    let mut loaded = Index::new(Settings::default());
    loaded.adopt(saved, current(&documents()));
    same_answers(&loaded, &index(&own));
    assert_eq!(loaded.layout().segment_bytes, index(&own).layout().segment_bytes, "nothing is left of the others");
}

#[test] // So many that their numbers in a segment have a byte, two and three, and are in no order of theirs.
fn words_are_the_same_by_whatever_number() {
    let document =
        |key: u64| Document { stamp: key + 1, title: format!("lamp w{} v{key} u{}", key % 7, key % 90), ..Document::new(DocKey(key)) };
    let documents: Vec<Document> = (0..9_000).map(document).collect();
    let mut written = Index::new(Settings::default());
    for document in &documents {
        written.upsert(document).expect("within bounds");
        written.maintain(2_000);
    }
    while written.consolidate(2_000) {}
    let bulk = Index::build(Settings::default(), documents.iter().cloned()).expect("within bounds");
    let largest = written.segments().max_by_key(|segment| segment.rows).expect("a segment");
    let (mut save, mut bytes) = (written.save(largest.id).expect("it is there"), Vec::new());
    while written.save_step(&mut save, &mut bytes, 8_192) == Saving::More {}
    let mut loaded = Index::new(Settings::default());
    assert_eq!(loaded.adopt(read(&bytes).expect("whole"), current(&documents)).taken, largest.rows);
    for document in &documents {
        if !loaded.contains(document.key) {
            loaded.upsert(document).expect("within bounds");
        }
    }
    for text in ["lamp w3", "v4711", "u89 w5 v8", "\"w6 v13\"", "u88 v88 -w5", "v4 lamp"] {
        let found = |index: &Index| {
            let query = Query { text: Some(text.into()), limit: 50, ..Query::default() };
            let results = index.search(&query, None).expect("within bounds");
            (results.total, results.hits.iter().map(|hit| (hit.key, hit.score)).collect::<Vec<_>>())
        };
        assert!(!found(&bulk).1.is_empty(), "{text}");
        assert_eq!(found(&written), found(&bulk), "{text}");
        assert_eq!(found(&loaded), found(&bulk), "{text}");
    }
}

#[test]
fn a_segment_that_was_merged_away_is_gone() {
    let documents = documents();
    let mut index = Index::new(Settings { head_rows_max: 1, ..Settings::default() });
    for document in &documents[..4] {
        index.upsert(document).expect("within bounds");
        index.maintain(100);
    }
    let ids: Vec<_> = index.segments().map(|segment| segment.id).collect();
    let (mut save, mut out) = (index.save(ids[0]).expect("it is there"), Vec::new());
    assert_eq!(index.save_step(&mut save, &mut out, 10), Saving::More);
    while index.maintain(100) {}
    assert_eq!(index.save_step(&mut save, &mut out, 10), Saving::Gone);
    assert!(index.save(ids[0]).is_none());
    assert!(index.segments().all(|segment| !ids.contains(&segment.id) && segment.rows == 4));
}

#[test] // What is made in one language is taken over by an index in the same, and by no other.
fn a_segment_is_in_one_language() {
    for language in Language::ALL {
        let settings = Settings { head_rows_max: 1, language };
        let index = Index::build(settings, documents()).expect("within bounds");
        let bytes = save(&index, 200);
        for wanted in Language::ALL {
            match Saved::decode(&bytes, wanted, |_, _| true) {
                Ok(saved) => {
                    assert_eq!(wanted, language);
                    let mut loaded = Index::new(settings);
                    assert_eq!(loaded.adopt(saved, current(&documents())).taken, 8);
                    same_answers(&loaded, &index);
                }
                Err(error) => assert_eq!(error, SavedError::Language { found: language.to_string(), wanted }),
            }
        }
    }
}

#[test] // More than the names and values whose numbers a saving remembers.
fn a_segment_with_many_names_is_saved() {
    let document = |key: u64| Document {
        stamp: 1 + key,
        title: "lamp".into(),
        brand: Some(format!("b{}", key % 9_000)),
        category: vec!["a".into(), format!("a/{}", key % 9_000)],
        attributes: vec![
            ("same".into(), AttributeValue::Bool(true)),
            (format!("n{}", key % 9_000), AttributeValue::Text(format!("v{key}"))),
        ],
        ..Document::new(DocKey(key))
    };
    let documents: Vec<Document> = (0..20_000).map(document).collect();
    let index = index(&documents);
    let mut loaded = Index::new(Settings::default());
    assert_eq!(loaded.adopt(read(&save(&index, 4_000)).expect("whole"), current(&documents)).taken, documents.len());
    for key in [0, 8_191, 8_192, 8_999, 9_000, 19_999] {
        let (brand, path) = (format!("b{}", key % 9_000), format!("a/{}", key % 9_000));
        let value = FilterValue::Text(format!("v{key}"));
        for filter in [
            Filter::Brand(vec![brand]),
            Filter::Category(vec![path]),
            Filter::Attribute { name: format!("n{}", key % 9_000), any_of: vec![value] },
            Filter::Attribute { name: "same".into(), any_of: vec![FilterValue::Bool(true)] },
        ] {
            let query = Query { filters: vec![filter], total: true, ..Query::default() };
            let total = |index: &Index| index.search(&query, None).expect("within bounds").total;
            assert!(total(&index) > Some(0));
            assert_eq!(total(&loaded), total(&index), "{query:?}");
        }
    }
}
