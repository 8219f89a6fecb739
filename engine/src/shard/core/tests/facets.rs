//! What facets answer of a shop: the same however many shards it has, with what only the shop knows of its categories.

use super::*;
use wire::{Attribute, AttributeValue, CategoryInput, Facet, FacetQuery, FacetResult, FacetStats};

/// Twelve products of four kinds of lamps, and one without any of it.
fn shop(shards: u16) -> Node {
    let mut node = Node::start(shards, Vec::new());
    for n in 0..12 {
        let Op::PutProduct(mut input) = product(&format!("lamp-{n:02}"), "Lamp", 100 + n, 1) else { unreachable!("that is what it makes") };
        input.brand = Some(["Norden", "Süd & Ost", "Ostra"][n as usize % 3].to_owned());
        input.category = Some(["lamps/floor/tall", "lamps/floor", "lamps/desk", "torches"][n as usize % 4].to_owned());
        input.attributes = vec![Attribute { name: "n_watts".to_owned(), value: AttributeValue::Number(n as f64 / 2.0) }];
        assert!(matches!(node.admin(Op::PutProduct(input)), Ok(Body::Upserted { .. })));
    }
    let parent = Some("lamps/floor".to_owned());
    let named = |key: &str, name: &str, parent| CategoryInput { key: key.to_owned(), name: name.to_owned(), parent };
    for input in [named("lamps/desk", "On the desk", Some("lamps".to_owned())), named("none", "Nothing yet", parent)] {
        node.admin(Op::PutCategory(input)).expect("a category");
    }
    node
}

fn facet(node: &mut Node, query: SearchQuery) -> FacetResult {
    let query = SearchQuery { text: "lamp".to_owned(), limit: 1, ..query };
    match node.call(Principal::Anonymous, Op::Search(query)) {
        Ok(Body::Search(mut results)) => results.facets.remove(0),
        other => panic!("results were expected, not {other:?}"),
    }
}

/// Values as `value count`, with a star where one is selected, a category's place and name behind it.
fn shown(facet: &FacetResult) -> Vec<String> {
    let value = |value: &wire::FacetValue| {
        let star = if value.selected { "*" } else { "" };
        let place = value.category.as_ref().map(|it| {
            let parent = it.parent.as_deref().unwrap_or("-");
            format!(" {} {parent} {}", it.level, it.name.as_deref().unwrap_or("-"))
        });
        format!("{star}{} {}{}", value.value, value.count, place.unwrap_or_default())
    };
    facet.values.iter().map(value).collect()
}

#[test]
fn a_menu_knows_names_and_empty_categories() {
    for shards in [1, 3] {
        let mut node = shop(shards);
        let mut menu = |levels, chosen: &[&str]| {
            let chosen: Vec<String> = chosen.iter().map(|key| (*key).to_owned()).collect();
            let filters = if chosen.is_empty() { Vec::new() } else { vec![Filter::Category(chosen)] };
            shown(&facet(&mut node, SearchQuery { facets: vec![Facet::CategoryTree(levels)], filters, ..SearchQuery::default() }))
        };
        let (lamps, torches) = ("lamps 9 1 - lamps", "torches 3 1 - torches");
        let (floor, desk) = ("lamps/floor 6 2 lamps floor", "lamps/desk 3 2 lamps On the desk");
        let tall = "lamps/floor/tall 3 3 lamps/floor tall";
        assert_eq!(menu(1, &[]), [lamps, torches]);
        assert_eq!(menu(2, &[]), [lamps, floor, desk, torches]);
        assert_eq!(menu(1, &["lamps/desk"]), [lamps, floor, &format!("*{desk}"), torches]);
        assert_eq!(menu(1, &["none"]), [lamps, floor, tall, "*none 0 3 lamps/floor Nothing yet", desk, torches]);
        assert_eq!(menu(1, &["nowhere"]), [lamps, torches, "*nowhere 0 1 - -"]);
    }
}

#[test]
fn values_are_found_by_what_is_typed_on_all_shards() {
    for shards in [1, 3] {
        let mut node = shop(shards);
        let mut typed = |facet: Facet, text: &str| {
            let facet_queries = vec![FacetQuery { facet, text: text.to_owned() }];
            shown(&self::facet(&mut node, SearchQuery { facet_queries, ..SearchQuery::default() }))
        };
        assert_eq!(typed(Facet::Brand, "OST"), ["Ostra 4", "Süd & Ost 4"]);
        assert_eq!(typed(Facet::Brand, "sud o"), ["Süd & Ost 4"]);
        assert_eq!(typed(Facet::Category, "on the d"), ["lamps/desk 3 2 lamps On the desk"], "by its name");
        assert_eq!(typed(Facet::Category, "tall"), ["lamps/floor/tall 3 3 lamps/floor tall"]);
        assert_eq!(typed(Facet::Attribute("n_watts".to_owned()), "5."), ["5.5 1"]);
        let over = vec![FacetQuery { facet: Facet::Brand, text: "a".to_owned() }; wire::limits::FACET_QUERIES_MAX + 1];
        let long = vec![FacetQuery { facet: Facet::Brand, text: "a".repeat(257) }];
        for facet_queries in [over, long] {
            let query = SearchQuery { facet_queries, limit: 1, ..SearchQuery::default() };
            assert!(matches!(node.call(Principal::Anonymous, Op::Search(query)), Err(Failure::Refused(_))));
        }
    }
}

#[test]
fn averages_are_those_of_all_shards() {
    for shards in [1, 3] {
        let mut node = shop(shards);
        let mut of = |of: Facet| facet(&mut node, SearchQuery { facets: vec![of], ..SearchQuery::default() });
        assert_eq!(of(Facet::Price).stats, Some(FacetStats { min: 100.0, max: 111.0, avg: 106.0 }), "105.5, halves up");
        let watts = of(Facet::AttributeHistogram { name: "n_watts".to_owned(), buckets: 3 });
        assert_eq!(watts.stats, Some(FacetStats { min: 0.0, max: 5.5, avg: 2.75 }));
        assert_eq!(shown(&watts), ["0..4.9 10", "5..9.9 2"]);
        let ratings = of(Facet::Rating);
        assert_eq!((ratings.stats, shown(&ratings)), (None, own(&["4.. 0", "3.. 0", "2.. 0", "1.. 0"])));
    }
}

fn own(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
