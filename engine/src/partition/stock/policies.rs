//! What rows may promise beyond what they have, when they tell that little is left, and how many units may be had at once.
//!
//! Path: `set_policy` → the ledger's own policy and threshold of the row, opened where need be → a change of what the row owes, or a preorder
//! that ends, may change whether it takes backorders → [`Changes::backorders`](crate::partition::Changes), which shoppers are told by.
//! Bounds: [`POLICIES_MAX`] rows; `purchase_limits_max` of [`LEDGER_LIMITS`](super::LEDGER_LIMITS) SKUs.

use super::{Stock, at, number, refusals};
use crate::{
    partition::{
        ApplyContext, Digest, Done, Outcome, hash128,
        snapshot::{
            BadItem, Items, Kind,
            fields::{Field, enums, structs},
        },
        table::Table,
    },
    record::v1,
};
use inventory_ledger as ledger;
use ledger::{MovementId, Units};
use refusals::{check_units, no_room};
use std::hash::{Hash, Hasher};
use wire::{BackorderPolicy, Millis, PurchaseLimit, Refusal, SkuId};

/// Rows with a policy or a threshold. At the bound those of another row are refused.
pub const POLICIES_MAX: usize = 1 << 20;

/// The policies, and when they end.
#[derive(Debug, Default)]
pub(super) struct Policies {
    rules: Table<(SkuId, ledger::Location), Rule>,
    /// Preorders that have not ended.
    ends: Table<(Millis, SkuId, ledger::Location), ()>,
}

#[derive(Clone, Copy, Debug, Default, Hash)]
struct Rule {
    policy: BackorderPolicy,
    low_stock: Option<u32>,
    /// The row takes backorders, as the shard was told.
    takes: bool,
}

impl Stock {
    /// Sets what a row may promise, and when it tells that little is left.
    pub(in crate::partition) fn set_policy(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        sku: SkuId,
        location: &str,
        policy: v1::BackorderPolicy,
        low_stock: Option<u32>,
    ) -> Outcome {
        let policy = shown(policy);
        let limit = match policy {
            BackorderPolicy::Deny => 0,
            BackorderPolicy::Backorder { limit } | BackorderPolicy::Preorder { limit, .. } => limit,
        };
        check_units(limit.max(low_stock.unwrap_or(0)))?;
        let location = self.intern(location)?;
        let (now, key) = (at(ctx), number(sku));
        let row = (sku, location);
        if !self.policies.rules.contains_key(&row) && self.policies.rules.len() >= POLICIES_MAX {
            return Err(Refusal::LimitReached { what: "stock policies of a partition".to_owned(), max: POLICIES_MAX as u64 });
        }
        if self.ledger.row(key, location).is_none() {
            let id = MovementId(hash128(&[b"policy", &ctx.seq.0.to_le_bytes()]));
            let opened = self.ledger.open_row(now, id, key, location, Units(0));
            self.moved(ctx, sku, opened)?;
        }
        let of_ledger = match policy {
            BackorderPolicy::Deny => ledger::Policy::Deny,
            BackorderPolicy::Backorder { limit } => ledger::Policy::Backorder { limit: Units(limit) },
            BackorderPolicy::Preorder { limit, until } => {
                ledger::Policy::Preorder { limit: Units(limit), until: ledger::Millis(until.0).min(ledger::TIME_MAX) }
            }
        };
        let is_set = self.ledger.set_policy(now, key, location, of_ledger).and_then(|()| {
            let low = low_stock.map(Units);
            self.ledger.set_threshold(now, key, location, low)
        });
        is_set.map_err(|ledger::UnknownRow| Refusal::NotFound)?;

        let rule = self.policies.rules.get_or_default(row);
        if let BackorderPolicy::Preorder { until, .. } = rule.policy {
            self.policies.ends.remove(&(until, sku, location));
        }
        (rule.policy, rule.low_stock) = (policy, low_stock);
        if let BackorderPolicy::Preorder { until, .. } = policy
            && until > ctx.time
        {
            self.policies.ends.insert((until, sku, location), ());
        }
        self.look_again(ctx, sku, location);
        if policy == BackorderPolicy::Deny && low_stock.is_none() {
            self.policies.rules.remove(&row);
        }
        self.note(ctx);
        Ok(Done::Stock { sku, repeated: false })
    }

    /// Sets how many units of a SKU may be had, at the locations of this partition.
    pub(in crate::partition) fn set_purchase_limit(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        sku: SkuId,
        per_order: Option<u32>,
        per_customer: Option<u32>,
    ) -> Outcome {
        let limit = ledger::PurchaseLimit { per_order: per_order.map(Units), per_customer: per_customer.map(Units) };
        self.ledger.set_purchase_limit(at(ctx), number(sku), limit).map_err(no_room)?;
        Ok(Done::Stock { sku, repeated: false })
    }

    /// How many units of a SKU may be had at the locations of this partition.
    #[must_use]
    pub fn purchase_limit(&self, sku: SkuId) -> PurchaseLimit {
        let limit = self.ledger.purchase_limit(number(sku));
        PurchaseLimit { per_order: limit.per_order.map(|units| units.0), per_customer: limit.per_customer.map(|units| units.0) }
    }

    /// SKUs of rows that take backorders, each as often as it has such rows.
    pub fn backorderable(&self) -> impl Iterator<Item = SkuId> {
        self.policies.rules.iter().filter(|(_, rule)| rule.takes).map(|((sku, _), _)| *sku)
    }

    pub(super) fn policy(&self, sku: SkuId, location: ledger::Location) -> (BackorderPolicy, Option<u32>) {
        self.policies.rules.get(&(sku, location)).map_or_else(Default::default, |rule| (rule.policy, rule.low_stock))
    }

    /// Ends up to `max` preorders whose time is over; returns how many.
    pub(in crate::partition) fn end_preorders(&mut self, ctx: &mut ApplyContext<'_>, max: usize) -> usize {
        let mut ended = 0;
        while ended < max && self.next_preorder_end().is_some_and(|at| at <= ctx.time) {
            if let Some(((_, sku, location), ())) = self.policies.ends.pop_first() {
                self.look_again(ctx, sku, location);
            }
            ended += 1;
        }
        ended
    }

    pub(super) fn next_preorder_end(&self) -> Option<Millis> {
        self.policies.ends.first_key_value().map(|((at, ..), ())| *at)
    }

    /// Whether any row has a policy at all.
    pub(super) fn has_policies(&self) -> bool {
        !self.policies.rules.is_empty()
    }

    /// Tells the shard if a row began to take backorders, or ended.
    pub(super) fn look_again(&mut self, ctx: &mut ApplyContext<'_>, sku: SkuId, location: ledger::Location) {
        let row = (sku, location);
        let Some(rule) = self.policies.rules.get(&row) else { return };
        let limit = match rule.policy {
            BackorderPolicy::Backorder { limit } => limit,
            BackorderPolicy::Preorder { limit, until } if ctx.time < until => limit,
            BackorderPolicy::Deny | BackorderPolicy::Preorder { .. } => 0,
        };
        let owed = self.ledger.row(number(sku), location).map_or(0, |row| row.backordered.0);
        let takes = owed < limit;
        if takes != rule.takes {
            if let Some(rule) = self.policies.rules.get_mut(&row) {
                rule.takes = takes;
            }
            ctx.changes.backorders.push((sku, takes));
        }
    }

    /// Every preorder that ends is one.
    pub(super) fn check_policies(&self) -> Result<(), String> {
        let Policies { rules, ends } = &self.policies;
        let is_rule = |(at, sku, location): &(Millis, SkuId, ledger::Location)| {
            let rule = rules.get(&(*sku, *location));
            rule.is_some_and(|rule| matches!(rule.policy, BackorderPolicy::Preorder { until, .. } if until == *at))
        };
        if ends.keys().all(is_rule) { Ok(()) } else { Err("the ends of preorders are not those of the policies".to_owned()) }
    }

    pub(super) fn digest_policies(&self, digest: &mut Digest) {
        let Policies { rules, ends } = &self.policies;
        digest.write_usize(rules.len());
        for (row, rule) in rules {
            (row, rule).hash(digest);
        }
        ends.hash(digest);
    }
}

/// Snapshots.
impl Policies {
    pub(super) fn freeze(&mut self) {
        self.rules.freeze();
        self.ends.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.rules.thaw();
        self.ends.thaw();
    }

    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.rules.walk(|row, rule| {
            items.put_walked(Kind::Policy, rule, |body, rule| {
                row.put(body);
                rule.put(body);
            })
        }) || self.ends.walk(|end, there| items.put_walked(Kind::PreorderEnd, there, |body, ()| end.put(body)))
    }

    /// Takes an item of a snapshot; `false` for one that is out of order.
    pub(super) fn put_back(&mut self, kind: Kind, body: &mut &[u8]) -> Result<bool, BadItem> {
        let mut put = || {
            Some(match kind {
                Kind::Policy => {
                    let (row, rule) = Field::take(body)?;
                    self.rules.push(row, rule)
                }
                _ => self.ends.push(Field::take(body)?, ()),
            })
        };
        put().ok_or(BadItem::Damaged)
    }
}

structs! {
    Rule { policy, low_stock, takes }
}

enums! {
    BackorderPolicy { 0 Deny, 1 Backorder { limit }, 2 Preorder { limit, until } }
}

fn shown(policy: v1::BackorderPolicy) -> BackorderPolicy {
    match policy {
        v1::BackorderPolicy::Deny => BackorderPolicy::Deny,
        v1::BackorderPolicy::Backorder { limit } => BackorderPolicy::Backorder { limit },
        v1::BackorderPolicy::Preorder { limit, until } => BackorderPolicy::Preorder { limit, until },
    }
}
