//! What products score: the same wherever they are.

use super::*;
use search_index::{CURSOR_BYTES, Cursor};

/// Titles with what each scores, the best first.
fn scores(node: &mut Node, text: &str) -> Vec<(String, Vec<(String, f32)>)> {
    let query = SearchQuery { text: text.to_owned(), limit: 50, explain: true, ..SearchQuery::default() };
    let items = match node.admin(Op::Search(query)) {
        Ok(Body::Search(found)) => found.items,
        other => panic!("results were expected, not {other:?}"),
    };
    let parts = |hit: wire::SearchHit| {
        let parts = hit.explanation.unwrap_or_default().into_iter();
        parts.map(|part| (format!("{} {}", part.what, part.detail.unwrap_or_default()), part.score)).collect()
    };
    items.into_iter().map(|hit| (hit.title.clone(), parts(hit))).collect()
}

#[test] // A word that few have is rarer on one shard than on another; what it weighs is told by all of them.
fn a_product_scores_the_same_on_any_number_of_shards() {
    let titles = |n: usize| match n % 7 {
        0 => "Oak chair",
        1 | 2 => "Chair",
        3 => "Oak table, wide",
        _ => "Lamp",
    };
    let mut nodes = [1, 3].map(|shards| Node::start(shards, Vec::new()));
    for n in 0..40 {
        for node in &mut nodes {
            assert!(matches!(node.admin(product(&n.to_string(), titles(n), 100, 1)), Ok(Body::Upserted { .. })));
        }
    }
    for text in ["oak chair", "chair", "oak lamp", "wide oak"] {
        let [alone, spread] = nodes.each_mut().map(|node| {
            let mut found = scores(node, text);
            // Ids, which tell equals apart, are drawn.
            found.sort_by(|a, b| a.0.cmp(&b.0));
            found
        });
        assert!(!alone.is_empty());
        assert_eq!(alone, spread, "{text}");
    }
}

#[test]
fn a_shard_that_does_not_say_what_it_has_makes_an_answer_partial() {
    let mut node = Node::start(3, Vec::new());
    for key in 0..24 {
        assert!(matches!(node.admin(product(&key.to_string(), "Garden chair", 100, 1)), Ok(Body::Upserted { .. })));
    }
    let is_asked = |message: &PeerMessage| matches!(message, PeerMessage::Ask { ask: Ask::Statistics(..), .. });
    node.lose = Some(is_asked);
    let query = SearchQuery { text: "garden chair".to_owned(), limit: 50, ..SearchQuery::default() };
    let token = node.send(Request::system(Op::Search(query)));
    node.advance(190);
    assert!(node.reply(token).is_none(), "it waits");
    node.advance(20);
    match node.reply(token).expect("it waits no longer, and has time to search").result {
        Ok(Body::Search(found)) => assert_eq!((found.items.len(), found.partial), (24, true), "others may know more of the words"),
        other => panic!("results were expected, not {other:?}"),
    }
}

#[test] // A cursor has the whole score in it, which counts what the shop earns by a product.
fn a_cursor_tells_nothing_and_cannot_be_made_up() {
    let mut node = Node::start(2, Vec::new());
    for key in 0..5 {
        assert!(matches!(node.admin(product(&key.to_string(), "Garden chair", 100, 1)), Ok(Body::Upserted { .. })));
    }
    let mut page = |after: Option<Vec<u8>>| {
        let query = SearchQuery { text: "garden chair".to_owned(), limit: 3, after, ..SearchQuery::default() };
        match node.call(Principal::Anonymous, Op::Search(query)) {
            Ok(Body::Search(found)) => Ok((found.items.len(), found.next)),
            Ok(other) => panic!("results were expected, not {other:?}"),
            Err(failure) => Err(failure),
        }
    };
    let (first, next) = page(None).expect("a page");
    let next = next.expect("there are more");
    assert_eq!((first, page(Some(next.clone()))), (3, Ok((2, None))));
    let again = page(None).expect("a page").1.expect("there are more");
    assert_ne!(next, again, "the same place looks otherwise each time");
    assert!(next.windows(CURSOR_BYTES).all(|bytes| Cursor::decode(bytes).is_err()), "it is not written there");
    for at in 0..next.len() {
        let mut spoiled = next.clone();
        spoiled[at] ^= 1;
        assert_eq!(page(Some(spoiled)), Err(Failure::Refused(Refusal::BadCursor)), "byte {at}");
        assert_eq!(page(Some(next[..at].to_vec())), Err(Failure::Refused(Refusal::BadCursor)), "cut at {at}");
    }
}
