//! A saved segment of the index from bytes that nobody vouches for.
//!
//! Path: input → as it is; as payloads of blocks whose checksums are right; and as edits of a segment that was really saved, sealed again →
//! `Saved::decode` → an index that takes it over, if it can be read.
//! Says more than "does not crash": what was read is an index like any other. It counts what it says, it can be searched, written to and merged
//! to nothing, and saved and read again it has the same documents.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use search_index::{
    AttributeValue, Columns, Current, DocKey, Document, FacetField, FacetRequest, Filter, Index, Language, Query, Saved, Saving, Settings, Sort,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Blocks of one input: a header, some of each kind, and an end.
const BLOCKS_MAX: u8 = 12;
const EDITS_MAX: u8 = 4;
/// Of the documents that are taken over.
const STAMP: u64 = 1;

fn block(file: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    let offset = file.len() as u64;
    let mut rest = (payload.len() as u32).to_le_bytes().to_vec();
    rest.extend([kind, 0, 0, 0]);
    rest.extend(payload);
    file.extend(xxh3_64_with_seed(&rest, offset).to_le_bytes());
    file.extend(rest);
}

/// Payloads of the input in blocks, the header right more often than not, with an end that fits if the terms and documents are counted by it.
fn sealed(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    if input.ratio(1, 16)? {
        block(&mut file, 1, input.arbitrary()?);
    } else {
        block(&mut file, 1, b"EMPINDEX\x02\0\0\0\x02\0\0\0");
    }
    for _ in 0..input.int_in_range(0..=BLOCKS_MAX)? {
        let kind = input.int_in_range(1..=4)?;
        block(&mut file, kind, input.arbitrary()?);
    }
    let counts: [u8; 2] = input.arbitrary()?;
    block(&mut file, 4, &counts.map(|count| u32::from(count).to_le_bytes()).concat());
    Ok(file)
}

/// A segment as it was saved, in its blocks: kind and payload.
fn real() -> &'static [(u8, Vec<u8>)] {
    static BLOCKS: OnceLock<Vec<(u8, Vec<u8>)>> = OnceLock::new();
    BLOCKS.get_or_init(|| {
        let document = |key: u64| Document {
            stamp: STAMP,
            title: format!("a b{} c", key % 3),
            description: "a a d tn-2110 8 gb".into(),
            brand: Some(format!("b{}", key % 2)),
            category: vec!["a".into(), format!("a/{}", key % 2)],
            attributes: vec![("a".into(), AttributeValue::Number(key as f64)), ("b".into(), AttributeValue::Text("a d".into()))],
            ..Document::new(DocKey(key))
        };
        let index = Index::build(Settings { head_rows_max: 1, ..Settings::default() }, (0..6).map(document)).expect("within bounds");
        let id = index.segments().next().expect("one").id;
        let (mut save, mut blocks) = (index.save(id).expect("it is there"), Vec::new());
        loop {
            let mut bytes = Vec::new();
            let step = index.save_step(&mut save, &mut bytes, 100);
            blocks.push((bytes[12], bytes[16..].to_vec()));
            if step == Saving::Done {
                return blocks;
            }
        }
    })
}

/// The real segment with some bytes changed, put in or taken out, its checksums right.
fn edited(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut blocks = real().to_vec();
    for _ in 0..input.int_in_range(0..=EDITS_MAX)? {
        let at = input.choose_index(blocks.len())?;
        let payload = &mut blocks[at].1;
        let place = input.int_in_range(0..=payload.len())?;
        match input.int_in_range(0..=3_u8)? {
            0 => payload.insert(place, input.arbitrary()?),
            1 if place < payload.len() => drop(payload.remove(place)),
            2 => payload.truncate(place),
            _ if place < payload.len() => payload[place] = input.arbitrary()?,
            _ => {}
        }
    }
    let mut file = Vec::new();
    blocks.iter().for_each(|(kind, payload)| block(&mut file, *kind, payload));
    Ok(file)
}

fn take_over(saved: Saved) -> Index {
    let mut index = Index::new(Settings::default());
    let len = saved.len();
    let adopted = index.adopt(saved, |_| Some(Current { stamp: STAMP, columns: Columns::default() }));
    assert_eq!(adopted.taken + adopted.stale, len);
    assert_eq!(index.len(), adopted.taken);
    index
}

fn use_it(index: &mut Index) {
    let request = |field| FacetRequest::new(field, 5);
    let facets = vec![request(FacetField::Brand), request(FacetField::Category), request(FacetField::Attribute("a".into()))];
    for text in [None, Some("a"), Some("b a c"), Some("\u{1}a")] {
        let query = Query { text: text.map(String::from), facets: facets.clone(), total: true, ..Query::default() };
        let found = index.search(&query, None).expect("within bounds");
        assert!(found.total.is_some_and(|total| total <= index.len() as u64));
        let query =
            Query { text: text.map(String::from), filters: vec![Filter::Brand(vec!["a".into()])], sort: Sort::Newest, ..Query::default() };
        let _ = index.search(&query, None).expect("within bounds");
    }
    let _ = index.suggest("a", 10);
    let attributes = vec![("a".into(), AttributeValue::Bool(true))];
    let mine =
        Document { title: "a b".into(), brand: Some("a".into()), category: vec!["a".into()], attributes, ..Document::new(DocKey(1)) };
    index.upsert(&mine).expect("within bounds");
    while index.maintain(3) {}
}

fuzz_target!(|bytes: &[u8]| {
    let mut files = vec![bytes.to_vec()];
    files.extend(sealed(&mut Unstructured::new(bytes)));
    files.extend(edited(&mut Unstructured::new(bytes)));
    for file in files {
        let mut keys = vec![DocKey(1)];
        let wants = |key, _| {
            keys.push(key);
            true
        };
        let Ok(saved) = Saved::decode(&file, Language::English, wants) else { continue };
        let mut index = take_over(saved);
        for id in index.segments().map(|segment| segment.id).collect::<Vec<_>>() {
            let (mut save, mut again) = (index.save(id).expect("it is there"), Vec::new());
            while index.save_step(&mut save, &mut again, 64) == Saving::More {}
            let saved = Saved::decode(&again, Language::English, |_, _| true).expect("what was saved can be read");
            assert_eq!(saved.len(), index.len());
        }
        use_it(&mut index);
        keys.into_iter().for_each(|key| {
            index.remove(key);
        });
        while index.consolidate(3) {}
        assert!(index.is_empty() && index.layout().dead_rows == 0);
    }
});
