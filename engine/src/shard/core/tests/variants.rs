//! Products with variants: found, counted and shown by their options. And by words that may be slips.

use super::*;
use wire::{Facet, OptionChoice, Sort};

/// One shirt in three variants, and a lamp.
fn shop(shards: u16) -> Node {
    let mut node = Node::start(shards, Vec::new());
    let Op::PutProduct(mut shirt) = product("shirt", "Plain shirt", 0, 0) else { unreachable!("that is what it makes") };
    let variant = |key: &str, colour: &str, size: &str, amount| VariantInput {
        key: key.to_owned(),
        options: [("colour", colour), ("size", size)]
            .map(|(name, value)| OptionChoice { name: name.to_owned(), value: value.to_owned() })
            .to_vec(),
        prices: vec![Money { amount, currency: Currency::USD }],
        barcodes: Vec::new(),
    };
    shirt.variants =
        vec![variant("red-s", "Red", "S", 1_000), variant("red-m", "Red", "M", 1_200), variant("blue-m", "Sky Blue", "M", 900)];
    let stock = |key: &str, on_hand| OpeningStock { variant: key.to_owned(), location: "main".to_owned(), on_hand };
    shirt.stock = vec![stock("red-s", 0), stock("red-m", 5), stock("blue-m", 5)];
    node.admin(Op::PutProduct(shirt)).expect("stored");
    let Op::PutProduct(mut lamp) = product("lamp", "Brass lamp", 500, 1) else { unreachable!("that is what it makes") };
    lamp.description = "At seven bels of noise".to_owned();
    node.admin(Op::PutProduct(lamp)).expect("stored");
    let Op::PutProduct(belts) = product("belts", "Leather belts", 500, 1) else { unreachable!("that is what it makes") };
    node.admin(Op::PutProduct(belts)).expect("stored");
    node
}

fn found(node: &mut Node, query: SearchQuery) -> wire::SearchResults {
    match node.call(Principal::Anonymous, Op::Search(SearchQuery { limit: 5, ..query })) {
        Ok(Body::Search(results)) => *results,
        other => panic!("results were expected, not {other:?}"),
    }
}

fn option(name: &str, value: &str) -> Filter {
    Filter::Attribute { name: name.to_owned(), values: vec![value.to_owned()] }
}

#[test] // Text, filters, order, the price of the variant that is shown.
fn the_variant_that_was_asked_for_is_shown() {
    let none = Vec::new;
    let price = |min, max| Filter::Price { min, max };
    for (text, filters, sort, wanted) in [
        ("shirt", none(), Sort::Relevance, 1_200), // the first that can be had
        ("shirt sky blue", none(), Sort::Relevance, 900),
        ("blue shirts", none(), Sort::Relevance, 1_200), // no option is called so
        ("sky blue", none(), Sort::Relevance, 900),      // found by it
        ("red shirt", none(), Sort::Relevance, 1_200),
        ("red shirt s", none(), Sort::Relevance, 1_000), // as typed, though it is sold out
        ("shirt", vec![option("colour", "Sky Blue")], Sort::Relevance, 900),
        ("shirt", vec![option("colour", "Red"), option("size", "S")], Sort::Relevance, 1_000),
        ("red shirt", vec![option("colour", "Sky Blue")], Sort::Relevance, 900), // what was chosen counts before what was typed
        ("shirt", vec![price(Some(850), Some(950))], Sort::Relevance, 900),
        ("shirt", none(), Sort::Price, 900),
        ("shirt", none(), Sort::PriceDescending, 900), // its price in that order
    ] {
        for shards in [1, 2] {
            let shown =
                found(&mut shop(shards), SearchQuery { text: text.to_owned(), filters: filters.clone(), sort, ..SearchQuery::default() });
            let prices: Vec<i64> = shown.items.iter().filter_map(|hit| Some(hit.price?.amount)).collect();
            assert_eq!((prices, shown.items[0].in_stock), (vec![wanted], true), "{text} {filters:?}");
        }
    }
}

#[test]
fn options_are_counted_by_product() {
    let facets = vec![Facet::Attribute("colour".to_owned()), Facet::Attribute("size".to_owned())];
    let mut node = shop(1);
    let mut counts = |filters| {
        let results = found(&mut node, SearchQuery { text: "shirt".to_owned(), filters, facets: facets.clone(), ..SearchQuery::default() });
        results.facets.iter().flat_map(|facet| &facet.values).map(|value| format!("{} {}", value.value, value.count)).collect::<Vec<_>>()
    };
    let all = ["Red 1", "Sky Blue 1", "M 1", "S 1"];
    assert_eq!(counts(Vec::new()), all);
    assert_eq!(counts(vec![option("colour", "Red")]), all);
    assert_eq!(counts(vec![option("colour", "Green")]), ["Red 1", "Sky Blue 1", "Green 0"]);
}

#[test]
fn what_is_found_by_doubting_a_word_is_shown() {
    for shards in [1, 3] {
        let mut node = shop(shards);
        let typed = SearchQuery { text: "leather bels".to_owned(), highlight: true, total: true, ..SearchQuery::default() };
        let results = found(&mut node, typed.clone());
        assert_eq!(results.items.iter().map(|hit| &*hit.key).collect::<Vec<_>>()[..1], ["belts"]);
        assert_eq!(results.items[0].highlight.as_ref().map(|marked| &*marked.title), Some("<em>Leather</em> <em>belts</em>"));
        assert_eq!((results.total, results.did_you_mean.as_deref()), (Some(1), Some("leather belts")));
        let exact = found(&mut node, SearchQuery { exact: true, ..typed });
        assert!(exact.relaxed, "one has leather, and one has bels");
    }
}
