//! Products: what a write does to ids, versions, claims and stock rows. And idempotency, seen through products.

use super::Bench;
use crate::domain::product::tests::plain;
use crate::partition::{Done, IDEMPOTENCY_KEEP_MS, outbox::Target};
use crate::record::v1::{self, Command, OpeningStock, PeerOutcome};
use wire::{EventId, PartitionId, ProductId, Refusal, SkuId, Upserted};

fn put(content: &v1::Product) -> Command {
    Command::PutProduct(Box::new(content.clone()))
}

fn put_ok(bench: &mut Bench, content: &v1::Product) -> (ProductId, u64, Upserted) {
    match bench.run(put(content)) {
        Ok(Done::Product { id, version, what }) => (id, version, what),
        other => panic!("a product is written, not {other:?}"),
    }
}

fn sku_of(bench: &Bench, product: &str, variant: &str) -> Option<SkuId> {
    bench.partition.product_by_key(product)?.sku_of(variant)
}

/// The effects of the last command, in short.
fn asked(bench: &Bench) -> Vec<String> {
    let short = |id: &EventId| match &bench.partition.outbox().open[id].target {
        Target::Partition(_, Command::FinaliseSku { key, .. }) => format!("finalise {key}"),
        Target::Partition(_, Command::ReleaseSku { key, .. }) => format!("release {key}"),
        Target::Partition(to, Command::OpenStock { location, on_hand, .. }) => format!("open {location} {on_hand} at {}", to.0),
        other => panic!("products ask for nothing like {other:?}"),
    };
    bench.changes.effects.iter().map(short).collect()
}

fn stock(variant: &str, location: &str, on_hand: u32) -> OpeningStock {
    OpeningStock { variant: variant.to_owned(), location: location.to_owned(), partition: PartitionId(7), on_hand }
}

#[test]
fn writes_make_change_and_leave_alone() {
    let mut bench = Bench::new();
    let mut content = plain("P", &["A", "B"]);
    let (id, version, what) = put_ok(&mut bench, &content);
    assert_eq!((version, what, asked(&bench)), (1, Upserted::Created, vec!["finalise A".to_owned(), "finalise B".to_owned()]));
    assert_eq!(bench.changes.products, [id]);
    let (a, b) = (sku_of(&bench, "P", "A"), sku_of(&bench, "P", "B"));

    assert_eq!(put_ok(&mut bench, &content), (id, 1, Upserted::Unchanged));
    assert!(asked(&bench).is_empty() && bench.changes.products.is_empty());

    // B goes, C comes and stands first; A keeps its id.
    content.variants = plain("P", &["C", "A"]).variants;
    assert_eq!(put_ok(&mut bench, &content), (id, 2, Upserted::Updated));
    assert_eq!(asked(&bench), ["finalise C", "release B"]);
    assert_eq!((sku_of(&bench, "P", "A"), sku_of(&bench, "P", "B")), (a, None));
    assert_eq!(bench.partition.sku(a.expect("A has an id")).map(|(product, at)| (product.id, at)), Some((id, 1)));
    assert!(bench.partition.sku(b.expect("B had an id")).is_none());

    assert_eq!(bench.run(Command::DeleteProduct { product: id }), Ok(Done::Nothing));
    assert_eq!((asked(&bench), &bench.changes.products[..]), (vec!["release C".to_owned(), "release A".to_owned()], &[id][..]));
    assert!(bench.partition.product(id).is_none() && bench.partition.product_by_key("P").is_none());
    assert_eq!(bench.run(Command::DeleteProduct { product: id }), Err(Refusal::NotFound));
}

#[test]
fn a_margin_is_a_part_of_the_product() {
    let mut bench = Bench::new();
    let content = plain("P", &["A"]);
    let with = |margin| Command::PutProductWithMargin { content: Box::new(content.clone()), margin };
    let (id, ..) = put_ok(&mut bench, &content);
    let margin_of = |bench: &Bench| bench.partition.product(id).and_then(|product| product.margin);
    let mut digests = vec![bench.partition.digest()];
    for (command, version, what, margin) in [
        (with(40), 2, Upserted::Updated, Some(40)),
        (with(40), 2, Upserted::Unchanged, Some(40)),
        (with(-40), 3, Upserted::Updated, Some(-40)),
        (with(0), 4, Upserted::Updated, Some(0)),
        (put(&content), 5, Upserted::Updated, None),
    ] {
        assert_eq!(bench.run(command), Ok(Done::Product { id, version, what }));
        assert_eq!(margin_of(&bench), margin);
        digests.push(bench.partition.digest());
    }
    let refused = bench.run(with(101));
    assert!(matches!(&refused, Err(Refusal::Invalid(errors)) if errors[0].pointer == "/margin"), "{refused:?}");
    digests.dedup();
    assert_eq!(digests.len(), 6, "every command is a state of its own");
}

#[test]
fn versions_are_matched() {
    let mut bench = Bench::new();
    let content = plain("P", &["A"]);
    assert_eq!(bench.if_match(1, put(&content)), Err(Refusal::VersionMismatch { current: 0 }));
    let (product, ..) = put_ok(&mut bench, &content);
    let other = v1::Product { title: "Other".to_owned(), ..content };
    assert_eq!(bench.if_match(2, put(&other)), Err(Refusal::VersionMismatch { current: 1 }));
    assert!(bench.if_match(1, put(&other)).is_ok());
    assert_eq!(bench.if_match(1, Command::DeleteProduct { product }), Err(Refusal::VersionMismatch { current: 2 }));
}

#[test]
fn a_stock_row_is_asked_for_once() {
    let mut bench = Bench::new();
    let mut content = plain("P", &["A"]);
    content.stock = vec![stock("A", "main", 25)];
    put_ok(&mut bench, &content);
    assert_eq!(asked(&bench), ["finalise A", "open main 25 at 7"]);
    let opening = bench.changes.effects[1];

    content.stock = vec![stock("A", "main", 99), stock("A", "east", 1)];
    assert_eq!(put_ok(&mut bench, &content).2, Upserted::Unchanged);
    assert_eq!(asked(&bench), ["open east 1 at 7"]);

    // The location had no room: the next write asks again.
    let answer = PeerOutcome::Refused { why: "full".to_owned() };
    bench.run(Command::EffectAnswered { effect: opening, answer }).expect("answered");
    put_ok(&mut bench, &content);
    assert_eq!(asked(&bench), ["open main 99 at 7"]);
}

#[test]
fn bad_content_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    let mut content = plain("P", &["A"]);
    content.stock = vec![stock("Z", "main", 1)];
    let before = bench.partition.products().count();
    assert!(matches!(bench.run(put(&content)), Err(Refusal::Invalid(errors)) if errors[0].pointer == "/stock/0/variant"));
    assert_eq!((bench.partition.products().count(), bench.changes.effects.len()), (before, 0));
}

#[test]
fn a_key_gives_the_first_outcome_again_for_a_day() {
    let mut bench = Bench::new();
    let content = plain("P", &["A"]);
    let first = bench.keyed(1, 10, put(&content));
    let again = bench.keyed(1, 10, put(&content));
    assert_eq!((again.outcome.as_ref(), first.replayed, again.replayed), (first.outcome.as_ref(), false, true));
    assert_eq!(again.seq.0, first.seq.0 + 1, "a replay takes a number of its own");
    assert!(matches!(again.outcome, Ok(Done::Product { what: Upserted::Created, .. })), "the first outcome, not that of a second run");
    assert_eq!(bench.keyed(1, 11, put(&plain("Q", &["B"]))).outcome, Err(Refusal::IdempotencyKeyReused));
    assert!(bench.partition.product_by_key("Q").is_none());

    bench.time += IDEMPOTENCY_KEEP_MS;
    assert_eq!(bench.run(Command::RunTimers { max: 100 }), Ok(Done::Timers { more: false }));
    let third = bench.keyed(1, 10, put(&content));
    assert!(!third.replayed && matches!(third.outcome, Ok(Done::Product { what: Upserted::Unchanged, .. })));
}

#[test]
fn a_refusal_is_remembered_too() {
    let mut bench = Bench::new();
    let (product, ..) = put_ok(&mut bench, &plain("P", &["A"]));
    bench.run(Command::DeleteProduct { product }).expect("deleted");
    let gone = Command::DeleteProduct { product };
    assert_eq!(bench.keyed(5, 1, gone.clone()).outcome, Err(Refusal::NotFound));
    let again = bench.keyed(5, 1, gone);
    assert_eq!((again.outcome, again.replayed), (Err(Refusal::NotFound), true));
}

#[test]
fn time_never_goes_back() {
    let mut bench = Bench::new();
    let (late, ..) = put_ok(&mut bench, &plain("P", &["A"]));
    bench.time -= 500_000;
    let (later, ..) = put_ok(&mut bench, &plain("Q", &["B"]));
    assert!(later > late && later.0.time() == late.0.time());
}
