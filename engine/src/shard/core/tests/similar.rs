//! What is like a product, on one shard and on several.

use super::*;
use wire::{ProductRef, SearchHit};

fn similar(node: &mut Node, key: &str, filters: Vec<Filter>) -> Result<Vec<SearchHit>, Failure> {
    match node.call(Principal::Anonymous, Op::SimilarProducts { product: ProductRef::Key(key.to_owned()), filters, limit: 10 })? {
        Body::SimilarProducts(hits) => Ok(hits),
        other => panic!("products were expected, not {other:?}"),
    }
}

#[test]
fn what_is_like_a_product_does_not_depend_on_shards() {
    let lamps =
        ["Brass desk lamp", "Brass desk lamp, tall", "Brass floor lamp", "Oak desk", "Paper lamp", "Brass bowl", "Desk lamp, steel"];
    let mut answers = Vec::new();
    for shards in [1, 2, 5] {
        let mut node = Node::start(shards, Vec::new());
        for (nth, title) in lamps.iter().enumerate() {
            let put = product(&format!("p{nth}"), title, 1_000 + 100 * nth as i64, u32::from(nth != 1));
            assert!(matches!(node.admin(put), Ok(Body::Upserted { .. })));
        }
        let all: Vec<Vec<(String, f32)>> = (0..lamps.len())
            .map(|nth| {
                let hits = similar(&mut node, &format!("p{nth}"), Vec::new()).expect("it is for sale");
                assert!(hits.iter().all(|hit| hit.key != format!("p{nth}")));
                hits.into_iter().map(|hit| (hit.key, hit.score)).collect()
            })
            .collect();
        assert_eq!(all[0][0].0, "p1", "{all:?}");
        let in_stock = similar(&mut node, "p0", vec![Filter::InStock(true)]).expect("it is for sale");
        assert!(in_stock.iter().all(|hit| hit.in_stock && hit.key != "p1") && !in_stock.is_empty());
        assert_eq!(similar(&mut node, "none", Vec::new()), Err(Failure::Refused(Refusal::NotFound)));
        answers.push(all);
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
}

#[test] // Of the two rounds that one takes either may be late.
fn what_is_like_a_product_is_answered_in_time_with_what_there_is() {
    let mut node = Node::start(3, Vec::new());
    for key in 0..24 {
        assert!(matches!(node.admin(product(&key.to_string(), "Garden chair of oak", 100, 1)), Ok(Body::Upserted { .. })));
    }
    let all = similar(&mut node, "7", Vec::new()).expect("it is for sale");
    assert_eq!(all.len(), 10);
    let lost: [fn(&PeerMessage) -> bool; 2] = [
        |message| matches!(message, PeerMessage::Ask { ask: Ask::Frequencies(..), .. }),
        |message| matches!(message, PeerMessage::Ask { ask: Ask::Similar(..), .. }),
    ];
    for is_lost in lost {
        node.lose = Some(is_lost);
        let op = Op::SimilarProducts { product: ProductRef::Key("7".to_owned()), filters: Vec::new(), limit: 50 };
        let token = node.send(Request::system(op));
        node.advance(490);
        assert!(node.reply(token).is_none(), "it waits");
        node.advance(20);
        let found = node.reply(token).expect("it waits no longer").result;
        let Ok(Body::SimilarProducts(hits)) = found else { panic!("products were expected, not {found:?}") };
        assert!((1..=23).contains(&hits.len()) && hits.iter().all(|hit| hit.key != "7"), "{}", hits.len());
    }
}
