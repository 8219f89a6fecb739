//! What shoppers search for: counted by whichever shard answered, told of all.

use super::*;
use wire::{CountedQuery, limits::POPULAR_SEARCHES_MIN};

/// Asks a given shard.
fn search_on(node: &mut Node, shard: usize, text: &str, after: Option<Vec<u8>>) -> Option<Vec<u8>> {
    let query = SearchQuery { text: text.to_owned(), limit: 1, after, ..SearchQuery::default() };
    node.next_token += 1;
    let token = CallToken(node.next_token);
    node.run([(shard, Input::Call { token, request: Request::system(Op::Search(query)) })].into());
    match node.reply(token).expect("nothing it waits for is outside").result {
        Ok(Body::Search(results)) => results.next,
        other => panic!("results were expected, not {other:?}"),
    }
}

fn queries(node: &mut Node, without_results: bool, limit: u16) -> String {
    match node.admin(Op::SearchQueries { without_results, limit }) {
        Ok(Body::SearchQueries(all)) => {
            let shown = |query: CountedQuery| format!("{} {}/{}", query.text, query.searches, query.without_results);
            all.into_iter().map(shown).collect::<Vec<_>>().join(", ")
        }
        other => panic!("queries were expected, not {other:?}"),
    }
}

#[test]
fn searches_are_counted_over_all_shards_and_popular_ones_suggested() {
    let mut node = Node::start(3, Vec::new());
    for (key, title) in [("1", "Garden chair"), ("2", "Garden table")] {
        assert!(matches!(node.admin(product(key, title, 100, 1)), Ok(Body::Upserted { .. })));
    }
    let suggested = |node: &mut Node| match node.admin(Op::Suggest { text: "Gar".to_owned(), limit: 5 }) {
        Ok(Body::Suggestions(found)) => found.queries,
        other => panic!("suggestions were expected, not {other:?}"),
    };
    for nth in 0..POPULAR_SEARCHES_MIN as usize - 1 {
        let next = search_on(&mut node, nth % 3, "Garden  chair", None);
        assert_eq!(search_on(&mut node, nth % 3, "Garden  chair", next), None, "a further page is no other search");
    }
    search_on(&mut node, 1, "garage", None);
    search_on(&mut node, 2, "garage", None);
    search_on(&mut node, 0, "zzzz", None);
    assert_eq!(queries(&mut node, false, 10), "garden chair 4/0, garage 2/2, zzzz 1/1");
    assert_eq!(queries(&mut node, true, 1), "garage 2/2");
    assert_eq!(suggested(&mut node), [""; 0], "what few typed is told to nobody");
    search_on(&mut node, 0, "garden chair", None);
    assert_eq!(suggested(&mut node), ["garden chair"]);
    // Nobody writes there what they like: no product has all of it, or it is no search for words.
    for nth in 0..2 * POPULAR_SEARCHES_MIN as usize {
        search_on(&mut node, nth % 3, "garden calls 555 0100", None);
        search_on(&mut node, nth % 3, "garden -calls", None);
        let narrowed =
            SearchQuery { text: "garden table".to_owned(), filters: vec![Filter::InStock(true)], limit: 1, ..SearchQuery::default() };
        assert!(node.call(Principal::Anonymous, Op::Search(narrowed)).is_ok());
    }
    assert_eq!(suggested(&mut node), ["garden chair"]);
    let all = Op::SearchQueries { without_results: false, limit: 10 };
    assert_eq!(node.call(Principal::Anonymous, all), Err(Failure::Refused(Refusal::Forbidden)));
}

#[test] // Shards that stand still are not waited for; the one that was asked always answers.
fn a_search_is_answered_in_time_with_what_there_is() {
    let mut node = Node::start(3, Vec::new());
    for key in 0..24 {
        assert!(matches!(node.admin(product(&key.to_string(), "Garden chair", 100, 1)), Ok(Body::Upserted { .. })));
    }
    let query = || Op::Search(SearchQuery { text: "garden chiar".to_owned(), limit: 50, total: true, ..SearchQuery::default() });
    let suggest = || Op::Suggest { text: "gar".to_owned(), limit: 50 };
    let found = |node: &mut Node, token| match node.reply(token)?.result {
        Ok(Body::Search(found)) => Some((found.items.len(), found.total, found.did_you_mean, found.partial)),
        Ok(Body::Suggestions(found)) => Some((found.products.len(), None, None, found.partial)),
        other => panic!("results were expected, not {other:?}"),
    };
    let (whole, all) = (node.send(Request::system(query())), node.send(Request::system(suggest())));
    assert_eq!(found(&mut node, whole), Some((24, Some(24), Some("garden chair".to_owned()), false)));
    assert_eq!(found(&mut node, all), Some((24, None, None, false)));
    let counted = queries(&mut node, false, 10);
    let alarms = |node: &Node| node.cores.iter().map(|core| core.state.borrow().waits.next_alarm()).collect::<Vec<_>>();
    let before = alarms(&node);

    let is_search = |message: &PeerMessage| matches!(message, PeerMessage::Ask { ask: Ask::Search { .. } | Ask::Suggest(..), .. });
    node.lose = Some(is_search);
    for op in [query(), suggest()] {
        let token = node.send(Request::system(op));
        node.advance(490);
        assert_eq!(found(&mut node, token), None, "it waits");
        node.advance(20);
        let (items, total, meant, partial) = found(&mut node, token).expect("it waits no longer");
        assert!(partial && (1..24).contains(&items) && meant.is_none(), "{items}");
        assert!(total.is_none_or(|total| total == items as u64));
    }
    node.lose = None;
    assert_eq!(queries(&mut node, false, 10), counted, "what it would have found nobody knows");
    let token = node.send(Request::system(query()));
    assert_eq!(found(&mut node, token).expect("all answer again").0, 24);
    assert_eq!(alarms(&node), before, "no alarm is left behind");
}
