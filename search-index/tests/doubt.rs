//! Words that documents have, but that may be slips all the same: where no document has all words of a query.

use proptest::prelude::*;
use search_index::{DocKey, Document, Filter, Index, Matching, Query, ROUNDS_MAX, Results, Settings, Sort, merge, misjudged};

/// Title and text. No title has `bels`, `tying` or `lams`, but something that stems so is there.
const PRODUCTS: [(&str, &str); 10] = [
    ("Authentic leather belts", ""),
    ("Authentic wallet", ""),
    ("Sound meter", "measures ten bels"),
    ("Girls trying dress", ""),
    ("Rope", "for tying"),
    ("Desk lamp", "with a lam"),
    ("Desk lamps, two", ""),
    ("Table lamp", ""),
    ("Red bell", ""),
    ("Canvas belts", ""),
];

fn document(key: u64) -> Document {
    let (title, text) = PRODUCTS[key as usize];
    Document { title: title.into(), description: text.into(), price: Some(key as i64), ..Document::new(DocKey(key)) }
}

fn asked(text: &str) -> Query {
    Query { text: Some(text.into()), did_you_mean: true, total: true, ..Query::default() }
}

fn keys(results: &Results) -> Vec<u64> {
    results.hits.iter().map(|hit| hit.key.0).collect()
}

/// All products: in one segment, in the head, or in several segments.
fn layouts() -> [Index; 3] {
    let all = || (0..PRODUCTS.len() as u64).map(document);
    let bulk = Index::build(Settings::default(), all()).expect("short");
    let written = |head_rows_max| {
        let mut index = Index::new(Settings { head_rows_max, ..Settings::default() });
        all().for_each(|document| {
            index.upsert(&document).expect("short");
        });
        index
    };
    [bulk, written(100), written(2)]
}

#[test] // Typed, hits with all words, what was meant (nothing: as typed).
fn what_no_title_says_so_may_be_a_slip() {
    for (typed, wanted, meant) in [
        ("authentic bels", &[0][..], "authentic belts"),
        ("tying dress", &[3], "trying dress"),
        ("tying rope", &[4], ""),                 // it is there as typed
        ("lams desk two", &[6], "lamp desk two"), // what is nearest: `lams` is a slip of `lamp` and of `lamps`
        ("authentic bell", &[], ""),              // a title has `bell`
        ("authentic bel", &[], ""),               // too short
        ("trying rope", &[], ""),
    ] {
        for index in layouts() {
            let found = index.search(&asked(typed), None).expect("within bounds");
            let whole: Vec<u64> = if found.relaxed { Vec::new() } else { keys(&found) };
            let all = index.search(&Query { matching: Matching::All, ..asked(typed) }, None).expect("within bounds");
            assert_eq!(keys(&all), wanted, "{typed}");
            assert_eq!((all.total, all.relaxed), (Some(wanted.len() as u64), false), "{typed}");
            let meant = Some(meant).filter(|meant| !meant.is_empty());
            assert_eq!(all.did_you_mean.as_deref(), meant, "{typed}");
            assert_eq!(found.did_you_mean.as_deref(), meant, "{typed}");
            if !wanted.is_empty() {
                assert!(keys(&found).starts_with(wanted), "{typed}: {:?}", keys(&found));
                assert_eq!(found.total, Some(wanted.len() as u64), "{typed}");
            } else {
                assert_eq!(whole, [0; 0], "{typed}");
            }
        }
    }
}

#[test]
fn only_where_it_is_wanted() {
    for index in layouts() {
        let strict = index.search(&Query { typos: false, ..asked("authentic bels") }, None).expect("within bounds");
        assert!(strict.relaxed && strict.did_you_mean.is_none());
        let any = Query { matching: Matching::Any, ..asked("authentic bels") };
        assert_eq!(keys(&index.search(&any, None).expect("within bounds")).len(), 3, "what has either word");
        // Nothing that passes has all words as typed.
        let filtered = Query { filters: vec![Filter::Price { min: Some(0), max: Some(3) }], ..asked("tying") };
        assert_eq!(keys(&index.search(&filtered, None).expect("within bounds")), [3]);
    }
}

#[test]
fn pages_go_on_doubting() {
    let titles = ["Authentic belts", "Authentic belts", "Authentic", "Authentic", "ten bels"];
    let documents = titles.iter().zip(0..).map(|(title, key)| Document {
        title: if *title == "ten bels" { "Meter" } else { title }.into(),
        description: if *title == "ten bels" { *title } else { "" }.into(),
        ..Document::new(DocKey(key))
    });
    let index = Index::build(Settings::default(), documents).expect("short");
    for sort in [Sort::Relevance, Sort::Price] {
        let whole = index.search(&Query { sort, total: false, ..asked("authentic bels") }, None).expect("within bounds");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page =
                index.search(&Query { limit: 1, after, sort, total: false, ..asked("authentic bels") }, None).expect("within bounds");
            found.extend(keys(&page));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, keys(&whole), "{sort:?}");
        assert_eq!(found[..2], [0, 1], "{sort:?}");
    }
}

proptest! {
    #[test] // Wherever the documents are: what is found, how much of it, and what is said to be meant.
    fn indexes_agree(
        homes in prop::collection::vec(0..3_usize, PRODUCTS.len()),
        typed in "(authentic|girls|desk|red|sound|rope) (bels|tying|lams|belts|lamps|bell|beltz)( two)?",
        all in any::<bool>(),
    ) {
        let matching = if all { Matching::All } else { Matching::AllThenAny };
        let query = Query { matching, sort: Sort::Price, ..asked(&typed) };
        let one = Index::build(Settings::default(), (0..PRODUCTS.len() as u64).map(document)).expect("short");
        let mut indexes: [Index; 3] = std::array::from_fn(|_| Index::new(Settings { head_rows_max: 2, ..Settings::default() }));
        for (key, home) in homes.iter().enumerate() {
            indexes[*home].upsert(&document(key as u64)).expect("short");
        }
        let parts = |query: &Query| indexes.iter().map(|index| index.search_part(query, None).expect("within bounds")).collect::<Vec<_>>();
        let mut agreed = query.clone();
        for _ in 1..ROUNDS_MAX {
            agreed.elsewhere = agreed.elsewhere.or(misjudged(&parts(&agreed), &agreed));
        }
        prop_assert!(misjudged(&parts(&agreed), &agreed).is_empty());
        let (found, wanted) = (merge(parts(&agreed), &agreed), one.search(&query, None).expect("within bounds"));
        prop_assert_eq!(keys(&found), keys(&wanted));
        prop_assert_eq!((found.total, found.relaxed, found.did_you_mean), (wanted.total, wanted.relaxed, wanted.did_you_mean));
    }
}
