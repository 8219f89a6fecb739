//! Who is at the other end of a connection, and what it may ask.
//!
//! Path: handshake (TLS has checked the chain, the dates and the key usages) → [`Identity::of_certificate`] reads the name → for each
//! request [`Identity::may`]. Read first: `reach`, the table of operations. Deliberately absent: users of the shop; a gateway
//! proves those and states them in [`crate::Request::principal`].

use crate::{Op, Principal, Request};
use std::{fmt, str::FromStr, sync::Arc};
use x509_parser::prelude::GeneralName;

/// Names of all identities end in it (SPIFFE's trust domain).
pub const TRUST_DOMAIN: &str = "emporion.local";
/// Bytes of an identity's name.
pub const NAME_BYTES_MAX: usize = 64;

/// A part of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Speaks for shops and buyers.
    Gateway,
    /// Holds the data.
    Engine,
    /// Does effects outside, such as payments.
    Adapter,
}

impl Part {
    /// As written in names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Engine => "engine",
            Self::Adapter => "adapter",
        }
    }

    /// The DNS name its certificates have besides the URI, since TLS libraries check a server by DNS name.
    #[must_use]
    pub fn dns_name(self) -> String {
        format!("{}.{TRUST_DOMAIN}", self.as_str())
    }
}

/// One process, by the name in its certificate: `spiffe://emporion.local/gateway/web-1`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    part: Part,
    name: Arc<str>,
}

impl Identity {
    /// Names a process.
    ///
    /// # Errors
    /// [`IdentityError::Name`] unless `name` is 1 to [`NAME_BYTES_MAX`] of `a-z 0-9 - . _`.
    pub fn new(part: Part, name: &str) -> Result<Self, IdentityError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
        // SPIFFE has no path segments "." and "..".
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) || name == "." || name == ".." {
            return Err(IdentityError::Name { found: name.chars().take(NAME_BYTES_MAX).collect() });
        }
        Ok(Self { part, name: name.into() })
    }

    /// What it is.
    #[must_use]
    pub const fn part(&self) -> Part {
        self.part
    }

    /// Which of its kind it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name in a certificate (DER) whose chain was already checked: its only URI.
    ///
    /// # Errors
    /// If it has no URI, several, or one that names nobody of ours.
    pub fn of_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let unreadable = |error: &dyn fmt::Display| IdentityError::Certificate { why: error.to_string() };
        let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|error| unreadable(&error))?;
        let names = certificate.subject_alternative_name().map_err(|error| unreadable(&error))?;
        let mut uris = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None, // a foreign type, with many forms of names
        });
        match (uris.next(), uris.next()) {
            (Some(uri), None) => uri.parse(),
            (None, _) => Err(IdentityError::Uris { found: 0 }),
            (Some(_), Some(_)) => Err(IdentityError::Uris { found: 2 + uris.count() }),
        }
    }

    /// May it send this? A pure table; nothing else is asked.
    #[must_use]
    pub fn may(&self, request: &Request) -> bool {
        let system = request.principal == Principal::System;
        match (self.part, reach(&request.op)) {
            (Part::Gateway | Part::Adapter | Part::Engine, Reach::Anyone) => true,
            (Part::Gateway, Reach::Shop) => !system,
            (Part::Adapter, Reach::Effects) => system,
            (Part::Engine, Reach::Shop | Reach::Effects | Reach::Operation) => true,
            (Part::Gateway, Reach::Effects | Reach::Operation) | (Part::Adapter, Reach::Shop | Reach::Operation) => false,
        }
    }
}

/// Who an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Whoever is let in, to find its way; on behalf of anyone.
    Anyone,
    /// Buyers and staff, by way of a gateway.
    Shop,
    /// Adapters.
    Effects,
    /// The engine's own operation.
    Operation,
}

const fn reach(op: &Op) -> Reach {
    match op {
        Op::GetProduct(_)
        | Op::ListCategories
        | Op::GetCategory(_)
        | Op::Search(_)
        | Op::Suggest { .. }
        | Op::GetAvailability(_)
        | Op::CreateCart { .. }
        | Op::GetCart(_)
        | Op::AddLine { .. }
        | Op::SetLineQuantity { .. }
        | Op::SetAddress { .. }
        | Op::Checkout { .. }
        | Op::GetOrder(_)
        | Op::PaymentAction { .. }
        | Op::CancelOrder { .. }
        | Op::PutProduct(_)
        | Op::DeleteProduct(_)
        | Op::PutCategory(_)
        | Op::AdjustStock(_)
        | Op::GetStock(_)
        | Op::ListOrders { .. }
        | Op::Reserve(_)
        | Op::CommitReserved { .. }
        | Op::CommitReservedPart { .. }
        | Op::ExtendReserved { .. }
        | Op::ReleaseReserved { .. }
        | Op::ReceiveStock { .. }
        | Op::MoveApart(_)
        | Op::AnnounceDelivery(_)
        | Op::WithdrawDelivery { .. }
        | Op::ReceiveDelivery(_)
        | Op::SendTransfer(_)
        | Op::ArriveTransfer { .. }
        | Op::RecallTransfer { .. }
        | Op::GetInventory(_)
        | Op::SetStockPolicy(_)
        | Op::SetPurchaseLimit { .. }
        | Op::StockHistory { .. }
        | Op::StockEvents { .. }
        | Op::AuditStock(_)
        | Op::Feed { .. }
        | Op::Snapshots { .. }
        | Op::PutSearchSetting { .. }
        | Op::DeleteSearchSetting { .. }
        | Op::GetSearchSetting { .. }
        | Op::ListSearchSettings { .. }
        | Op::SearchQueries { .. }
        | Op::SimilarProducts { .. } => Reach::Shop,
        Op::TakeEffects { .. } | Op::EffectResult(_) => Reach::Effects,
        Op::CheckStock(_) | Op::Replicas | Op::AddNode(_) | Op::ChangeNode { .. } => Reach::Operation,
        Op::ClusterMap => Reach::Anyone,
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{TRUST_DOMAIN}/{}/{}", self.part.as_str(), self.name)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;
    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let foreign = || IdentityError::Foreign { found: uri.chars().take(200).collect() };
        let path = uri.strip_prefix("spiffe://").and_then(|rest| rest.strip_prefix(TRUST_DOMAIN)).and_then(|rest| rest.strip_prefix('/'));
        let (part, name) = path.and_then(|path| path.split_once('/')).ok_or_else(foreign)?;
        let part = [Part::Gateway, Part::Engine, Part::Adapter].into_iter().find(|known| known.as_str() == part).ok_or_else(foreign)?;
        Self::new(part, name)
    }
}

/// Why a certificate names nobody who may connect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// It is no name.
    #[error("a name is 1 to {NAME_BYTES_MAX} of a-z 0-9 - . _, not {found:?}")]
    Name {
        /// The beginning of what was found.
        found: String,
    },
    /// It names somebody else's.
    #[error("wanted spiffe://{TRUST_DOMAIN}/(gateway|engine|adapter)/NAME, found {found:?}")]
    Foreign {
        /// The beginning of what was found.
        found: String,
    },
    /// One certificate is one identity.
    #[error("a certificate has one URI among its names, this one has {found}")]
    Uris {
        /// How many.
        found: usize,
    },
    /// It is another part of the system than belongs there.
    #[error("wanted an identity of the {wanted:?}, found {found}")]
    Part {
        /// What belongs there.
        wanted: Part,
        /// Who is there.
        found: Identity,
    },
    /// It is another process than belongs there.
    #[error("wanted {wanted}, found {found}")]
    Other {
        /// Who belongs there.
        wanted: Identity,
        /// Who is there.
        found: Identity,
    },
    /// The peer showed none.
    #[error("the peer showed no certificate")]
    Missing,
    /// No certificate at all.
    #[error("the certificate cannot be read: {why}")]
    Certificate {
        /// The parser's words.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EffectOutcome, EffectResult, EventId, NodeId, NodeStanding, RawId, Role, ShardId};

    #[test] // Each row: a URI, and whether it names one of ours.
    fn names() {
        for (uri, good) in [
            ("spiffe://emporion.local/gateway/web-1", true),
            ("spiffe://emporion.local/engine/node_2.a", true),
            ("spiffe://emporion.local/adapter/sandbox", true),
            ("spiffe://emporion.local/gateway/", false),
            ("spiffe://emporion.local/gateway", false),
            ("spiffe://emporion.local/gateway/a/b", false),
            ("spiffe://emporion.local/gateway/..", false),
            ("spiffe://emporion.local/gateway/Web", false),
            ("spiffe://emporion.local/admin/a", false),
            ("spiffe://emporion.local.evil.example/gateway/a", false),
            ("spiffe://evil.example/gateway/a", false),
            ("https://emporion.local/gateway/a", false),
            ("", false),
        ] {
            let read = uri.parse::<Identity>();
            assert_eq!(read.is_ok(), good, "{uri}");
            if let Ok(identity) = read {
                assert_eq!(identity.to_string(), uri);
            }
        }
        assert!(Identity::new(Part::Engine, &"a".repeat(NAME_BYTES_MAX)).is_ok());
        assert!(Identity::new(Part::Engine, &"a".repeat(NAME_BYTES_MAX + 1)).is_err());
    }

    #[test] // Each row: an operation and principal, then whether gateway, adapter and engine may send it.
    fn who_may_ask_what() {
        let effect = EffectResult { id: EventId(RawId(1)), fence: 1, outcome: EffectOutcome::Succeeded };
        let take = Op::TakeEffects { shard: ShardId(0), adapters: Vec::new(), max: 1, lease_ms: 1, wait_ms: 1 };
        let change = Op::ChangeNode { node: NodeId(1), address: None, zone: None, region: None, standing: Some(NodeStanding::Removed) };
        let (admin, system) = (Principal::Staff { role: Role::Admin }, Principal::System);
        for (op, principal, gateway, adapter) in [
            (Op::ListCategories, Principal::Anonymous, true, false),
            (Op::ListCategories, admin, true, false),
            (Op::ListCategories, system, false, false),
            (take.clone(), system, false, true),
            (take, admin, false, false),
            (Op::EffectResult(effect.clone()), system, false, true),
            (Op::EffectResult(effect), admin, false, false),
            (Op::ClusterMap, Principal::Anonymous, true, true),
            (Op::ClusterMap, system, true, true),
            (Op::CheckStock(ShardId(0)), system, false, false),
            (Op::CheckStock(ShardId(0)), admin, false, false),
            (change.clone(), system, false, false),
            (change, admin, false, false),
        ] {
            let request = Request { principal, ..Request::system(op) };
            let may = |part| Identity::new(part, "a").expect("a name").may(&request);
            assert_eq!((may(Part::Gateway), may(Part::Adapter), may(Part::Engine)), (gateway, adapter, true), "{request:?}");
        }
    }
}
