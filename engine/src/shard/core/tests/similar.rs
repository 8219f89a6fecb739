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
