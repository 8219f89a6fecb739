//! Units set aside: the holds of orders and the reservations of callers, from the taking to the end.
//!
//! A hold that is unknown or over is refused as `NotFound`, which a peer reads as `Gone`.

use super::{LEDGER_LIMITS, Stock, at, number, refusals};
use crate::{
    mutants::{self, Mutant},
    partition::{ApplyContext, Backordered, Done, Outcome, hash128},
    record::v1::HoldLine,
};
use inventory_ledger as ledger;
use ledger::{CommitRefused, HoldRefused, HoldRequest, HoldState, Ledger, MovementId, PinRefused, ReleaseRefused, RestockRefused};
use refusals::{invalid, no_room, too_new};
use wire::{HoldId, Millis, OrderId, RawId, Refusal, Shortage, limits};

/// Ended holds forgotten in passing by a command that touches a hold: more than it can add.
const SWEPT_IN_PASSING: usize = 2;

impl Stock {
    /// Sets all lines aside at one location, or none. One that is in doubt stays so until it is pinned, committed or ended.
    #[expect(clippy::too_many_arguments, reason = "the fields of one command")]
    pub(in crate::partition) fn hold(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        hold: HoldId,
        order: OrderId,
        location: &str,
        lines: &[HoldLine],
        ttl_ms: u64,
        in_doubt: bool,
    ) -> Outcome {
        let location = self.find(location);
        let line = |line: &HoldLine| ledger::Line { sku: number(line.sku), location, quantity: ledger::Units(line.quantity) };
        let asked: Vec<_> = lines.iter().map(line).collect();
        let (now, owner) = (at(ctx), ledger::Owner(order.0.0));
        let ttl_ms = ttl_ms.min(u64::from(LEDGER_LIMITS.hold_life_ms_max));
        if let Some(short) = self.would_be_owed(now, hold, location, lines) {
            return Err(short);
        }
        let held = self
            .with_hold(ctx, hold, |ledger, id| ledger.hold(now, &HoldRequest { in_doubt, ..HoldRequest::new(id, owner, &asked, ttl_ms) }));
        match held {
            Ok(held) => Ok(Done::Held { remaining: held.lines.iter().map(|line| line.remaining.0).collect() }),
            Err(refused) => Err(refusal(refused, lines)),
        }
    }

    /// Sets lines aside under a caller's id.
    #[expect(clippy::too_many_arguments, reason = "the fields of one command")]
    pub(in crate::partition) fn reserve(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        hold: HoldId,
        owner: OrderId,
        location: &str,
        lines: &[HoldLine],
        ttl_ms: u32,
        partial: bool,
    ) -> Outcome {
        let location = self.find(location);
        let line = |line: &HoldLine| ledger::Line { sku: number(line.sku), location, quantity: ledger::Units(line.quantity) };
        let asked: Vec<_> = lines.iter().map(line).collect();
        let now = at(ctx);
        // Whoever it is for is who buys: purchase limits count their reservations.
        let cut = usize::from(mutants::is(Mutant::HalfBasket) && asked.len() > 1);
        let asked = &asked[..asked.len() - cut];
        let (owner, customer) = (ledger::Owner(owner.0.0), ledger::Customer(owner.0.0));
        let request = HoldRequest::new(ledger::HoldId(hold.0.0), owner, asked, u64::from(ttl_ms)).timed().by(customer);
        let held = self.ledger.hold(now, &HoldRequest { partial, ..request });
        let outcome = match held {
            Ok(held) => {
                let line = |line: &ledger::Taken| wire::ReservedLine { taken: line.taken.0, remaining: line.remaining.0 };
                let mut reserved: Vec<wire::ReservedLine> = held.lines.iter().map(line).collect();
                if let Some(line) = lines.get(reserved.len()) {
                    let left = self.ledger.row(number(line.sku), location).map_or(0, |row| row.available.0);
                    reserved.push(wire::ReservedLine { taken: line.quantity, remaining: left.saturating_sub(line.quantity) });
                }
                let owed: u64 = held.lines.iter().map(|line| u64::from(line.backordered.0)).sum();
                if !held.replayed {
                    let counts = asked.iter().any(|line| self.ledger.purchase_limit(line.sku).per_customer.is_some());
                    self.keep(hold, owed, counts);
                }
                let (expires_at, replayed) = (Millis(held.expires_at.0), held.replayed);
                if owed == 0 {
                    Ok(Done::Reserved { expires_at, lines: reserved, replayed })
                } else {
                    let owed = held.lines.iter().map(|line| line.backordered.0).collect();
                    let reserved = wire::Reserved { expires_at, lines: reserved };
                    Ok(Done::Backordered(Box::new(Backordered { reserved, owed, replayed })))
                }
            }
            Err(refused) => Err(refusal(refused, lines)),
        };
        self.after_hold(ctx);
        outcome
    }

    /// The hold of an order that would be owed units, as a shortage: an order promises only what is there. One that was taken before is not
    /// asked again.
    fn would_be_owed(&mut self, now: ledger::Millis, hold: HoldId, location: ledger::Location, lines: &[HoldLine]) -> Option<Refusal> {
        if !self.has_policies() {
            return None;
        }
        let short = |(at, line): (usize, &HoldLine)| {
            let sku = number(line.sku);
            if self.ledger.policy(sku, location) == ledger::Policy::Deny {
                return None;
            }
            let of_sku = lines.iter().filter(|other| other.sku == line.sku);
            let requested = of_sku.fold(0u32, |sum, other| sum.saturating_add(other.quantity));
            let row = self.ledger.row(sku, location)?;
            let available = row.available.0.saturating_sub(row.backordered.0);
            (requested > available).then(|| Shortage { line: u16::try_from(at).unwrap_or(u16::MAX), sku: line.sku, requested, available })
        };
        let short: Vec<_> = lines.iter().enumerate().filter_map(short).collect();
        // Never shortens a hold that is there, and of one that is not says so.
        let is_known = |ledger: &mut Ledger| ledger.extend(now, ledger::HoldId(hold.0.0), 0) != Err(PinRefused::Unknown);
        if short.is_empty() || is_known(&mut self.ledger) {
            return None;
        }
        // What orders in doubt hold may come back, as for a row that owes nothing.
        let in_doubt = |line: &Shortage| self.ledger.in_doubt(number(line.sku), location).0;
        let is_explained = short.iter().all(|line| line.requested <= line.available.saturating_add(in_doubt(line)));
        Some(if is_explained { Refusal::Contended } else { Refusal::InsufficientStock(short) })
    }

    /// Keeps a hold from expiring.
    pub(in crate::partition) fn pin(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        if mutants::is(Mutant::PinnedExpires) {
            let held = self.with_hold(ctx, hold, |ledger, id| ledger.extend(now, id, 0));
            return held.map(|_| Done::Nothing).map_err(|_| Refusal::NotFound);
        }
        match self.with_hold(ctx, hold, |ledger, id| ledger.pin(now, id)) {
            // Committed is past pinned: a late repeat.
            Ok(_) | Err(PinRefused::Committed) => Ok(Done::Nothing),
            Err(PinRefused::Unknown | PinRefused::Expired | PinRefused::Released) => Err(Refusal::NotFound),
        }
    }

    /// Promises a hold's units to its order.
    pub(in crate::partition) fn commit(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        match self.with_hold(ctx, hold, |ledger, id| ledger.commit(now, id)) {
            Ok(_) => Ok(Done::Nothing),
            Err(refused) => Err(not_committed(refused)),
        }
    }

    /// Gives a hold's units back. One that is unknown cannot be taken afterwards.
    pub(in crate::partition) fn release(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        if self.forgets_release(now, hold) {
            return Ok(Done::Nothing);
        }
        let released = self.with_hold(ctx, hold, |ledger, id| ledger.release(now, id));
        if released.is_ok() {
            self.no_longer_kept(hold);
        }
        match released {
            // Without room for a tombstone a hold that comes late is taken, and falls back when its time is over: nobody pins it.
            Ok(_) | Err(ReleaseRefused::Full(_)) => Ok(Done::Nothing),
            Err(ReleaseRefused::TooNew) => Err(too_new()),
            Err(ReleaseRefused::Committed) => Err(invalid("/hold", "hold_committed", "a hold that is not committed; restock it")),
        }
    }

    /// A reservation is sold: nothing returns its units under its id any more, so it need not be kept.
    pub(in crate::partition) fn commit_reserved(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        self.sell(ctx, hold, false, |ledger, id| ledger.commit(now, id))
    }

    fn sell(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        hold: HoldId,
        in_part: bool,
        commit: impl FnOnce(&mut Ledger, ledger::HoldId) -> Result<ledger::Committed, CommitRefused>,
    ) -> Outcome {
        let now = at(ctx);
        let id = ledger::HoldId(hold.0.0);
        let committed = commit(&mut self.ledger, id);
        // What is owed or counts is closed later, by itself.
        if committed.is_ok() && self.sold(ctx.time, hold, in_part) {
            // Known and committed: what could be refused is not.
            let _ = self.ledger.forget(now, id);
        }
        self.after_hold(ctx);
        match committed {
            Ok(_) => Ok(Done::Nothing),
            // It may have been sold so long ago that nobody remembers.
            Err(CommitRefused::Unknown) if hold.0.time().plus(limits::RESERVATION_WINDOW_MS) < ctx.time => Err(too_old()),
            Err(refused) => Err(not_committed(refused)),
        }
    }

    /// Some of a reservation is sold, the rest goes back.
    pub(in crate::partition) fn commit_reserved_part(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        hold: HoldId,
        location: &str,
        lines: &[HoldLine],
    ) -> Outcome {
        let (now, location) = (at(ctx), self.find(location));
        let line = |line: &HoldLine| ledger::Line { sku: number(line.sku), location, quantity: ledger::Units(line.quantity) };
        let lines: Vec<_> = lines.iter().map(line).collect();
        self.sell(ctx, hold, true, |ledger, id| ledger.commit_part(now, id, &lines))
    }

    /// A reservation lasts longer, up to its cap.
    pub(in crate::partition) fn extend_reserved(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId, ttl_ms: u32) -> Outcome {
        let now = at(ctx);
        let cap = hold.0.time().plus(u64::from(limits::RESERVE_TTL_MS_MAX));
        let ttl_ms = u64::from(ttl_ms).min(cap.0.saturating_sub(now.0));
        match self.with_hold(ctx, hold, |ledger, id| ledger.extend(now, id, ttl_ms)) {
            Ok(ledger::Extended { expires_at: Some(expires_at), .. }) => Ok(Done::Extended { expires_at: Millis(expires_at.0) }),
            // Pinned: no reservation is, but an order's hold may be named.
            Ok(ledger::Extended { expires_at: None, .. }) => Ok(Done::Nothing),
            Err(PinRefused::Committed) => Err(invalid("/hold", "hold_committed", "a reservation that is not sold")),
            Err(PinRefused::Unknown | PinRefused::Expired | PinRefused::Released) => Err(Refusal::NotFound),
        }
    }

    /// Gives a reservation's units back. One that is unknown cannot be taken afterwards, as long as its id would let it.
    pub(in crate::partition) fn release_reserved(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        if self.forgets_release(now, hold) {
            return Ok(Done::Nothing);
        }
        let released = self.with_hold(ctx, hold, |ledger, id| ledger.release_timed(now, id));
        if released.is_ok() {
            self.no_longer_kept(hold);
        }
        match released {
            Ok(_) => Ok(Done::Nothing),
            Err(ReleaseRefused::Committed) => Err(invalid("/hold", "hold_committed", "a reservation that is not sold")),
            Err(ReleaseRefused::TooNew) => Err(too_new()),
            // Told, not swallowed: the reservation may still come, and its sender can send the release again.
            Err(ReleaseRefused::Full(full)) => Err(no_room(full)),
        }
    }

    /// Returns a committed hold's units to sale, once.
    pub(in crate::partition) fn restock(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let (now, id) = (at(ctx), MovementId(hash128(&[b"restock", &hold.0.0.to_le_bytes()])));
        let restocked = self.with_hold(ctx, hold, |ledger, hold| ledger.restock(now, id, hold, None));
        if restocked.is_ok() {
            self.no_longer_kept(hold);
        }
        match restocked {
            // Also when the movement itself is forgotten: the hold still says that its units are back.
            Ok(_) | Err(RestockRefused::NotCommitted { state: HoldState::Restocked }) => Ok(Done::Nothing),
            Err(RestockRefused::Unknown | RestockRefused::NotCommitted { .. }) => Err(Refusal::NotFound),
            Err(RestockRefused::Full(full)) => Err(no_room(full)),
            Err(RestockRefused::IdReused | RestockRefused::TooMany { .. } | RestockRefused::Malformed(_)) => {
                Err(invalid("/hold", "restock", "a restock of the whole hold"))
            }
        }
    }

    /// Ends up to `max` holds that are due; returns how many.
    pub(in crate::partition) fn expire(&mut self, ctx: &mut ApplyContext<'_>, max: usize) -> usize {
        let now = if mutants::is(Mutant::LocalClock) { ledger::Millis(mutants::local_ms()) } else { at(ctx) };
        let ended = self.ledger.expire(now, max).ids;
        ended.iter().for_each(|id| self.no_longer_kept(HoldId(RawId(id.0))));
        self.note(ctx);
        ended.len()
    }

    fn forgets_release(&mut self, now: ledger::Millis, hold: HoldId) -> bool {
        mutants::is(Mutant::ReleaseForgotten) && self.ledger.extend(now, ledger::HoldId(hold.0.0), 0) == Err(PinRefused::Unknown)
    }

    /// Does something to a hold, and forgets a few old ones in passing: under load nothing else comes along often enough.
    fn with_hold<T>(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId, act: impl FnOnce(&mut Ledger, ledger::HoldId) -> T) -> T {
        let answer = act(&mut self.ledger, ledger::HoldId(hold.0.0));
        self.after_hold(ctx);
        answer
    }

    fn after_hold(&mut self, ctx: &mut ApplyContext<'_>) {
        self.ledger.sweep(at(ctx), SWEPT_IN_PASSING);
        self.note(ctx);
    }
}

/// A hold of these lines that was not taken, as the shop says it.
fn refusal(refused: HoldRefused, asked: &[HoldLine]) -> Refusal {
    match refused {
        HoldRefused::Short { lines } => {
            let short = |line: &ledger::ShortLine| Shortage {
                line: line.index,
                sku: asked[usize::from(line.index)].sku,
                requested: line.requested.0,
                available: line.available.0,
            };
            Refusal::InsufficientStock(lines.iter().map(short).collect())
        }
        HoldRefused::Contended { .. } => Refusal::Contended,
        HoldRefused::Tombstoned => Refusal::NotFound,
        HoldRefused::IdReused => Refusal::IdempotencyKeyReused,
        HoldRefused::TooOld => too_old(),
        HoldRefused::OverLimit { allowed, .. } => {
            Refusal::LimitReached { what: "units of a product that may be bought".to_owned(), max: u64::from(allowed.0) }
        }
        HoldRefused::TooNew => too_new(),
        HoldRefused::TooLong { max_ms } => invalid("/ttl_ms", "too_long", &format!("at most {max_ms}")),
        HoldRefused::Malformed(bad) => invalid("/lines", "bad_lines", &bad.to_string()),
        HoldRefused::Full(full) => no_room(full),
    }
}

fn too_old() -> Refusal {
    Refusal::TooOld { window_ms: limits::RESERVATION_WINDOW_MS }
}

/// Why a hold was not committed, as the shop says it.
fn not_committed(refused: CommitRefused) -> Refusal {
    match refused {
        CommitRefused::Unknown | CommitRefused::Expired | CommitRefused::Released => Refusal::NotFound,
        CommitRefused::Differs | CommitRefused::TooMany { .. } | CommitRefused::Malformed(_) => {
            invalid("/hold", "commit", "a commit of the whole hold")
        }
    }
}
