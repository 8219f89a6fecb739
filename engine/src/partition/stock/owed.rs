//! Reservations that are kept beyond their sale: those that are owed units, and those that count for a customer.
//!
//! Path: `reserve` keeps what it must → units that come are given to the oldest lines ([`Stock::fill`], in passing and by timers) → a sold
//! reservation is closed when it is owed nothing and, if it counts, [`PURCHASE_KEPT_MS`] after its sale. Any other is closed as it is sold.
//! Bounds: those of the ledger, `backorders_max` and `purchases_max`.

use super::{Stock, at};
use crate::partition::{
    ApplyContext, Digest,
    snapshot::{
        BadItem, Items, Kind,
        fields::{Field, structs},
    },
    table::{Queue, Table},
};
use inventory_ledger as ledger;
use std::hash::{Hash, Hasher};
use wire::{HoldId, Millis, RawId};

/// A sold reservation counts for its customer for so long.
pub const PURCHASE_KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// Backordered lines that a command gives units to in passing; timers do the rest.
const FILLED_IN_PASSING: usize = 64;

/// Reservations that are kept, and when those that count are closed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    kept: Table<HoldId, Kept>,
    /// Sold ones that count, oldest first.
    sold: Queue<(Millis, HoldId)>,
    /// Rows owe units and have some.
    more: bool,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Kept {
    owed: u64,
    counts: bool,
    sold: bool,
}

impl Stock {
    /// Notes a reservation that is owed units or counts for its customer; nothing to be done about any other.
    pub(super) fn keep(&mut self, hold: HoldId, owed: u64, counts: bool) {
        if owed > 0 || counts {
            self.owed.kept.insert(hold, Kept { owed, counts, sold: false });
        }
    }

    /// Notes that a reservation was sold, in part if it is owed no more; says whether it can be closed at once.
    pub(super) fn sold(&mut self, now: Millis, hold: HoldId, in_part: bool) -> bool {
        let Some(kept) = self.owed.kept.get_mut(&hold) else { return true };
        if in_part {
            kept.owed = 0;
            if !kept.counts {
                self.owed.kept.remove(&hold);
                return true;
            }
        }
        if kept.counts && !kept.sold {
            self.owed.sold.push_back((now.plus(PURCHASE_KEPT_MS), hold));
        }
        kept.sold = true;
        false
    }

    /// A reservation has ended, or what it was owed is owed no more.
    pub(super) fn no_longer_kept(&mut self, hold: HoldId) {
        if !self.owed.kept.is_empty() {
            self.owed.kept.remove(&hold);
        }
    }

    /// Gives units that came to up to `max` lines that are owed some; returns to how many.
    pub(in crate::partition) fn fill(&mut self, ctx: &mut ApplyContext<'_>, max: usize) -> usize {
        let filled = self.fill_lines(ctx, max);
        self.note(ctx);
        filled
    }

    pub(super) fn fill_in_passing(&mut self, ctx: &ApplyContext<'_>) {
        self.fill_lines(ctx, FILLED_IN_PASSING);
    }

    fn fill_lines(&mut self, ctx: &ApplyContext<'_>, max: usize) -> usize {
        let filled = self.ledger.fill(at(ctx), max);
        self.owed.more = filled.more;
        for line in &filled.lines {
            let hold = HoldId(RawId(line.hold.0));
            let Some(kept) = self.owed.kept.get_mut(&hold) else { continue };
            kept.owed = kept.owed.saturating_sub(u64::from(line.units.0));
            if kept.owed == 0 && !kept.counts {
                let sold = kept.sold;
                self.owed.kept.remove(&hold);
                if sold {
                    self.close(ctx, hold);
                }
            }
        }
        filled.lines.len()
    }

    /// Closes up to `max` sold reservations that have counted long enough; returns how many were due.
    pub(in crate::partition) fn close_sold(&mut self, ctx: &mut ApplyContext<'_>, max: usize) -> usize {
        let mut due = 0;
        while due < max && self.owed.sold.front().is_some_and(|(at, _)| *at <= ctx.time) {
            let Some((_, hold)) = self.owed.sold.pop_front() else { break };
            due += 1;
            let Some(kept) = self.owed.kept.get_mut(&hold) else { continue };
            kept.counts = false;
            if kept.owed == 0 {
                self.owed.kept.remove(&hold);
                self.close(ctx, hold);
            }
        }
        if due > 0 {
            self.note(ctx);
        }
        due
    }

    fn close(&mut self, ctx: &ApplyContext<'_>, hold: HoldId) {
        // Known and committed: what could be refused is not.
        let _ = self.ledger.forget(at(ctx), ledger::HoldId(hold.0.0));
    }

    /// When units can be given, or a sold reservation is closed.
    pub(super) fn next_owed(&self) -> Option<Millis> {
        if self.owed.more { Some(Millis(0)) } else { self.owed.sold.front().map(|(at, _)| *at) }
    }

    /// Of the kept reservations, those that are owed units, in order of id.
    pub(super) fn kept_owed(&self) -> impl Iterator<Item = (ledger::HoldId, u64)> {
        self.owed.kept.iter().filter(|(_, kept)| kept.owed > 0).map(|(hold, kept)| (ledger::HoldId(hold.0.0), kept.owed))
    }

    pub(super) fn digest_owed(&self, digest: &mut Digest) {
        let Owed { kept, sold, more } = &self.owed;
        digest.write_usize(kept.len());
        for (hold, kept) in kept {
            (hold, kept).hash(digest);
        }
        digest.write_usize(sold.len());
        sold.iter().for_each(|entry| entry.hash(digest));
        more.hash(digest);
    }
}

/// Snapshots.
impl Owed {
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    pub(super) fn set_more(&mut self, more: bool) {
        self.more = more;
    }

    pub(super) fn freeze(&mut self) {
        self.kept.freeze();
        self.sold.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.kept.thaw();
        self.sold.thaw();
    }

    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.kept.walk(|hold, kept| {
            items.put_walked(Kind::Kept, kept, |body, kept| {
                hold.put(body);
                kept.put(body);
            })
        }) || self.sold.walk(|sold| items.put_walked(Kind::Sold, Some(sold), |body, sold| sold.put(body)))
    }

    /// Takes an item of a snapshot; `false` for one that is out of order.
    pub(super) fn put_back(&mut self, kind: Kind, body: &mut &[u8]) -> Result<bool, BadItem> {
        let mut put = || {
            Some(match kind {
                Kind::Kept => {
                    let (hold, kept) = Field::take(body)?;
                    self.kept.push(hold, kept)
                }
                _ => {
                    let sold = Field::take(body)?;
                    let rises = self.sold.back().is_none_or(|last| *last <= sold);
                    self.sold.push_back(sold);
                    rises
                }
            })
        };
        put().ok_or(BadItem::Damaged)
    }
}

structs! {
    Kept { owed, counts, sold }
}
