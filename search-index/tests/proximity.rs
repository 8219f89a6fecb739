//! Words side by side in a title.

use search_index::{DocKey, Document, Index, PROXIMITY_PERCENT_MAX, Query, QueryError, ScoreOf, Settings};

fn titled(key: u64, title: &str) -> Document {
    Document { title: title.into(), ..Document::new(DocKey(key)) }
}

/// Keys in their order, for what words side by side get.
fn found(index: &Index, text: &str, proximity: u16) -> Vec<u64> {
    let query = Query { text: Some(text.into()), proximity, ..Query::default() };
    index.search(&query, None).expect("within bounds").hits.iter().map(|hit| hit.key.0).collect()
}

#[test] // In the head, in one segment, and in several.
fn what_has_words_side_by_side_comes_first() {
    // As long as each other, and of the same words: only their places differ.
    let titles = ["Cable black charging usb", "Usb charging cable black", "Charging cable usb black", "Black cables usb charging"];
    let documents = || (1..).zip(titles).map(|(key, title)| titled(key, title));
    for head_rows_max in [100, 4, 1] {
        let mut index = Index::new(Settings { head_rows_max, ..Settings::default() });
        for document in documents() {
            index.upsert(&document).expect("within bounds");
            while index.maintain(10) {}
        }
        assert_eq!(found(&index, "usb cable", 0), [1, 2, 3, 4], "without, all that have the word as it was typed are equals");
        assert_eq!(found(&index, "usb cable", 30), [3, 4, 1, 2], "an ending is no other word, and either may be the first");
        assert_eq!(found(&index, "cable usb", 30), [3, 4, 1, 2]);
        assert_eq!(found(&index, "usb calbe", 30), [3, 4, 1, 2], "what a misspelt word was taken for");
        assert_eq!(found(&index, "black usb cable", 30)[0], 3, "two pairs are more than one");
        assert_eq!(found(&index, "usb", 30), [1, 2, 3, 4], "a word alone has no neighbour");
    }
}

#[test]
fn it_is_explained_and_bounded() {
    let index = Index::build(Settings::default(), [titled(1, "Usb cable"), titled(2, "Cable for usb")]).expect("within bounds");
    let mut query = Query { text: Some("usb cable".into()), proximity: 20, explain: true, ..Query::default() };
    let results = index.search(&query, None).expect("within bounds");
    let pairs = |nth: usize| {
        let parts = results.explanations[nth].1.parts.iter();
        parts.filter(|part| part.what == ScoreOf::SideBySide { words: ["usb".into(), "cable".into()] }).count()
    };
    assert_eq!((results.explanations[0].0, pairs(0), pairs(1)), (DocKey(1), 1, 0));
    query.proximity = PROXIMITY_PERCENT_MAX + 1;
    assert_eq!(index.search(&query, None).map(|results| results.hits.len()), Err(QueryError::ProximityPercent { percent: 101 }));
}
