//! The dull model of backorders: what lines are owed, and who is given what.

use inventory_ledger::*;

use crate::dull::{Dull, Key, units};

/// What one line of a hold is owed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Owed {
    pub(crate) at_first: u64,
    pub(crate) filled: u64,
    pub(crate) left: u64,
    pub(crate) turn: u64,
}

impl Dull {
    pub(crate) fn backordered(&self, key: Key) -> u64 {
        let lines = self.holds.values().flat_map(|hold| hold.ask.lines.iter().zip(&hold.owed));
        lines.filter(|(line, _)| (line.sku, line.location) == key).map(|(_, owed)| owed.left).sum()
    }

    pub(crate) fn set_policy(&mut self, key: Key, policy: Policy) -> Result<(), UnknownRow> {
        if !self.on_hand.contains_key(&key) {
            return Err(UnknownRow);
        }
        self.policies.insert(key, policy);
        Ok(())
    }

    pub(crate) fn policy(&self, key: Key) -> Policy {
        self.policies.get(&key).copied().unwrap_or_default()
    }

    /// Units that are free, and that may be owed beyond.
    pub(crate) fn to_be_had(&self, key: Key) -> (u64, u64) {
        let limit = match self.policy(key) {
            Policy::Backorder { limit } => limit.0,
            Policy::Preorder { limit, until } if self.now < until => limit.0,
            Policy::Deny | Policy::Preorder { .. } => 0,
        };
        let (available, owed) = (self.row(key).unwrap_or_default().available.0, self.backordered(key));
        (u64::from(available).saturating_sub(owed), u64::from(limit.min(UNITS_MAX.0)).saturating_sub(owed))
    }

    pub(crate) fn backorders(&self) -> usize {
        self.holds.values().filter(|hold| hold.owed.iter().any(|owed| owed.at_first > 0)).count()
    }

    fn ripe(&self) -> Option<Key> {
        self.rows().into_iter().find(|(_, row)| row.backordered.0 > 0 && row.available.0 > 0).map(|(key, _)| key)
    }

    pub(crate) fn fill(&mut self, max: usize) -> Filled {
        let mut filled = Filled::default();
        while let Some(key) = self.ripe() {
            if filled.lines.len() == max {
                filled.more = true;
                break;
            }
            let available = u64::from(self.row(key).unwrap().available.0);
            let mut queue = Vec::new();
            for (&id, hold) in &self.holds {
                for (at, (line, owed)) in hold.ask.lines.iter().zip(&hold.owed).enumerate() {
                    if (line.sku, line.location) == key && owed.left > 0 {
                        queue.push((owed.turn, id, at));
                    }
                }
            }
            let &(_, id, at) = queue.iter().min().unwrap();
            let hold = self.holds.get_mut(&id).unwrap();
            let given = hold.owed[at].left.min(available);
            hold.owed[at].left -= given;
            hold.owed[at].filled += given;
            if hold.state == HoldState::Committed {
                *hold.committed.entry(key).or_default() += given;
            }
            let (owner, left, (sku, location)) = (hold.ask.owner, units(hold.owed[at].left), key);
            filled.lines.push(FilledLine { hold: id, owner, line: at as u16, sku, location, units: units(given), left });
        }
        filled
    }
}
