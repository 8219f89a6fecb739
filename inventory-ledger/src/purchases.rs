//! How many units of a SKU one order, and one customer, may have.
//!
//! Path: `set_purchase_limit` (every row of the SKU gets a cold record, so that holds look here) → `hold` of some of its lines →
//! within both limits? its units are counted for its customer : `OverLimit` → a release, an expiry, a restock or a commit of less
//! takes them off again; those of a forgotten hold count until its id is.
//! Bounds: `purchase_limits_max` SKUs, `purchases_max` counted holds, live and remembered.

use std::collections::BTreeMap;

use crate::frozen::Walked;
use crate::holds::Place;
use crate::ledger::{index, saturated};
use crate::lines::HeldLine;
use crate::record::{Flags, State};
use crate::rows::RowIx;
use crate::{Customer, Full, HoldId, HoldRefused, HoldRequest, Ledger, Location, Millis, SavedPurchase, Sku, Units};

/// How many units of a SKU may be had, at all locations together. `None`: as many as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PurchaseLimit {
    /// By one hold.
    pub per_order: Option<Units>,
    /// By all holds of one customer that are open, committed, or forgotten and still remembered, of those made since the SKU has
    /// this limit. Holds without a customer are not counted and not refused for it.
    pub per_customer: Option<Units>,
}

/// The limits, and what counts towards them.
#[derive(Debug, Default)]
pub(crate) struct Purchases {
    pub(crate) limits: Walked<Sku, PurchaseLimit>,
    pub(crate) holds: BTreeMap<HoldId, SavedPurchase>,
    /// Sums of `holds`.
    counts: BTreeMap<(Customer, Sku), u64>,
}

impl Purchases {
    fn count(&self, customer: Customer, sku: Sku) -> u64 {
        self.counts.get(&(customer, sku)).copied().unwrap_or(0)
    }

    /// Counts a hold's units.
    pub(crate) fn add(&mut self, id: HoldId, purchase: SavedPurchase) {
        for &(sku, units) in purchase.units.iter().filter(|(_, units)| *units > 0) {
            *self.counts.entry((purchase.customer, sku)).or_default() += units;
        }
        self.holds.insert(id, purchase);
    }

    /// Counts them no more.
    pub(crate) fn remove(&mut self, id: HoldId) {
        let Some(purchase) = self.holds.remove(&id) else { return };
        for &(sku, units) in purchase.units.iter().filter(|(_, units)| *units > 0) {
            let count = self.counts.get_mut(&(purchase.customer, sku)).expect("every counted hold is in the sums");
            *count -= units;
            if *count == 0 {
                self.counts.remove(&(purchase.customer, sku));
            }
        }
    }

    /// Bytes, about: a tree's nodes are full to two thirds.
    pub(crate) fn bytes(&self) -> usize {
        let lines: usize = self.holds.values().map(|purchase| size_of_val(&*purchase.units)).sum();
        let entries = self.holds.len() * size_of::<(HoldId, SavedPurchase)>()
            + self.counts.len() * size_of::<((Customer, Sku), u64)>()
            + self.limits.len() * size_of::<(Sku, PurchaseLimit)>();
        lines + entries * 3 / 2
    }

    /// Whether the sums are those of the holds.
    pub(crate) fn is_sound(&self) -> bool {
        let mut sums: BTreeMap<(Customer, Sku), u64> = BTreeMap::new();
        for purchase in self.holds.values() {
            for &(sku, units) in &purchase.units {
                *sums.entry((purchase.customer, sku)).or_default() += units;
            }
        }
        sums.retain(|_, units| *units > 0);
        sums == self.counts
    }
}

/// Limits of what is bought.
impl Ledger {
    /// Sets how many units of a SKU an order and a customer may have; `PurchaseLimit::default()` lifts it. What is held already stays.
    /// Happens each time it is called; the order of calls decides. O(locations).
    ///
    /// # Errors
    /// `PurchaseLimits`: no room for another SKU's.
    pub fn set_purchase_limit(&mut self, now: Millis, sku: Sku, limit: PurchaseLimit) -> Result<(), Full> {
        self.advance(now);
        let limits = &mut self.holds.purchases.limits;
        if limit == PurchaseLimit::default() {
            limits.remove(&sku);
            return Ok(());
        }
        if !limits.contains_key(&sku) && limits.len() >= self.limits.purchase_limits_max as usize {
            return Err(Full::PurchaseLimits);
        }
        limits.insert(sku, limit);
        let rows: Vec<RowIx> = self.rows.of_sku(sku).map(|(_, ix)| ix).collect();
        for ix in rows {
            self.rows.cold_at(ix);
        }
        Ok(())
    }

    /// A SKU's limit, if it has one.
    #[must_use]
    pub fn purchase_limit(&self, sku: Sku) -> PurchaseLimit {
        self.holds.purchases.limits.get(&sku).copied().unwrap_or_default()
    }

    /// Units of a SKU that count for a customer.
    #[must_use]
    pub fn purchased(&self, customer: Customer, sku: Sku) -> u64 {
        self.holds.purchases.count(customer, sku)
    }

    /// Adds a row; one of a limited SKU gets its cold record at once.
    pub(crate) fn insert_row(&mut self, sku: Sku, location: Location) -> Option<RowIx> {
        let ix = self.rows.insert(sku, location)?;
        if self.holds.purchases.limits.contains_key(&sku) {
            self.rows.cold_at(ix);
        }
        Some(ix)
    }

    /// Refuses a hold of more than an order or its customer may have; of the others, the SKUs that are to be counted.
    pub(crate) fn within_limits(&self, request: &HoldRequest<'_>, rows: &[Option<RowIx>]) -> Result<Vec<Sku>, HoldRefused> {
        let mut counted = Vec::new();
        let limits = &self.holds.purchases.limits;
        if limits.is_empty() {
            return Ok(counted);
        }
        for (at, line) in request.lines.iter().enumerate().filter(|(at, _)| rows[*at].is_some()) {
            let Some(limit) = limits.get(&line.sku) else { continue };
            let same = request.lines.iter().filter(|other| other.sku == line.sku);
            let requested: u64 = same.map(|other| u64::from(other.quantity.0)).sum();
            let of_order = limit.per_order.map_or(u64::MAX, |max| max.0.into());
            let of_customer = match (limit.per_customer, request.customer) {
                (Some(max), Some(customer)) => {
                    counted.push(line.sku);
                    u64::from(max.0).saturating_sub(self.purchased(customer, line.sku))
                }
                (Some(_) | None, None) | (None, Some(_)) => u64::MAX,
            };
            let allowed = of_order.min(of_customer);
            if requested > allowed {
                return Err(HoldRefused::OverLimit { index: index(at), requested: saturated(requested), allowed: saturated(allowed) });
            }
        }
        counted.sort_unstable();
        counted.dedup();
        if !counted.is_empty() && self.holds.purchases.holds.len() >= self.limits.purchases_max as usize {
            return Err(Full::Purchases.into());
        }
        Ok(counted)
    }

    /// Counts a live hold's units anew: all that it has or is owed.
    pub(crate) fn recount(&mut self, place: Place, held: &[HeldLine]) {
        let record = self.holds.record(place);
        if !record.flags.has(Flags::COUNTED) {
            return;
        }
        let id = record.id();
        self.holds.keep_old(place);
        let Some(known) = self.holds.purchases.holds.get(&id) else { return };
        let mut purchase = known.clone();
        for (sku, units) in &mut purchase.units {
            *units = self.units_of(place, held, *sku);
        }
        self.holds.purchases.remove(id);
        self.holds.purchases.add(id, purchase);
    }

    /// Units of a SKU that a live hold has or is owed.
    pub(crate) fn units_of(&self, place: Place, held: &[HeldLine], sku: Sku) -> u64 {
        let record = self.holds.record(place);
        let backs = self.holds.backorders.of(record.id());
        let line = |(at, line): (usize, &HeldLine)| {
            let has = match record.state {
                State::Committed => line.left(),
                State::Held | State::Pinned => line.taken + self.holds.filled(place, at),
                State::Free => unreachable!("a live hold has a place in use"),
            };
            u64::from(has) + backs.get(at).map_or(0, |back| u64::from(back.owed))
        };
        let of_sku = |line: &&HeldLine| line.row.is_some_and(|row| self.rows.key(row).0 == sku);
        held.iter().enumerate().filter(|(_, one)| of_sku(one)).map(line).sum()
    }
}
