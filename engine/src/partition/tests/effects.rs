//! The outbox: leases, fences, and answers that come late or twice. Idempotency at its bound has its own tests beside the table.

use super::{context, sku};
use crate::partition::{
    orders::Work,
    outbox::{Concern, Target},
};
use crate::record::v1::Command;
use wire::{Millis, PartitionId, PaymentId, RawId};

fn adapter(payment: u128) -> Target {
    Target::Adapter { name: "sandbox".to_owned(), work: Work::Void { payment: PaymentId(RawId(payment)) } }
}

#[test]
fn an_effect_has_one_lease_at_a_time() {
    let mut parts = context(Millis(0));
    let mut ctx = parts.borrow();
    let (money, other) = (ctx.ask(Concern::None, adapter(1)), ctx.ask(Concern::None, adapter(2)));
    let stock = ctx.ask(
        Concern::None,
        Target::Partition(PartitionId(1), Command::FinaliseSku { key: "K".to_owned(), owner: "P".to_owned(), sku: sku(1) }),
    );
    let outbox = ctx.outbox;

    assert_eq!(outbox.lease(&[stock, money], 5, Millis(0), 100), [money], "only adapters take leases");
    assert_eq!(outbox.leasable(Millis(99)).map(|(id, _)| id).collect::<Vec<_>>(), [other]);
    assert_eq!(outbox.lease(&[money], 6, Millis(99), 100), []);
    assert_eq!(outbox.next_lease_end(), Some(Millis(100)));
    assert_eq!(outbox.lease(&[money], 7, Millis(100), 100), [money], "it ran out");
    assert_eq!(outbox.open[&money].lease.map(|lease| (lease.fence, lease.times)), Some((7, 2)));

    assert!(outbox.take_for_adapter(money, 5).is_none(), "the first holder's result comes too late");
    assert!(outbox.take_for_adapter(other, 0).is_none(), "nobody leased it");
    assert!(outbox.take_for_partition(money).is_none(), "a partition cannot answer for an adapter");
    assert!(outbox.take_for_adapter(stock, 7).is_none(), "nor the other way round");
    assert!(outbox.take_for_adapter(money, 7).is_some());
    assert!(outbox.take_for_adapter(money, 7).is_none(), "a repeat");
    assert!(outbox.take_for_partition(stock).is_some() && outbox.take_for_partition(stock).is_none());
    assert_eq!(outbox.open.len(), 1);
    outbox.check().expect("the index matches");
}

#[test]
fn effects_are_named_in_the_order_asked() {
    let mut parts = context(Millis(7));
    let mut ctx = parts.borrow();
    let ids: Vec<_> = (0..40).map(|n| ctx.ask(Concern::None, adapter(n))).collect();
    assert!(ids.is_sorted());
    assert_eq!(ctx.changes.effects, ids);
}
