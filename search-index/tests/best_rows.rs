//! The best hits are those of looking at every match, over lists of some blocks, through removals, changes and merges.
//!
//! Reference: every match, in order of price, whose scores are looked up row by row; sorted here by score.

use search_index::{Columns, DocKey, Document, Filter, Index, Matching, Query, Settings, Signals, Sort};

/// Keys are below this.
const DOCUMENTS: u64 = 140_000;

/// xorshift64*.
fn draw(seed: &mut u64) -> u64 {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
}

/// `w0` is in nearly all documents, `w1` in half of them, and so on; `near` in a stretch, `far` at both ends.
fn document(key: u64) -> Document {
    let mut seed = 0x9e37_79b9_7f4a_7c15 ^ (key + 1).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mut words = |times: u64| {
        let mut text = String::new();
        for _ in 0..1 + draw(&mut seed) % times {
            text.push_str(&format!("w{} ", (draw(&mut seed) | 1 << 14).trailing_zeros()));
        }
        text
    };
    let (mut title, description) = (words(3), words(9));
    if (70_000..71_000).contains(&key) {
        title.push_str("near");
    }
    if key < 5 || key + 5 > DOCUMENTS {
        title.push_str("far");
    }
    let brand = key.is_multiple_of(5).then(|| format!("w{}", key % 15));
    let category = vec![format!("c{}", key / 20_000)];
    // Few are popular; from some stretches of the index on, none.
    let popularity = if draw(&mut seed).is_multiple_of(200) && (key / 20_000).is_multiple_of(2) {
        draw(&mut seed) % 2_000_000
    } else {
        draw(&mut seed) % 4
    };
    let (rating, popularity, margin) = (Some((key % 501) as u16), popularity as i64, (key % 103) as i8);
    Document { title, description, brand, category, price: Some(key as i64), rating, popularity, margin, ..Document::new(DocKey(key)) }
}

fn pages(index: &Index, query: &Query, pages: usize) -> Vec<(u32, DocKey)> {
    let (mut query, mut found) = (query.clone(), Vec::new());
    for _ in 0..pages {
        let results = index.search(&query, Some(&|key| !key.0.is_multiple_of(3))).expect("within bounds");
        found.extend(results.hits.iter().map(|hit| (hit.score.to_bits(), hit.key)));
        query.after = results.next;
        if query.after.is_none() {
            break;
        }
    }
    found
}

const KINDS: [Signals; 3] = [
    Signals { popularity: 0, rating: 0, in_stock: 0, margin: 0 },
    Signals { popularity: 40, rating: 0, in_stock: 0, margin: 0 },
    Signals { popularity: 100, rating: 15, in_stock: 30, margin: 25 },
];

fn check(index: &Index, signals: Signals) {
    for text in ["w0", "w0 w1", "w1 w2", "w0 w1 w2 w3", "w3 w9", "near w0", "far w0", "far near", "far", "w12 w13 w0", "w5 w6 w7 w8", "w11"]
    {
        for matching in [Matching::All, Matching::Any] {
            for filters in [
                vec![],
                vec![Filter::Category(vec!["c3".into()])],
                vec![Filter::Brand(vec!["w0".into(), "w5".into()]), Filter::Price { min: Some(30_000), max: None }],
            ] {
                let query = Query { text: Some(text.into()), matching, filters, limit: 7, signals, ..Query::default() };
                let everything = Query { sort: Sort::Price, limit: 100, ..query.clone() };
                let mut wanted = pages(index, &everything, usize::MAX);
                wanted.sort_by_key(|(score, key)| (std::cmp::Reverse(*score), *key));
                wanted.truncate(3 * 7);
                assert_eq!(pages(index, &query, 3), wanted, "{text} {matching:?} {:?}", query.filters);
                // With a total every match is looked at first.
                assert_eq!(pages(index, &Query { total: true, ..query.clone() }, 3), wanted, "{text} {matching:?} {:?}", query.filters);
            }
        }
    }
}

#[test]
fn the_best_rows_are_found_without_reading_all() {
    // Every match is listed by pages of 100, each of which looks at every match: a twentieth of the documents keeps that short.
    let mut index = Index::build(Settings { head_rows_max: 500, ..Settings::default() }, (0..DOCUMENTS).step_by(20).map(document))
        .expect("within bounds");
    KINDS.into_iter().for_each(|signals| check(&index, signals));
    // Gone, changed and new documents, in several parts of the index.
    for key in (0..DOCUMENTS).step_by(140) {
        index.remove(DocKey(key));
    }
    for key in (7..DOCUMENTS).step_by(100) {
        index.upsert(&document(key)).expect("within bounds");
        index.maintain(1_000);
    }
    index.set_columns(DocKey(20), Columns { price: Some(9), ..Columns::default() }).expect("not reserved");
    KINDS.into_iter().for_each(|signals| check(&index, signals));
}
