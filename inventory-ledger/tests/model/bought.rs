//! The dull model of purchase limits: what counts for whom is summed up anew each time.

use inventory_ledger::*;

use crate::dull::{Dull, Hold, Key, sum_of, units};
use crate::ops::Ask;

impl Dull {
    fn counts(&self, hold: &Hold, sku: Sku) -> u64 {
        let keys: Vec<Key> = self.on_hand.keys().copied().filter(|key| key.0 == sku).collect();
        let has = |&key: &Key| match hold.state {
            HoldState::Held { .. } | HoldState::Pinned => hold.quantity(key),
            HoldState::Committed | HoldState::Forgotten => hold.committed.get(&key).unwrap_or(&0) - hold.restocked.get(&key).unwrap_or(&0),
            _ => 0,
        };
        let owed = hold.ask.lines.iter().zip(&hold.owed).filter(|(line, _)| line.sku == sku).map(|(_, owed)| owed.left);
        keys.iter().map(has).sum::<u64>() + owed.sum::<u64>()
    }

    pub(crate) fn purchased(&self, customer: Customer, sku: Sku) -> u64 {
        let theirs = self.holds.values().filter(|hold| hold.ask.customer == Some(customer) && hold.counted.contains(&sku));
        theirs.map(|hold| self.counts(hold, sku)).sum()
    }

    pub(crate) fn purchases(&self) -> usize {
        let counts = |hold: &&Hold| hold.live() || hold.state == HoldState::Forgotten;
        self.holds.values().filter(counts).filter(|hold| !hold.counted.is_empty()).count()
    }

    pub(crate) fn set_limit(&mut self, sku: Sku, limit: PurchaseLimit) -> Result<(), Full> {
        if limit == PurchaseLimit::default() {
            self.purchase_limits.remove(&sku);
            return Ok(());
        }
        let new = !self.purchase_limits.contains_key(&sku);
        if new && self.purchase_limits.len() == self.limits.purchase_limits_max as usize {
            return Err(Full::PurchaseLimits);
        }
        self.purchase_limits.insert(sku, limit);
        Ok(())
    }

    /// The SKUs to count, if none is beyond its limits.
    pub(crate) fn to_count(&self, ask: &Ask) -> Result<Vec<Sku>, HoldRefused> {
        let mut counted = Vec::new();
        for (index, line) in ask.lines.iter().enumerate() {
            let limit = self.purchase_limits.get(&line.sku).filter(|_| self.on_hand.contains_key(&(line.sku, line.location)));
            let Some(limit) = limit else { continue };
            let mut allowed = limit.per_order.map_or(u64::MAX, |max| u64::from(max.0));
            if let (Some(max), Some(customer)) = (limit.per_customer, ask.customer) {
                counted.push(line.sku);
                allowed = allowed.min(u64::from(max.0).saturating_sub(self.purchased(customer, line.sku)));
            }
            let requested = sum_of(&ask.lines, line.sku);
            if requested > allowed {
                return Err(HoldRefused::OverLimit { index: index as u16, requested: units(requested), allowed: units(allowed) });
            }
        }
        if !counted.is_empty() && self.purchases() == self.limits.purchases_max as usize {
            return Err(Full::Purchases.into());
        }
        Ok(counted)
    }
}
