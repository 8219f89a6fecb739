//! What whoever runs a shop may set for a query, one promise a test.

use search_index::{
    AttributeValue, BOOST_PERCENT_MAX, BOOSTS_MAX, Boost, Cursor, DocKey, Document, FacetCounts, FacetField, FacetRequest, Filter,
    FilterValue, HIDDEN_MAX, Index, LIMIT_MAX, Live, Matching, PINS_MAX, Pin, Query, QueryError, Results, Settings, Sort, merge,
};

/// Lamps 1 to 6 in this order of relevance, a desk lamp 7, desks 8 and 9. Odd ones are red, those below 5 of brand A; the price is the key times 100.
fn documents() -> Vec<Document> {
    let titles = [
        "Lamp",
        "Lamp of brass",
        "Lamp of brass and glass",
        "Lamp of brass and glass and wood",
        "Lamp of brass and glass and wood and stone",
        "Lamp of brass and glass and wood and stone and some more things",
        "Desk lamp",
        "Desk",
        "Desk of wood",
    ];
    let document = |(key, title): (u64, &&str)| Document {
        title: (*title).into(),
        brand: Some(if key < 5 { "A" } else { "B" }.into()),
        category: vec![if key < 8 { "lamps" } else { "desks" }.into()],
        price: Some(100 * key as i64),
        popularity: 100 - key as i64,
        attributes: vec![("red".into(), AttributeValue::Bool(key % 2 == 1)), ("size".into(), AttributeValue::Number(key as f64))],
        ..Document::new(DocKey(key))
    };
    (1..).zip(&titles).map(document).collect()
}

fn index() -> Index {
    Index::build(Settings::default(), documents()).expect("a few")
}

fn asked(text: &str) -> Query {
    Query { text: Some(text.into()), limit: 4, matching: Matching::All, ..Query::default() }
}

/// Pins as place and key.
type Pairs<'a> = &'a [(u16, u64)];

fn pins(pins: Pairs<'_>) -> Vec<Pin> {
    pins.iter().map(|(place, key)| Pin { place: *place, key: DocKey(*key) }).collect()
}

fn keys(results: &Results) -> Vec<u64> {
    results.hits.iter().map(|hit| hit.key.0).collect()
}

fn found(query: &Query) -> Vec<u64> {
    keys(&index().search(query, None).expect("within bounds"))
}

/// Every page, of one index and of two that share the documents.
fn pages(query: &Query) -> Vec<Vec<u64>> {
    let one = index();
    let of = |odd: bool| documents().into_iter().filter(move |document| (document.key.0 % 2 == 1) == odd);
    let two = [true, false].map(|odd| Index::build(Settings::default(), of(odd)).expect("a few"));
    let read = |search: &dyn Fn(&Query) -> Results| {
        let (mut pages, mut query) = (Vec::new(), query.clone());
        loop {
            let results = search(&query);
            pages.push(keys(&results));
            let Some(next) = results.next else { return pages };
            query.after = Some(Cursor::decode(&next.encode()).expect("what was encoded can be decoded"));
        }
    };
    let parts = |query: &Query| two.iter().map(|index| index.search_part(query, None).expect("within bounds")).collect();
    let pages = read(&|query| one.search(query, None).expect("within bounds"));
    // Scores are each index's own: what is compared is where which pins are, and how many others there are on each page.
    let shape = |pages: &[Vec<u64>]| {
        let pinned = |key: &u64| query.pins.iter().any(|pin| pin.key.0 == *key).then_some(*key);
        pages.iter().map(|page| page.iter().map(pinned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let merged = read(&|query| merge(parts(query), query));
    assert_eq!(shape(&merged), shape(&pages), "several indexes answer as one: {query:?}");
    if query.sort != Sort::Relevance || query.text.is_none() {
        assert_eq!(merged, pages, "{query:?}");
    }
    pages
}

#[test] // Pins as place and key, the pages of four hits for `lamp`.
fn pins_stand_on_the_first_page_and_nowhere_else() {
    let rows: [(Pairs<'_>, &[&[u64]]); 9] = [
        (&[], &[&[1, 7, 2, 3], &[4, 5, 6]]),
        (&[(0, 3)], &[&[3, 1, 7, 2], &[4, 5, 6]]),
        (&[(2, 8)], &[&[1, 7, 8, 2], &[3, 4, 5, 6]]), // whether or not it matches
        (&[(0, 6), (3, 5)], &[&[6, 1, 7, 5], &[2, 3, 4]]),
        (&[(1, 8), (1, 9)], &[&[1, 8, 9, 7], &[2, 3, 4, 5], &[6]]), // the first given comes first
        (&[(99, 8)], &[&[1, 7, 2, 8], &[3, 4, 5, 6]]),              // as far down as the page goes
        (&[(0, 77)], &[&[1, 7, 2, 3], &[4, 5, 6]]),                 // there is none such
        (&[(0, 8), (1, 9), (2, 6), (3, 5)], &[&[8, 9, 6, 5], &[1, 7, 2, 3], &[4]]), // a page of nothing else
        (&[(0, 8), (1, 9), (2, 6), (3, 5), (4, 1)], &[&[8, 9, 6, 5], &[7, 2, 3, 4]]), // of too many the last do not appear
    ];
    for (pinned, wanted) in rows {
        let query = Query { pins: pins(pinned), ..asked("lamp") };
        assert_eq!(pages(&query), wanted, "{pinned:?}");
        assert_eq!(pages(&Query { total: true, ..query }), wanted, "{pinned:?}, counted");
    }
}

#[test]
fn a_shorter_page_has_pins_at_its_end() {
    let query = Query { pins: pins(&[(30, 1), (20, 2)]), limit: 20, ..asked("desk") };
    assert_eq!(found(&query), [8, 9, 7, 2, 1]);
    assert_eq!(found(&Query { text: Some("nothing".into()), ..query }), [2, 1]);
}

#[test]
fn pins_work_without_text() {
    let query = Query { text: None, pins: pins(&[(1, 9)]), ..asked("") };
    assert_eq!(pages(&query), [vec![1, 9, 2, 3], vec![4, 5, 6, 7], vec![8]]);
    let all = Query { text: None, pins: pins(&[(0, 9), (1, 8), (2, 7), (3, 6)]), ..asked("") };
    assert_eq!(pages(&all), [vec![9, 8, 7, 6], vec![1, 2, 3, 4], vec![5]]);
}

#[test]
fn in_other_orders_pins_are_hits_like_any_other() {
    let query = Query { pins: pins(&[(0, 9), (0, 3)]), sort: Sort::PriceDesc, ..asked("lamp") };
    assert_eq!(pages(&query), [vec![9, 7, 6, 5], vec![4, 3, 2, 1]]);
    // Even where the others have only some of the words.
    let some = Query { text: Some("lamp nothing".into()), matching: Matching::AllThenAny, ..query };
    assert_eq!(pages(&some), [vec![9, 7, 6, 5], vec![4, 3, 2, 1]]);
    assert!(!index().search(&Query { text: Some("nothing".into()), ..some }, None).expect("within bounds").relaxed);
}

#[test]
fn a_hit_says_whether_it_is_pinned() {
    for sort in [Sort::Relevance, Sort::Price] {
        let query = Query { pins: pins(&[(0, 3), (1, 8)]), sort, limit: 20, ..asked("lamp") };
        let results = index().search(&query, None).expect("within bounds");
        let mut pinned: Vec<u64> = results.hits.iter().filter(|hit| hit.pinned).map(|hit| hit.key.0).collect();
        pinned.sort_unstable();
        assert_eq!(pinned, [3, 8]);
        let score = |key: u64| results.hits.iter().find(|hit| hit.key.0 == key).expect("it is there").score;
        assert!(score(3) > 0.0 && score(8) == 0.0, "as what it says");
    }
}

#[test]
fn pinned_documents_pass_the_filters_or_are_not_there() {
    let live: Live<'_> = &|key| key.0 != 3;
    let query = Query { pins: pins(&[(0, 8), (1, 3), (2, 2)]), ..asked("lamp") };
    for (filter, wanted) in [
        (Filter::Category(vec!["lamps".into()]), vec![1, 3, 2, 7]),
        (Filter::Brand(vec!["A".into()]), vec![1, 3, 2, 4]),
        (Filter::Price { min: Some(300), max: None }, vec![8, 3, 7, 4]),
        (Filter::Attribute { name: "red".into(), any_of: vec![FilterValue::Bool(false)] }, vec![8, 4, 2, 6]),
        (Filter::InStock(true), vec![8, 1, 2, 7]),
        (Filter::InStock(false), vec![3]),
    ] {
        for total in [false, true] {
            let query = Query { filters: vec![filter.clone()], total, ..query.clone() };
            let results = index().search(&query, Some(live)).expect("within bounds");
            assert_eq!(keys(&results), wanted, "{filter:?}");
        }
    }
}

#[test]
fn quotations_and_forbidden_words_do_not_keep_pins_away() {
    for text in ["\"desk lamp\"", "desk -wood"] {
        let query = Query { pins: pins(&[(0, 9)]), ..asked(text) };
        assert_eq!(found(&query)[0], 9, "{text}");
        assert_eq!(found(&Query { total: true, ..query })[0], 9, "{text}");
    }
}

#[test]
fn hidden_documents_are_nowhere() {
    let hidden = vec![DocKey(1), DocKey(7), DocKey(77)];
    let query = Query { hidden, pins: pins(&[(0, 7), (1, 8)]), ..asked("lamp") };
    assert_eq!(pages(&query), [vec![2, 8, 3, 4], vec![5, 6]], "not even if pinned");
    assert_eq!(pages(&Query { sort: Sort::PriceDesc, ..query.clone() }), [vec![8, 6, 5, 4], vec![3, 2]]);
    assert_eq!(pages(&Query { text: None, ..query })[0], [2, 8, 3, 4]);
}

fn brands(results: &Results) -> Vec<u64> {
    let FacetCounts::Values(values) = &results.facets[0].counts else { unreachable!("brands are counted by value") };
    values.iter().map(|value| value.count).collect()
}

#[test]
fn totals_and_facets_count_what_is_found() {
    let facets = vec![FacetRequest::new(FacetField::Brand, 10)];
    let query = Query { facets, total: true, pins: pins(&[(0, 1), (1, 9)]), hidden: vec![DocKey(2)], ..asked("lamp") };
    for sort in [Sort::Relevance, Sort::Price] {
        let results = index().search(&Query { sort, ..query.clone() }, None).expect("within bounds");
        // Of A: 1, 3, 4; of B: 5, 6, 7 and the pinned desk.
        assert_eq!((results.total, brands(&results)), (Some(7), vec![4, 3]), "a pinned document counts once");
        // Facets count as if their own filter were not there, of pinned documents too.
        let filtered = Query { filters: vec![Filter::Brand(vec!["A".into()])], sort, ..query.clone() };
        let results = index().search(&filtered, None).expect("within bounds");
        assert_eq!((results.total, brands(&results)), (Some(3), vec![4, 3]));
    }
}

#[test]
fn whether_any_has_all_words_is_judged_without_pins() {
    // Only 7 has both words.
    let query = Query { matching: Matching::AllThenAny, total: true, limit: 20, ..asked("desk lamp") };
    let results = index().search(&query, None).expect("within bounds");
    assert_eq!((results.total, results.hits[0].key.0), (Some(1), 7));
    for pinned in [7, 1] {
        let query = Query { pins: pins(&[(3, pinned)]), ..query.clone() };
        let results = index().search(&query, None).expect("within bounds");
        let (total, relaxed) = if pinned == 7 { (9, true) } else { (2, true) };
        assert_eq!((results.total, results.relaxed), (Some(total), relaxed), "{pinned} is pinned");
        let by_price = index().search(&Query { sort: Sort::Price, ..query }, None).expect("within bounds");
        assert_eq!((by_price.total, by_price.relaxed), (Some(total), pinned == 7), "{pinned} is pinned");
        assert_eq!(by_price.hits.len() as u64, total);
    }
    let hidden = Query { hidden: vec![DocKey(7)], ..query };
    assert_eq!(index().search(&hidden, None).expect("within bounds").total, Some(8), "what is hidden is not there to judge by");
}

#[test]
fn boosts_move_documents_up_and_down() {
    let boost = |filter, percent| Boost { filter, percent };
    let b = || Filter::Brand(vec!["B".into()]);
    let dear = || Filter::Price { min: Some(550), max: None };
    let large = || Filter::AttributeRange { name: "size".into(), min: Some(4.5), max: Some(5.5) };
    let rated = || Filter::Rating { min: Some(1), max: None };
    let lamps = || Filter::Category(vec!["lamps".into()]);
    let rows: [(Vec<Boost>, [u64; 7]); 9] = [
        (vec![], [1, 7, 2, 3, 4, 5, 6]),
        (vec![boost(b(), 100)], [7, 5, 6, 1, 2, 3, 4]),
        (vec![boost(b(), -100)], [1, 2, 3, 4, 7, 5, 6]),
        (vec![boost(b(), -300)], [1, 2, 3, 4, 5, 6, 7]), // all of these have 1 left, so that keys decide
        (vec![boost(dear(), 100)], [7, 6, 1, 2, 3, 4, 5]),
        (vec![boost(b(), 100), boost(large(), 100)], [5, 7, 6, 1, 2, 3, 4]),
        (vec![boost(b(), 100), boost(dear(), -200)], [5, 1, 2, 3, 4, 7, 6]),
        (vec![boost(lamps(), 400)], [1, 7, 2, 3, 4, 5, 6]),
        (vec![boost(rated(), 400)], [1, 7, 2, 3, 4, 5, 6]),
    ];
    for (boosts, wanted) in rows {
        let query = Query { boosts, limit: 20, ..asked("lamp") };
        assert_eq!(found(&query), wanted, "{:?}", query.boosts);
        assert_eq!(found(&Query { total: true, ..query.clone() }), wanted, "{:?}, counted", query.boosts);
    }
}

#[test]
fn boosts_find_and_lose_nothing() {
    let boosts = vec![Boost { filter: Filter::Category(vec!["desks".into()]), percent: 400 }];
    assert_eq!(found(&Query { boosts: boosts.clone(), limit: 20, ..asked("lamp") }).len(), 7);
    let worst = vec![Boost { filter: Filter::Category(vec!["lamps".into()]), percent: -400 }];
    assert_eq!(found(&Query { boosts: worst, limit: 20, ..asked("lamp") }).len(), 7);
    // Those with all words still come before those with some.
    let query = Query { boosts: boosts.clone(), matching: Matching::AllThenAny, limit: 20, ..asked("desk lamp") };
    assert_eq!(found(&query)[..3], [7, 8, 9]);
    // Without text, and in other orders, they change nothing.
    for query in [Query { text: None, ..asked("") }, Query { sort: Sort::Price, ..asked("lamp") }] {
        assert_eq!(found(&Query { boosts: boosts.clone(), ..query.clone() }), found(&query));
    }
}

#[test]
fn boosts_together_give_no_more_than_one_can() {
    let of = |percents: &[i16]| {
        let boosts = percents.iter().map(|percent| Boost { filter: Filter::Brand(vec!["B".into()]), percent: *percent }).collect();
        let query = Query { boosts, limit: 20, ..asked("lamp") };
        index().search(&query, None).expect("within bounds").hits.iter().map(|hit| (hit.key, hit.score.to_bits())).collect::<Vec<_>>()
    };
    assert_eq!(of(&[BOOST_PERCENT_MAX; BOOSTS_MAX]), of(&[BOOST_PERCENT_MAX]));
    assert_eq!(of(&[-BOOST_PERCENT_MAX; BOOSTS_MAX]), of(&[-BOOST_PERCENT_MAX]));
    assert_eq!(of(&[300, -100]), of(&[200]));
}

#[test]
fn rules_may_change_between_pages() {
    let first = index().search(&asked("lamp"), None).expect("within bounds");
    let boosts = vec![Boost { filter: Filter::Rating { min: None, max: None }, percent: 10 }];
    let later = Query { after: first.next, pins: pins(&[(0, 8)]), hidden: vec![DocKey(5)], boosts, ..asked("lamp") };
    assert_eq!(found(&later), [4, 6]);
}

#[test]
fn what_is_over_a_bound_is_refused() {
    let refused = |query: Query| query.check().expect_err("over a bound");
    let pinned = |count: u64| Query { pins: (0..count).map(|key| Pin { place: 1, key: DocKey(key) }).collect(), ..Query::default() };
    assert_eq!(pinned(PINS_MAX as u64).check(), Ok(()));
    assert_eq!(refused(pinned(PINS_MAX as u64 + 1)), QueryError::TooManyPins { len: PINS_MAX + 1 });
    let place = LIMIT_MAX as u16;
    assert_eq!(Query { pins: pins(&[(place - 1, 1)]), ..Query::default() }.check(), Ok(()));
    assert_eq!(refused(Query { pins: pins(&[(place, 1)]), ..Query::default() }), QueryError::PinPlace { place });
    assert_eq!(refused(Query { pins: pins(&[(1, 7), (2, 7)]), ..Query::default() }), QueryError::PinnedTwice { key: DocKey(7) });
    let hidden = |len| Query { hidden: vec![DocKey(1); len], ..Query::default() };
    assert_eq!(hidden(HIDDEN_MAX).check(), Ok(()));
    assert_eq!(refused(hidden(HIDDEN_MAX + 1)), QueryError::TooManyHidden { len: HIDDEN_MAX + 1 });
    let boosts = |filter: Filter, percent, len| Query { boosts: vec![Boost { filter, percent }; len], ..Query::default() };
    let any = Filter::Price { min: None, max: None };
    for percent in [BOOST_PERCENT_MAX, -BOOST_PERCENT_MAX] {
        assert_eq!(boosts(any.clone(), percent, BOOSTS_MAX).check(), Ok(()));
    }
    for percent in [BOOST_PERCENT_MAX + 1, -BOOST_PERCENT_MAX - 1, i16::MIN] {
        assert_eq!(refused(boosts(any.clone(), percent, 1)), QueryError::BoostPercent { percent });
    }
    assert_eq!(refused(boosts(any, 1, BOOSTS_MAX + 1)), QueryError::TooManyBoosts { len: BOOSTS_MAX + 1 });
    assert_eq!(refused(boosts(Filter::InStock(true), 1, 1)), QueryError::BoostOfStock);
    assert_eq!(refused(boosts(Filter::Brand(Vec::new()), 1, 1)), QueryError::FilterValues { len: 0 });
}
