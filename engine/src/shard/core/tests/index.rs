//! What writes do to the index, and what becomes of it when there are none.

use super::*;
use search_index::Layout;

fn layout(node: &Node) -> Layout {
    node.cores[0].state.borrow().index.layout()
}

fn put(node: &mut Node, nth: u32, title: &str, price: i64) {
    let done = node.admin(product(&format!("p{nth}"), title, price, 1));
    assert!(matches!(done, Ok(Body::Upserted { .. })), "{done:?}");
}

/// Prices of what a text finds.
fn prices(node: &mut Node, text: &str) -> Vec<Option<i64>> {
    let query = SearchQuery { text: text.to_owned(), limit: 50, ..SearchQuery::default() };
    match node.admin(Op::Search(query)) {
        Ok(Body::Search(found)) => found.items.iter().map(|hit| hit.price.map(|price| price.amount)).collect(),
        other => panic!("results were expected, not {other:?}"),
    }
}

#[test]
fn a_price_is_changed_in_place() {
    let mut node = Node::start(1, Vec::new());
    for nth in 0..300 {
        put(&mut node, nth, "Garden chair", 100);
    }
    put(&mut node, 300, "Oak table", 100);
    node.advance(1);
    let before = layout(&node);
    put(&mut node, 300, "Oak table", 90);
    put(&mut node, 7, "Garden chair", 80);
    assert_eq!(layout(&node), before);
    assert_eq!(prices(&mut node, "oak table"), [Some(90)]);
    put(&mut node, 300, "Oak table, wide", 70);
    assert_ne!(layout(&node), before);
    assert_eq!((prices(&mut node, "wide"), prices(&mut node, "oak table")), (vec![Some(70)], vec![Some(70)]));
}

#[test]
fn an_index_at_rest_has_few_segments() {
    let mut node = Node::start(1, Vec::new());
    for nth in 0..900 {
        put(&mut node, nth, &format!("Chair number {nth}"), 100);
        node.advance(1);
    }
    let settle = |node: &mut Node| {
        for _ in 0..20_000 {
            let due = node.cores[0].next_wake();
            if due.is_none_or(|due| due > node.now.mono_us) {
                break;
            }
            node.advance(0);
        }
    };
    settle(&mut node);
    let many = layout(&node).segments;
    assert!(many > 1, "{:?}", layout(&node));
    node.advance(500);
    put(&mut node, 3, "Chair number 3", 90); // a price
    put(&mut node, 1_000, "Chair number 1000", 90); // a text: it is not at rest
    node.advance(600);
    settle(&mut node);
    assert_eq!(layout(&node).segments, many);
    node.advance(500);
    settle(&mut node);
    assert_eq!(layout(&node).segments, 1, "{:?}", layout(&node));
    assert_eq!(found(&mut node, "number 711", Vec::new())[..1], ["p711"]);
}
