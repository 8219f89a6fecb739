//! Orders and money at the end: what buyers were told, what the shop's books say and what the provider's book says are one.
//!
//! Per order: one charge at most, taken and given back as the order says. In all: money in = money out + kept by orders that stand.

use super::{Violation, answers::Story, must, shadow::Shadow};
use crate::{
    domain::order::{EventKind, Order, PaymentState, Saga},
    partition::Partition,
    sim::provider::Provider,
};
use std::collections::{BTreeMap, BTreeSet};
use wire::{CartId, OrderStatus};

/// Has the order come to where nothing happens by itself any more?
pub(in crate::sim) fn is_at_rest(order: &Order) -> bool {
    matches!(order.saga, Saga::Open | Saga::Ended { .. })
}

/// Orders survive these, and none can happen: what is pinned does not expire, and this provider does not go back on what it said.
fn is_broken_promise(kind: EventKind) -> bool {
    match kind {
        EventKind::StockLost | EventKind::CaptureFailed | EventKind::VoidFailed | EventKind::RefundFailed | EventKind::RestockFailed => {
            true
        }
        EventKind::Placed
        | EventKind::Short
        | EventKind::Contended
        | EventKind::ActionRequired
        | EventKind::ActionTaken
        | EventKind::Authorised
        | EventKind::Declined
        | EventKind::Opened
        | EventKind::Captured
        | EventKind::Voided
        | EventKind::Refunded
        | EventKind::CancelRequested
        | EventKind::Cancelled
        | EventKind::Refused
        | EventKind::Expired => false,
    }
}

pub(in crate::sim) fn check(story: &Story, shadow: &Shadow, provider: &Provider) -> Result<(), Violation> {
    let (mut kept, mut referred) = (0, BTreeSet::new());
    let mut stands: BTreeMap<CartId, u32> = BTreeMap::new();
    for order in shadow.partitions().iter().flat_map(Partition::orders) {
        let id = order.id;
        if let Some(event) = order.events.iter().find(|event| is_broken_promise(event.kind)) {
            return Err(Violation::new(format!("order {id}: {} at {:?}", event.kind.as_str(), event.detail)));
        }
        let mut net = 0;
        for payment in &order.payments {
            let reference = payment.id.to_string();
            let account = provider.book.accounts.get(&reference).cloned().unwrap_or_default();
            let wanted = match payment.state {
                PaymentState::Captured { captured, refunded } => (captured, refunded, 0),
                PaymentState::Authorised => (0, 0, payment.amount.amount),
                PaymentState::Pending | PaymentState::Voided | PaymentState::Failed { .. } => (0, 0, 0),
            };
            let is = (account.captured(), account.refunded(), account.reserved());
            must(is == wanted, || format!("payment {reference} of order {id} is {:?}, in the provider's book {account:?}", payment.state))?;
            net += account.captured() - account.refunded();
            referred.insert(reference);
        }
        let stood = order.status == OrderStatus::Open;
        must(net == 0 || stood, || format!("order {id} is {:?} and keeps {net} of the buyer's money", order.status))?;
        must(!stood || !order.capture || net == order.totals.total.amount, || {
            format!("order {id} stands at {} and has {net}", order.totals.total.amount)
        })?;
        if stood {
            kept += net;
            *stands.entry(order.cart).or_default() += 1;
        }
        match story.orders.get(&id) {
            Some(told) => {
                must(told.cart == order.cart && told.status == order.status, || {
                    format!("order {id} is {:?}, its buyer was told {:?}", order.status, told.status)
                })?;
                must(told.total == order.totals.total.amount, || format!("order {id} has another total than its buyer was told"))?;
            }
            None => must(!stood, || format!("order {id} stands, and no buyer was told"))?,
        }
    }
    for (id, told) in &story.orders {
        let there = shadow.partition(id.partition()).order(*id).is_some();
        must(there || told.status == OrderStatus::Expired, || format!("order {id} was told to be {:?}, and is not there", told.status))?;
    }
    for (cart, orders) in &stands {
        must(*orders == 1, || format!("cart {cart} has {orders} orders"))?;
        let refused = story.refused_carts.get(cart);
        must(refused.is_none(), || format!("cart {cart} has an order, its buyer was refused: {refused:?}"))?;
    }
    let (mut taken, mut given_back) = (0, 0);
    for (reference, account) in &provider.book.accounts {
        let nobody = account.captured() > 0 || account.reserved() > 0;
        must(!nobody || referred.contains(reference), || {
            format!("the provider has money under {reference}, which no order knows: {account:?}")
        })?;
        taken += account.captured();
        given_back += account.refunded();
    }
    must(taken == given_back + kept, || format!("{taken} came in, {given_back} went out, {kept} are kept"))
}
