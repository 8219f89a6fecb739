//! What a shop knows of its products has its share in relevance: one promise a test.

use std::cell::Cell;

use search_index::{
    Boost, Columns, DocKey, Document, Filter, Index, Live, Matching, Pin, Query, QueryError, SIGNAL_PERCENT_MAX, Settings, Signals, Sort,
};

/// Lamps 1 to 4 in this order of relevance, and a desk lamp 5.
fn documents() -> Vec<Document> {
    let titles =
        ["Lamp", "Lamp of brass", "Lamp of brass and glass", "Lamp of brass and glass and wood", "Desk with a lamp of brass and glass"];
    let known = [(0, None, 0), (3, Some(300), -40), (1_000, Some(480), 100), (50, None, 30), (2_000_000, Some(500), 60)];
    let document = |((key, title), (popularity, rating, margin)): ((u64, &&str), (i64, Option<u16>, i8))| Document {
        title: (*title).into(),
        popularity,
        rating,
        margin,
        price: Some(key as i64),
        ..Document::new(DocKey(key))
    };
    (1..).zip(&titles).zip(known).map(document).collect()
}

fn index() -> Index {
    Index::build(Settings::default(), documents()).expect("a few")
}

fn asked(text: &str, signals: Signals) -> Query {
    Query { text: Some(text.into()), signals, ..Query::default() }
}

/// All but the first are in stock.
const STOCK: Option<Live<'static>> = Some(&|key| key != DocKey(1));

/// Keys and scores.
fn scored(index: &Index, query: &Query) -> Vec<(u64, f32)> {
    index.search(query, STOCK).expect("within bounds").hits.iter().map(|hit| (hit.key.0, hit.score)).collect()
}

fn found(query: &Query) -> Vec<u64> {
    scored(&index(), query).into_iter().map(|(key, _)| key).collect()
}

const POPULARITY: Signals = Signals { popularity: 100, ..NOTHING };
const RATING: Signals = Signals { rating: 100, ..NOTHING };
const IN_STOCK: Signals = Signals { in_stock: 100, ..NOTHING };
const MARGIN: Signals = Signals { margin: 100, ..NOTHING };
const NOTHING: Signals = Signals { popularity: 0, rating: 0, in_stock: 0, margin: 0 };

#[test]
fn each_raises_what_has_more_of_it() {
    for (signals, wanted) in [
        (Signals::default(), [1, 2, 3, 4, 5]),
        (POPULARITY, [5, 3, 4, 2, 1]),
        (RATING, [5, 3, 2, 1, 4]), // unrated ones have none of it
        (IN_STOCK, [2, 3, 4, 5, 1]),
        (MARGIN, [3, 5, 4, 1, 2]), // one that costs the shop money has none of it
        (Signals { popularity: 1, ..Signals::default() }, [1, 2, 3, 4, 5]), // what is said still counts
    ] {
        let query = asked("lamp", signals);
        assert_eq!(found(&query), wanted, "{signals:?}");
        assert_eq!(found(&Query { total: true, ..query }), wanted, "{signals:?}, counted");
    }
}

#[test] // What a document gets is a share of what all words weigh, as a boost gives it whole.
fn a_signal_is_worth_hundredths_of_all_words() {
    let boosts = vec![Boost { filter: Filter::Price { min: None, max: None }, percent: 60 }];
    let score = |index: &Index, query: &Query, key: u64| {
        let of_key = scored(index, query).into_iter().find(|(other, _)| *other == key);
        f64::from(of_key.expect("it is there").1)
    };
    let whole = |text: &str, key| {
        score(&index(), &Query { boosts: boosts.clone(), ..asked(text, Signals::default()) }, key)
            - score(&index(), &asked(text, Signals::default()), key)
    };
    let part =
        |text: &str, signals, key| score(&index(), &asked(text, signals), key) - score(&index(), &asked(text, Signals::default()), key);
    for text in ["lamp", "desk lamp brass"] {
        for (signals, key, share) in [
            (Signals { popularity: 60, ..Signals::default() }, 5, 1.0),
            (Signals { popularity: 60, ..Signals::default() }, 3, 133.0 / 255.0),
            (Signals { popularity: 60, ..Signals::default() }, 1, 0.0),
            (Signals { rating: 60, ..Signals::default() }, 5, 1.0),
            (Signals { rating: 60, ..Signals::default() }, 2, 0.6),
            (Signals { rating: 60, ..Signals::default() }, 4, 0.0),
            (Signals { in_stock: 60, ..Signals::default() }, 1, 0.0),
            (Signals { in_stock: 60, ..Signals::default() }, 4, 1.0),
            (Signals { margin: 60, ..Signals::default() }, 3, 1.0),
            (Signals { margin: 60, ..Signals::default() }, 5, 0.6),
            (Signals { margin: 60, ..Signals::default() }, 2, 0.0),
            (Signals { popularity: 60, rating: 60, in_stock: 60, margin: 60 }, 5, 3.6),
        ] {
            let (part, whole) = (part(text, signals, key), whole(text, key));
            assert!((part - share * whole).abs() < 1e-4, "{text}, {signals:?}, {key}: {part} is not {share} of {whole}");
        }
    }
}

#[test]
fn they_are_counted_after_boosts() {
    // Boosts leave a score of 1, and signals come on top of that.
    let worst = vec![Boost { filter: Filter::Price { min: None, max: None }, percent: -400 }];
    assert_eq!(found(&Query { boosts: worst, ..asked("lamp", POPULARITY) }), [5, 3, 4, 2, 1]);
}

#[test]
fn they_find_and_lose_nothing() {
    let all = Signals { popularity: 400, rating: 400, in_stock: 400, margin: 400 };
    assert_eq!(found(&asked("nothing", all)), [0_u64; 0]);
    // Those with all words still come before those with some.
    let query = asked("lamp wood", all);
    assert_eq!(found(&query), [4, 5, 3, 2, 1]);
    assert_eq!(found(&Query { matching: Matching::All, ..query }), [4]);
}

#[test]
fn without_text_and_in_other_orders_they_change_nothing() {
    let all = Signals { popularity: 400, rating: 400, in_stock: 400, margin: 400 };
    for query in [Query { text: None, ..asked("", all) }, Query { sort: Sort::Price, ..asked("lamp", all) }] {
        assert_eq!(found(&query), found(&Query { signals: Signals::default(), ..query.clone() }));
    }
}

#[test]
fn scores_are_shown_alike_in_every_order() {
    let query = asked("lamp", Signals { popularity: 70, rating: 20, in_stock: 30, margin: 15 });
    let in_order = |query: &Query| {
        let mut scored = scored(&index(), query);
        scored.sort_by_key(|(key, _)| *key);
        scored
    };
    let wanted = in_order(&query);
    assert_eq!(wanted.len(), 5);
    assert_eq!(in_order(&Query { sort: Sort::Newest, ..query.clone() }), wanted);
    let pins = vec![Pin { place: 0, key: DocKey(3) }, Pin { place: 1, key: DocKey(1) }];
    assert_eq!(in_order(&Query { pins, ..query }), wanted);
}

#[test]
fn pages_neither_skip_nor_repeat() {
    let query = Query { limit: 1, ..asked("lamp", Signals { popularity: 20, rating: 10, in_stock: 30, margin: 15 }) };
    let wanted = found(&Query { limit: 20, ..query.clone() });
    let (index, mut keys, mut query) = (index(), Vec::new(), query);
    loop {
        let results = index.search(&query, STOCK).expect("within bounds");
        keys.extend(results.hits.iter().map(|hit| hit.key.0));
        query.after = results.next;
        if query.after.is_none() {
            break;
        }
    }
    assert_eq!(keys, wanted);
}

#[test]
fn a_change_in_place_is_seen_by_the_next_search() {
    let mut index = index();
    let mut best_of = |popularity| {
        index.set_columns(DocKey(2), Columns { popularity, ..Columns::default() }).expect("not reserved");
        scored(&index, &asked("lamp", POPULARITY))[0].0
    };
    assert_eq!(best_of(1 << 20), 2);
    assert_eq!(best_of(0), 5);
    let mut best_of = |margin| {
        index.set_columns(DocKey(2), Columns { margin, ..Columns::default() }).expect("not reserved");
        scored(&index, &asked("lamp", MARGIN))[0].0
    };
    assert_eq!(best_of(100), 2);
    assert_eq!(best_of(0), 3);
}

#[test] // For callers who do not tell it to everybody.
fn a_hit_says_what_of_its_score_is_for_its_margin() {
    let others = Signals { popularity: 20, ..NOTHING };
    for sort in [Sort::Relevance, Sort::Price] {
        let scores = |signals| -> Vec<(u64, f32, f32)> {
            let pins = vec![Pin { place: 0, key: DocKey(5) }];
            let hits = index().search(&Query { sort, pins, ..asked("lamp", signals) }, STOCK).expect("within bounds").hits;
            let mut scores: Vec<_> = hits.iter().map(|hit| (hit.key.0, hit.score, hit.of_margin)).collect();
            scores.sort_by_key(|(key, ..)| *key);
            scores
        };
        for (with, without) in scores(Signals { margin: 50, ..others }).into_iter().zip(scores(others)) {
            assert_eq!((with.0, without.2), (without.0, 0.0));
            assert!((with.1 - with.2 - without.1).abs() < 1e-4, "{with:?} is not {without:?}");
            assert_eq!(with.2 > 0.0, [3, 4, 5].contains(&with.0), "{with:?}");
        }
    }
}

#[test]
fn stock_is_asked_of_few() {
    let lamps = (0..20_000).map(|key| Document { title: "Lamp".into(), popularity: 20_000 - key as i64, ..Document::new(DocKey(key)) });
    let index = Index::build(Settings::default(), lamps).expect("within bounds");
    let asks = |signals: Signals| {
        let count = Cell::new(0);
        let live = |_: DocKey| {
            count.set(count.get() + 1);
            true
        };
        index.search(&Query { limit: 10, ..asked("lamp", signals) }, Some(&live)).expect("within bounds");
        count.get()
    };
    assert_eq!(asks(POPULARITY), 0);
    assert!((11..100).contains(&asks(IN_STOCK)), "equals do not get in once the page is full: {}", asks(IN_STOCK));
    let both = asks(Signals { popularity: 400, in_stock: 5, ..Signals::default() });
    assert!((11..5_000).contains(&both), "those far below the page are not asked about: {both}");
}

#[test]
fn what_is_over_a_bound_is_refused() {
    let all = |percent| Signals { popularity: percent, rating: percent, in_stock: percent, margin: percent };
    assert_eq!(asked("lamp", all(SIGNAL_PERCENT_MAX)).check(), Ok(()));
    let percent = SIGNAL_PERCENT_MAX + 1;
    for (signals, signal) in [
        (Signals { popularity: percent, ..Signals::default() }, "popularity"),
        (Signals { rating: percent, ..Signals::default() }, "rating"),
        (Signals { in_stock: percent, ..Signals::default() }, "in stock"),
        (Signals { margin: percent, ..Signals::default() }, "margin"),
    ] {
        assert_eq!(asked("lamp", signals).check(), Err(QueryError::SignalPercent { signal, percent }));
    }
}

#[test]
fn stock_needs_the_liveness_function() {
    for (signals, wanted) in [(IN_STOCK, Some(QueryError::NoLiveness)), (POPULARITY, None), (RATING, None), (MARGIN, None)] {
        let query = asked("lamp", signals);
        assert_eq!(query.needs_liveness(), wanted.is_some());
        assert_eq!(index().search(&query, None).err(), wanted);
    }
}
