//! What is like a document: the rules of it, one by one. `agrees_with_model.rs` has them all together.

use search_index::{
    AttributeValue, DocKey, Document, Filter, FilterValue, Frequencies, Index, LIMIT_MAX, QueryError, SIMILAR_TERMS_MAX, Settings, Signals,
    SimilarQuery, SimilarTo, merge_similar,
};

fn titled(key: u64, title: &str) -> Document {
    Document { title: title.into(), ..Document::new(DocKey(key)) }
}

fn index(documents: impl IntoIterator<Item = Document>) -> Index {
    Index::build(Settings::default(), documents).expect("within bounds")
}

/// Keys of what is like a document, in order.
fn like(index: &Index, key: u64, filters: &[Filter]) -> Vec<u64> {
    let hits = index.similar(DocKey(key), filters, LIMIT_MAX, Some(&|key| key.0.is_multiple_of(2))).expect("within bounds");
    hits.expect("the document is there").iter().map(|hit| hit.key.0).collect()
}

#[test]
fn rare_words_tell_more_and_the_document_itself_is_no_answer() {
    let titles = ["brass desk lamp", "brass floor lamp", "desk lamp", "paper lamp", "oak desk", "paper cup", "oak chair", "cup"];
    let mut index = index((1..).zip(titles).map(|(key, title)| titled(key, title)));
    assert_eq!(like(&index, 1, &[]), [2, 3, 5]);
    assert_eq!(index.similar(DocKey(99), &[], 5, None), Ok(None));
    index.remove(DocKey(3));
    assert_eq!(like(&index, 1, &[]), [2, 5, 4], "nor is one that is gone");
    index.upsert(&titled(9, "brass desk lamp")).expect("within bounds");
    assert_eq!(like(&index, 1, &[])[0], 9, "one that says the same");
    assert_eq!(like(&index, 9, &[])[0], 1);
}

#[test] // A word that only this one has finds nothing, and what shares little else is not like it.
fn a_title_of_its_own_words_is_like_nothing() {
    let common = (10..30).map(|key| titled(key, "black thing"));
    let index = index([titled(1, "black quokka kettle"), titled(2, ""), titled(3, "of the")].into_iter().chain(common));
    assert!(like(&index, 1, &[]).is_empty());
    assert!(like(&index, 2, &[]).is_empty(), "a document without words");
    assert!(like(&index, 3, &[]).is_empty(), "stop words are none");
    assert_eq!(like(&index, 10, &[])[..19], (11..30).collect::<Vec<u64>>()[..]);
}

#[test]
fn filters_hold() {
    let lamp = |key: u64| Document {
        brand: Some(if key < 5 { "Norden" } else { "Ostra" }.into()),
        price: Some(100 * key as i64),
        attributes: vec![("watts".into(), AttributeValue::Number(key as f64))],
        ..titled(key, "desk lamp")
    };
    let index = index((1..10).map(lamp).chain((20..60).map(|key| titled(key, "paper cup"))));
    let price = |min, max| Filter::Price { min: Some(min), max: Some(max) };
    for (filters, wanted) in [
        (vec![], vec![6, 7, 8, 9, 4, 3, 1, 2]),
        (vec![Filter::InStock(true)], vec![6, 8, 4, 2]),
        (vec![Filter::InStock(false)], vec![7, 9, 3, 1]),
        (vec![Filter::Brand(vec!["Norden".into()])], vec![4, 3, 1, 2]),
        (vec![Filter::Brand(vec!["Norden".into()]), Filter::InStock(true), price(300, 900)], vec![4]),
        (vec![Filter::AttributeRange { name: "watts".into(), min: Some(7.0), max: None }], vec![7, 8, 9]),
        (vec![Filter::Attribute { name: "watts".into(), any_of: vec![FilterValue::Number(3.0)] }], vec![3]),
        (vec![Filter::Category(vec!["none".into()])], vec![]),
    ] {
        assert_eq!(like(&index, 5, &filters), wanted, "{filters:?}");
    }
}

#[test]
fn the_same_category_and_a_near_price_come_first() {
    let lamp = |key, category: &[&str], price| Document {
        category: category.iter().map(ToString::to_string).collect(),
        price: Some(price),
        ..titled(key, "desk lamp")
    };
    let index = index([
        lamp(1, &["home", "home/lamps"], 1_000),
        lamp(2, &["office"], 1_000),
        lamp(3, &["home", "home/desks"], 1_000),
        lamp(4, &["home", "home/lamps"], 9_000),
        lamp(5, &["home", "home/lamps"], 1_900),
        lamp(6, &["home", "home/lamps"], 1_333),
        lamp(7, &["office"], i64::MAX),
    ]);
    assert_eq!(like(&index, 1, &[]), [6, 5, 4, 3, 2, 7]);
    assert_eq!(like(&index, 7, &[]), [2, 1, 3, 4, 5, 6], "prices near the end of numbers");
}

#[test] // What titles are about is known from the thousandth on.
fn a_printer_is_like_printers_and_a_cartridge_like_cartridges() {
    let many = (100..1_300).map(|key: u64| {
        titled(key, &format!("{} {}", ["steel", "glass", "paper"][(key % 3) as usize], ["printer", "cartridge"][(key % 2) as usize]))
    });
    let few = ["Quokka Alto printer", "Quokka Basso printer", "Quokka Tenor cartridge for printer", "Quokka Mezzo cartridge for printer"];
    let index = index(many.chain((1..).zip(few).map(|(key, title)| titled(key, title))));
    assert_eq!(like(&index, 1, &[])[0], 2, "not what is for it");
    assert_eq!(like(&index, 3, &[])[0], 4);
}

#[test] // However long it is, so many words are looked for.
fn a_long_document_costs_no_more() {
    let words = |from: usize, to: usize| (from..to).map(|n| format!("word{n:04}")).collect::<Vec<_>>().join(" ");
    let long = |key| Document { title: words(0, 100), description: words(100, 4_000), ..Document::new(DocKey(key)) };
    // The words of the title that fewest have are those looked for, if they are within the bound.
    let rare = (10..10 + SIMILAR_TERMS_MAX as u64).map(|key| titled(key, &words(20, 100)));
    let index = index(
        [long(1), long(2), titled(3, &words(50, 60)), titled(4, &words(0, 12)), titled(5, &words(3_000, 3_100))].into_iter().chain(rare),
    );
    let found = like(&index, 1, &[]);
    assert_eq!((found[0], found.len()), (2, 2), "{found:?}");
    assert_eq!(found[1], 4, "not what has words that many have: {found:?}");
}

#[test]
fn bad_questions_are_refused() {
    let index = index([titled(1, "desk lamp"), titled(2, "desk lamp")]);
    let profile = index.profile(DocKey(1)).expect("it is there");
    let to = SimilarTo::new(profile.clone(), &index.frequencies(&profile));
    let asked = SimilarQuery { to, filters: Vec::new(), signals: Signals::default(), limit: 5 };
    let stock = |query: &SimilarQuery| index.similar_part(query, None).map(|hits| hits.len());
    assert_eq!(stock(&asked), Ok(1));
    assert_eq!(stock(&SimilarQuery { limit: 0, ..asked.clone() }), Err(QueryError::Limit { limit: 0 }));
    assert_eq!(stock(&SimilarQuery { limit: 101, ..asked.clone() }), Err(QueryError::Limit { limit: 101 }));
    assert_eq!(stock(&SimilarQuery { filters: vec![Filter::InStock(true)], ..asked.clone() }), Err(QueryError::NoLiveness));
    let signals = Signals { in_stock: 1, ..Signals::default() };
    assert_eq!(stock(&SimilarQuery { signals, ..asked.clone() }), Err(QueryError::NoLiveness));
    assert_eq!(stock(&SimilarQuery { filters: vec![Filter::Brand(Vec::new())], ..asked }), Err(QueryError::FilterValues { len: 0 }));
}

#[test] // Whatever is where, the answer is that of one index.
fn indexes_answer_as_one() {
    let documents: Vec<Document> = (0..300)
        .map(|key: u64| {
            let word = |nth: u64| format!("word{}", (key * (nth + 3) + nth * nth) % (7 + 5 * nth));
            let category = if key.is_multiple_of(3) { vec!["a".into()] } else { Vec::new() };
            Document {
                description: (4..12).map(word).collect::<Vec<_>>().join(" "),
                price: Some(100 + key as i64 % 7 * 100),
                category,
                ..titled(key, &(0..4).map(word).collect::<Vec<_>>().join(" "))
            }
        })
        .collect();
    let whole = index(documents.clone());
    let mut parts = [index([]), index([]), index([])];
    for document in documents.iter().rev() {
        parts[(document.key.0 % 3) as usize].upsert(document).expect("within bounds");
    }
    for key in (0..300).map(DocKey) {
        let profile = parts.iter().find_map(|part| part.profile(key)).expect("one has it");
        let mut frequencies = Frequencies::default();
        parts.iter().for_each(|part| frequencies.add(&part.frequencies(&profile)));
        let query = SimilarQuery { to: SimilarTo::new(profile, &frequencies), filters: Vec::new(), signals: Signals::default(), limit: 10 };
        let merged = merge_similar(parts.iter().map(|part| part.similar_part(&query, None).expect("within bounds")).collect(), 10);
        assert_eq!(Some(merged), whole.similar(key, &[], 10, None).expect("within bounds"), "{key:?}");
    }
}
