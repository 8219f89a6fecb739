//! What may be asked a second time when nobody knows what came of the first.
//!
//! Read first: `again`, the table. Who asks again has the last word on when: a client of a cluster does after a lost connection or a change of leader.

use crate::{Op, Request};

/// What a second time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// Nothing is changed the first time either.
    Reads,
    /// It names itself, and is applied once under that name; or it says how something is to be.
    Named,
    /// It is applied again, unless the request has an idempotency key.
    Keyed,
}

const fn again(op: &Op) -> Again {
    match op {
        Op::GetProduct(_)
        | Op::ListCategories
        | Op::GetCategory(_)
        | Op::Search(_)
        | Op::Suggest { .. }
        | Op::GetAvailability(_)
        | Op::GetCart(_)
        | Op::GetOrder(_)
        | Op::GetStock(_)
        | Op::ListOrders { .. }
        | Op::CheckStock(_)
        | Op::GetInventory(_)
        | Op::StockHistory { .. }
        | Op::StockEvents { .. }
        | Op::AuditStock(_)
        | Op::Feed { .. }
        | Op::Snapshots { .. }
        | Op::GetSearchSetting { .. }
        | Op::ListSearchSettings { .. }
        | Op::SearchQueries { .. }
        | Op::SimilarProducts { .. }
        | Op::ClusterMap
        | Op::Replicas => Again::Reads,
        Op::Reserve(_)
        | Op::CommitReserved { .. }
        | Op::CommitReservedPart { .. }
        | Op::ExtendReserved { .. }
        | Op::ReleaseReserved { .. }
        | Op::ReceiveStock { .. }
        | Op::ChangeNode { .. } => Again::Named,
        Op::CreateCart { .. }
        | Op::AddLine { .. }
        | Op::SetLineQuantity { .. }
        | Op::SetAddress { .. }
        | Op::Checkout { .. }
        | Op::PaymentAction { .. }
        | Op::CancelOrder { .. }
        | Op::PutProduct(_)
        | Op::DeleteProduct(_)
        | Op::PutCategory(_)
        | Op::AdjustStock(_)
        | Op::TakeEffects { .. }
        | Op::EffectResult(_)
        | Op::AddNode(_)
        | Op::MoveApart(_)
        | Op::AnnounceDelivery(_)
        | Op::WithdrawDelivery { .. }
        | Op::ReceiveDelivery(_)
        | Op::SendTransfer(_)
        | Op::ArriveTransfer { .. }
        | Op::RecallTransfer { .. }
        | Op::SetStockPolicy(_)
        | Op::SetPurchaseLimit { .. }
        | Op::PutSearchSetting { .. }
        | Op::DeleteSearchSetting { .. } => Again::Keyed,
    }
}

impl Op {
    /// Whether it only reads: nothing is written to a log for it.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(again(self), Again::Reads)
    }
}

impl Request {
    /// Whether asking twice does no more than asking once, so that it can be asked again when it is not known what came of it: reads, reservations and what
    /// else names itself, and commands with an idempotency key.
    #[must_use]
    pub const fn may_repeat(&self) -> bool {
        match again(&self.op) {
            Again::Reads | Again::Named => true,
            Again::Keyed => self.idempotency.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CartId, HoldId, Idempotency, RawId, ShardId};

    #[test] // Each row: an operation; whether it reads, may be repeated as it is, and with a key.
    fn what_may_be_repeated() {
        let (hold, location) = (HoldId(RawId(1)), "main".to_owned());
        let cart = CartId(RawId(1));
        for (op, reads, bare, keyed) in [
            (Op::ListCategories, true, true, true),
            (Op::ClusterMap, true, true, true),
            (Op::GetCart(cart), true, true, true),
            (Op::Snapshots { shard: ShardId(0), take: true }, true, true, true),
            (Op::ReleaseReserved { hold, location: location.clone() }, false, true, true),
            (Op::ReceiveStock { id: 1, location, lines: Vec::new() }, false, true, true),
            (Op::SetLineQuantity { cart, line: crate::LineId(RawId(1)), quantity: 0 }, false, false, true),
            (Op::TakeEffects { shard: ShardId(0), adapters: Vec::new(), max: 1, lease_ms: 1, wait_ms: 1 }, false, false, true),
        ] {
            let bare_request = Request::system(op);
            let keyed_request = Request { idempotency: Some(Idempotency { key: 1, fingerprint: 1 }), ..bare_request.clone() };
            let found = (bare_request.op.is_read(), bare_request.may_repeat(), keyed_request.may_repeat());
            assert_eq!(found, (reads, bare, keyed), "{bare_request:?}");
        }
    }
}
