//! What a merchant sets for the search: seen by the next search of any shard, and after a restart.

use super::*;
use wire::{
    Banner, Boost, Pin, ProductRef, QueryPattern, RANKING_KEY, Ranking, SearchRule, SearchSetting, SearchSettingKind, SearchSettingView,
    Synonyms,
};

fn shop(shards: u16) -> Node {
    let mut node = Node::start(shards, Vec::new());
    for (key, title) in [
        ("p-1", "Television 40 inch"),
        ("p-2", "Flat screen for the wall"),
        ("p-3", "TV stand, oak"),
        ("q-1", "Headphones, closed"),
        ("q-2", "Headphones, open"),
        ("q-3", "Headphones stand"),
        ("lamp", "Desk lamp"),
    ] {
        assert!(matches!(node.admin(product(key, title, 100, 1)), Ok(Body::Upserted { .. })));
    }
    node
}

fn put(node: &mut Node, key: &str, setting: SearchSetting) -> Result<(u64, Upserted), Failure> {
    match node.admin(Op::PutSearchSetting { key: key.to_owned(), setting })? {
        Body::SearchSetting { setting, what } => Ok((setting.version, what)),
        other => panic!("a setting was expected, not {other:?}"),
    }
}

fn own(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn key(key: &str) -> ProductRef {
    ProductRef::Key(key.to_owned())
}

fn rule(queries: &[&str]) -> SearchRule {
    SearchRule {
        queries: queries.iter().map(|text| QueryPattern::Contains((*text).to_owned())).collect(),
        enabled: true,
        ..SearchRule::default()
    }
}

fn put_rule(node: &mut Node, key: &str, rule: SearchRule) {
    put(node, key, SearchSetting::Rule(Box::new(rule))).expect("a rule");
}

fn search(node: &mut Node, text: &str) -> wire::SearchResults {
    match node.call(Principal::Anonymous, Op::Search(SearchQuery { text: text.to_owned(), limit: 10, ..SearchQuery::default() })) {
        Ok(Body::Search(results)) => *results,
        other => panic!("results were expected, not {other:?}"),
    }
}

#[test]
fn synonyms_are_in_the_next_search_and_in_those_after_a_restart() {
    for shards in [1, 3] {
        let mut node = shop(shards);
        let tv = |typed: &[&str], found: &[&str]| SearchSetting::Synonyms(Synonyms { typed: own(typed), found: own(found) });
        // What every shop knows, until a setting takes its place.
        assert_eq!(found(&mut node, "television", Vec::new()), ["p-1", "p-3"]);
        assert_eq!(put(&mut node, "common-television", tv(&["tv"], &["tv"])), Ok((1, Upserted::Created)));
        assert_eq!(found(&mut node, "television", Vec::new()), ["p-1"]);
        let all = ["tv", "television", "flat screen"];
        assert_eq!(put(&mut node, "tv", tv(&all, &all)), Ok((1, Upserted::Created)));
        let mut any = found(&mut node, "Televisions", Vec::new());
        any.sort();
        assert_eq!(any, ["p-1", "p-2", "p-3"]);
        node = node.restart(4 - shards);
        assert_eq!(found(&mut node, "flat screens", Vec::new()).len(), 3);
        assert_eq!(put(&mut node, "tv", tv(&["tv"], &["television"])), Ok((2, Upserted::Updated)));
        assert_eq!(found(&mut node, "television", Vec::new()), ["p-1"], "one way only");
        assert_eq!(found(&mut node, "tv", Vec::new()).len(), 2);
        let gone = Op::DeleteSearchSetting { kind: SearchSettingKind::Synonyms, key: "tv".to_owned() };
        assert_eq!(node.admin(gone.clone()), Ok(Body::Done));
        assert_eq!(node.admin(gone), Err(Failure::Refused(Refusal::NotFound)));
        assert_eq!(found(&mut node, "tv", Vec::new()), ["p-3"]);
    }
}

#[test] // Whichever shard has the products, the rules, or the search.
fn rules_pin_hide_boost_redirect_and_tell() {
    for shards in [1, 3] {
        let mut node = shop(shards);
        put_rule(
            &mut node,
            "headphones",
            SearchRule {
                pins: vec![Pin { place: 2, product: key("lamp") }],
                hidden: vec![key("q-3")],
                redirect: Some("/search?category=audio".to_owned()),
                banner: Some(Banner { text: "Sale".to_owned(), url: None }),
                ..rule(&["headphones"])
            },
        );
        // Reordered, in another number, and misspelt.
        for text in ["headphones", "open Headphone", "headfones"] {
            let results = search(&mut node, text);
            let keys: Vec<(&str, bool)> = results.items.iter().map(|hit| (hit.key.as_str(), hit.pinned)).collect();
            assert_eq!(keys[1], ("lamp", true), "{text}: {keys:?}");
            assert!(keys.iter().all(|(key, pinned)| *key != "q-3" && *pinned == (*key == "lamp")), "{text}: {keys:?}");
            assert_eq!(results.redirect.as_deref(), Some("/search?category=audio"));
            assert_eq!(results.banner.map(|banner| banner.text).as_deref(), Some("Sale"));
        }
        let other = search(&mut node, "stand");
        assert_eq!((other.items.len(), other.redirect, other.banner), (2, None, None));

        // A pin by another rule; the first by key is followed where both say something, and what is hidden is hidden.
        let more = SearchRule {
            pins: vec![Pin { place: 1, product: key("lamp") }, Pin { place: 1, product: key("q-3") }],
            redirect: Some("/other".to_owned()),
            ..rule(&["closed", "headphones"])
        };
        put_rule(&mut node, "other", more);
        let results = search(&mut node, "headphones");
        let keys: Vec<&str> = results.items.iter().map(|hit| hit.key.as_str()).collect();
        assert_eq!((keys[1], keys.len(), results.redirect.as_deref()), ("lamp", 3, Some("/search?category=audio")));

        let boosted = |percent| SearchRule {
            boosts: vec![Boost { filter: Filter::Price { min: Some(500), max: None }, percent }],
            ..rule(&["headphones"])
        };
        for text in ["headphones", "other"] {
            node.admin(Op::DeleteSearchSetting { kind: SearchSettingKind::Rule, key: text.to_owned() }).expect("it is there");
        }
        node.admin(product("q-9", "Headphones with a much longer name, in the red box", 900, 1)).expect("made");
        assert_ne!(found(&mut node, "headphones", Vec::new())[0], "q-9");
        put_rule(&mut node, "dear", boosted(200));
        assert_eq!(found(&mut node, "headphones", Vec::new())[0], "q-9");
        put_rule(&mut node, "dear", boosted(-200));
        assert_eq!(found(&mut node, "headphones", Vec::new()).last().map(String::as_str), Some("q-9"));
    }
}

#[test] // Whichever comes first by key; and not at all where the shopper wants no slips.
fn a_rule_for_what_was_typed_goes_before_those_for_what_may_have_been_meant() {
    for shards in [1, 3] {
        let mut node = shop(shards);
        for (key, query) in [("kitchen", "stove"), ("stores", "store")] {
            put_rule(&mut node, key, SearchRule { redirect: Some(format!("/{query}")), ..rule(&[query]) });
        }
        assert_eq!(search(&mut node, "stores").redirect.as_deref(), Some("/store"));
        assert_eq!(search(&mut node, "stovw").redirect.as_deref(), Some("/stove"));
        let exact = SearchQuery { text: "stovw".to_owned(), limit: 10, exact: true, ..SearchQuery::default() };
        let Ok(Body::Search(results)) = node.call(Principal::Anonymous, Op::Search(exact)) else { panic!("results") };
        assert_eq!(results.redirect, None);
        let telly = SearchSetting::Synonyms(Synonyms { typed: own(&["stovw"]), found: own(&["lamp"]) });
        put(&mut node, "telly", telly).expect("synonyms");
        let results = search(&mut node, "stovw");
        assert_eq!((results.items[0].key.as_str(), results.redirect), ("lamp", None), "it is a word of the shop's own");
    }
}

#[test]
fn popularity_and_a_shoppers_likings_count_as_much_as_is_set() {
    for shards in [1, 3] {
        let mut node = Node::start(shards, Vec::new());
        for (key, title, brand, popularity) in
            [("a", "Kettle", "Norden", 0), ("b", "Kettle of steel", "Sudwerk", 5_000), ("c", "Kettle of brass", "Ostra", 3)]
        {
            let Op::PutProduct(input) = product(key, title, 100, 1) else { unreachable!("it is one") };
            let input = ProductInput { brand: Some(brand.to_owned()), popularity, ..*input };
            assert!(matches!(node.admin(Op::PutProduct(Box::new(input))), Ok(Body::Upserted { .. })));
        }
        assert_eq!(found(&mut node, "kettle", Vec::new())[0], "a");
        let ranking = |popularity| SearchSetting::Ranking(Ranking { popularity, ..Ranking::default() });
        assert_eq!(put(&mut node, RANKING_KEY, ranking(100)), Ok((1, Upserted::Created)));
        assert_eq!(found(&mut node, "kettle", Vec::new())[0], "b");
        let get = Op::GetSearchSetting { kind: SearchSettingKind::Ranking, key: RANKING_KEY.to_owned() };
        let Ok(Body::SearchSetting { setting, .. }) = node.admin(get.clone()) else { panic!("a setting") };
        assert_eq!(setting.setting, ranking(100));
        assert_eq!(put(&mut node, RANKING_KEY, ranking(0)), Ok((2, Upserted::Updated)));
        let mut liking = |preferences| {
            let query = SearchQuery { text: "kettle".to_owned(), limit: 10, preferences, ..SearchQuery::default() };
            match node.call(Principal::Anonymous, Op::Search(query)) {
                Ok(Body::Search(results)) => results.items[0].key.clone(),
                other => panic!("results were expected, not {other:?}"),
            }
        };
        let brand = |name: &str, percent| Boost { filter: Filter::Brand(own(&[name])), percent };
        assert_eq!(liking(vec![]), "a");
        assert_eq!(liking(vec![brand("Ostra", 100), brand("Norden", -100)]), "c");
        let many =
            SearchQuery { preferences: vec![brand("Ostra", 1); wire::limits::PREFERENCES_MAX + 1], limit: 1, ..SearchQuery::default() };
        assert!(matches!(node.admin(Op::Search(many)), Err(Failure::Refused(Refusal::LimitReached { .. }))));
    }
}

#[test] // In the order for everybody; by name and number for those who write products alone.
fn margins_count_as_much_as_is_set_and_shoppers_are_not_told() {
    const MERCHANT: Principal = Principal::Staff { role: Role::Merchandiser };
    for shards in [1, 3] {
        let mut node = Node::start(shards, Vec::new());
        let write = |node: &mut Node, key: &str, title: &str, margin| {
            let Op::PutProduct(input) = product(key, title, 100, 1) else { unreachable!("it is one") };
            match node.call(MERCHANT, Op::PutProduct(Box::new(ProductInput { margin, ..*input }))) {
                Ok(Body::Upserted { version, what, .. }) => Ok((version, what)),
                Ok(other) => panic!("a product was expected, not {other:?}"),
                Err(failure) => Err(failure),
            }
        };
        for (key, title, margin) in [("a", "Kettle", None), ("b", "Kettle of steel", Some(60)), ("c", "Kettle of brass", Some(-30))] {
            assert_eq!(write(&mut node, key, title, margin), Ok((1, Upserted::Created)));
        }
        assert!(
            matches!(write(&mut node, "a", "Kettle", Some(101)), Err(Failure::Refused(Refusal::Invalid(errors))) if errors[0].pointer == "/margin")
        );
        assert_eq!(found(&mut node, "kettle", Vec::new())[0], "a");
        let ranking = SearchSetting::Ranking(Ranking { margin: 100, proximity: 20, ..Ranking::default() });
        assert_eq!(put(&mut node, RANKING_KEY, ranking.clone()), Ok((1, Upserted::Created)));
        assert_eq!(put(&mut node, RANKING_KEY, ranking.clone()), Ok((1, Upserted::Unchanged)));
        let get = Op::GetSearchSetting { kind: SearchSettingKind::Ranking, key: RANKING_KEY.to_owned() };
        assert!(matches!(node.admin(get), Ok(Body::SearchSetting { setting, .. }) if setting.setting == ranking));
        assert_eq!(found(&mut node, "kettle", Vec::new())[0], "b");

        let search = |node: &mut Node, principal| {
            let query = SearchQuery { text: "kettle".to_owned(), limit: 10, explain: true, ..SearchQuery::default() };
            match node.call(principal, Op::Search(query)) {
                Ok(Body::Search(results)) => results.items[0].clone(),
                other => panic!("results were expected, not {other:?}"),
            }
        };
        for (principal, tells) in [
            (Principal::Anonymous, false),
            (Principal::Staff { role: Role::Support }, false),
            (MERCHANT, true),
            (Principal::Staff { role: Role::Admin }, true),
        ] {
            let hit = search(&mut node, principal);
            let parts = hit.explanation.expect("asked for");
            assert_eq!((hit.key.as_str(), parts.iter().any(|part| part.what == "margin")), ("b", tells), "{principal:?}");
            assert!((parts.iter().map(|part| part.score).sum::<f32>() - hit.score).abs() < 0.01, "{parts:?} {}", hit.score);
            let Ok(Body::Product(view)) = node.call(principal, Op::GetProduct(key("b"))) else { panic!("a product") };
            assert_eq!(view.margin, tells.then_some(60), "{principal:?}");
        }

        assert_eq!(write(&mut node, "c", "Kettle of brass", Some(90)), Ok((2, Upserted::Updated)));
        assert_eq!(write(&mut node, "c", "Kettle of brass", Some(90)), Ok((2, Upserted::Unchanged)));
        assert_eq!(found(&mut node, "kettle", Vec::new())[0], "c");
        assert_eq!(write(&mut node, "c", "Kettle of brass", None), Ok((3, Upserted::Updated)));
        assert_eq!(found(&mut node, "kettle", Vec::new())[0], "b");
    }
}

#[test]
fn a_hit_says_what_its_score_is_made_of() {
    for shards in [1, 3] {
        let mut node = shop(shards);
        put_rule(
            &mut node,
            "boost",
            SearchRule { boosts: vec![Boost { filter: Filter::Brand(own(&["Korvan"])), percent: 50 }], ..rule(&["lamp"]) },
        );
        let mut search = |explain| {
            let query = SearchQuery { text: "dsek lamps".to_owned(), limit: 10, explain, ..SearchQuery::default() };
            match node.call(Principal::Anonymous, Op::Search(query)) {
                Ok(Body::Search(results)) => results.items[0].clone(),
                other => panic!("results were expected, not {other:?}"),
            }
        };
        assert_eq!(search(false).explanation, None);
        let hit = search(true);
        let parts = hit.explanation.expect("asked for");
        let said: Vec<String> = parts.iter().map(|part| format!("{} {}", part.what, part.detail.as_deref().unwrap_or_default())).collect();
        assert_eq!(said, ["word dsek, found as desk", "word lamps", "title_as_typed desk", "boost 1"]);
        assert!((parts.iter().map(|part| part.score).sum::<f32>() - hit.score).abs() < 0.01, "{parts:?} {}", hit.score);
    }
}

#[test] // Each row: from, until and enabled, and whether it does anything now and an hour later.
fn a_rule_has_its_time() {
    const HOUR_MS: u64 = 60 * 60 * 1_000;
    for (from, until, enabled, wanted) in [
        (None, None, true, [true, true]),
        (None, None, false, [false, false]),
        (Some(1), None, true, [false, true]),
        (None, Some(1), true, [true, false]),
        (Some(2), Some(3), true, [false, false]),
    ] {
        let mut node = shop(1);
        let at = |hours: u64| node.now.wall.plus(hours * HOUR_MS);
        let (from, until) = (from.map(at), until.map(at));
        put_rule(&mut node, "r", SearchRule { hidden: vec![key("lamp")], from, until, enabled, ..rule(&["lamp"]) });
        let hidden = [0, HOUR_MS].map(|ms| {
            node.advance(ms);
            found(&mut node, "lamp", Vec::new()).is_empty()
        });
        assert_eq!(hidden, wanted, "{from:?} {until:?} {enabled}");
    }
}

#[test]
fn what_cannot_be_set_is_refused_and_what_is_set_can_be_read() {
    let mut node = shop(2);
    let refused = |said: Result<(u64, Upserted), Failure>| match said {
        Err(Failure::Refused(Refusal::Invalid(fields))) => format!("{} {}", fields[0].pointer, fields[0].code),
        other => panic!("a refusal was expected, not {other:?}"),
    };
    let synonyms = |typed: &[&str]| SearchSetting::Synonyms(Synonyms { typed: own(typed), found: own(&["tv"]) });
    assert_eq!(refused(put(&mut node, "a", synonyms(&["telly", "..."]))), "/typed/1 bad_synonym");
    assert_eq!(refused(put(&mut node, "a", synonyms(&["one two three four five"]))), "/typed/0 bad_synonym");
    assert_eq!(refused(put(&mut node, "", synonyms(&["telly"]))), "/key too_short");
    let bad = |rule| SearchSetting::Rule(Box::new(rule));
    let hidden = vec![key("lamp")];
    assert_eq!(refused(put(&mut node, "a", bad(SearchRule { hidden: hidden.clone(), ..rule(&["!"]) }))), "/queries/0 bad_query");
    assert_eq!(refused(put(&mut node, "a", bad(SearchRule { hidden: vec![key("none")], ..rule(&["tv"]) }))), "/hide/0 unknown_product");
    let in_stock = vec![Boost { filter: Filter::InStock(true), percent: 10 }];
    assert_eq!(refused(put(&mut node, "a", bad(SearchRule { boosts: in_stock, ..rule(&["tv"]) }))), "/boost/0/filter bad_filter");

    for name in ["c", "a", "b"] {
        put_rule(&mut node, name, SearchRule { hidden: hidden.clone(), ..rule(&["tv"]) });
    }
    let list = |node: &mut Node, after: Option<&str>| {
        let (kind, after) = (SearchSettingKind::Rule, after.map(str::to_owned));
        match node.admin(Op::ListSearchSettings { kind, limit: 2, after }) {
            Ok(Body::SearchSettings(views)) => views.into_iter().map(|view| view.key).collect::<Vec<_>>(),
            other => panic!("settings were expected, not {other:?}"),
        }
    };
    assert_eq!((list(&mut node, None), list(&mut node, Some("b"))), (own(&["a", "b"]), own(&["c"])));
    let get = |key: &str| Op::GetSearchSetting { kind: SearchSettingKind::Rule, key: key.to_owned() };
    let Ok(Body::SearchSetting { setting, .. }) = node.admin(get("b")) else { panic!("a setting") };
    let SearchSettingView { version: 1, setting: SearchSetting::Rule(shown), .. } = *setting else { panic!("a new rule") };
    assert!(matches!(shown.hidden[..], [ProductRef::Id(_)]), "products are kept by id");
    assert_eq!(node.admin(get("none")), Err(Failure::Refused(Refusal::NotFound)));
    assert_eq!(node.call(Principal::Anonymous, get("b")), Err(Failure::Refused(Refusal::Forbidden)));
    let staff = Principal::Staff { role: Role::Warehouse };
    let put = Op::PutSearchSetting { key: "b".to_owned(), setting: synonyms(&["telly"]) };
    assert_eq!(node.call(staff, put), Err(Failure::Refused(Refusal::Forbidden)));
    node.check();
}
