//! What a misspelt query may have meant, wherever the documents are.

use proptest::prelude::*;
use search_index::{DocKey, Document, Index, Query, ROUNDS_MAX, Settings, merge, misjudged};

fn index(titles: impl IntoIterator<Item = (u64, &'static str)>) -> Index {
    let documents = titles.into_iter().map(|(key, title)| Document { title: title.into(), ..Document::new(DocKey(key)) });
    Index::build(Settings::default(), documents).expect("titles are short")
}

const TITLES: [&str; 9] = [
    "Sennheiser headphones",
    "Wireless headphones",
    "Headphone stand",
    "iPad stand",
    "Brass lamp",
    "Damp cloth",
    "Damp sponge",
    "Café table",
    "Smartwatch",
];

fn asked(text: &str, typos: bool) -> Query {
    Query { text: Some(text.into()), typos, did_you_mean: true, ..Query::default() }
}

#[test] // Typed, meant (nothing: as typed), whether or not slips are looked for.
fn words_are_spelt_right() {
    let index = index((1..).zip(TITLES));
    for (typed, meant) in [
        ("Sennheiser headphnoes, black", "Sennheiser headphones, black"),
        ("ipadstand", "ipad stand"),
        ("brass lamq", "brass lamp"),
        ("xamp", "damp"), // both are one letter away, one is in more titles
        ("cafa tabel", "cafe table"),
        ("headphnoes headphnoe", "headphones headphones"),
        ("headphones", ""),
        ("headphone", ""),
        ("smart watch", ""),
        ("zzzzzz", ""),
        ("hp80", ""),
        ("", ""),
    ] {
        for typos in [true, false] {
            let found = index.search(&asked(typed, typos), None).expect("within bounds");
            assert_eq!(found.did_you_mean.as_deref(), Some(meant).filter(|meant| !meant.is_empty()), "{typed}, {typos}");
        }
    }
    let silent = index.search(&Query { did_you_mean: false, ..asked("lamq", true) }, None).expect("within bounds");
    assert_eq!((silent.did_you_mean, silent.hits.len()), (None, 1), "only when asked");
}

proptest! {
    #[test]
    fn where_the_documents_are_does_not_matter(
        homes in prop::collection::vec(0..3_u64, TITLES.len()),
        typed in "(sennheizer|headphnoes|headphone|xamp|lamq|ipadstand|smartwach|tabel|lamp|zzzz)( (xamp|damq|stan|watch|cafe))?",
        typos in any::<bool>(),
    ) {
        let one = index((1..).zip(TITLES)).search(&asked(&typed, typos), None).expect("within bounds").did_you_mean;
        let indexes: Vec<Index> =
            (0..3).map(|home| index((1..).zip(TITLES).filter(|(key, _)| homes[*key as usize - 1] == home))).collect();
        let parts = |query: &Query| indexes.iter().map(|index| index.search_part(query, None).expect("within bounds")).collect::<Vec<_>>();
        let mut query = asked(&typed, typos);
        for _ in 1..ROUNDS_MAX {
            query.elsewhere = query.elsewhere.or(misjudged(&parts(&query), &query));
        }
        let mut parts = parts(&query);
        prop_assert_eq!(&merge(parts.clone(), &query).did_you_mean, &one);
        parts.reverse();
        prop_assert_eq!(merge(parts, &query).did_you_mean, one);
    }
}
