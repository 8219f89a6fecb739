//! Stock of a partition's locations: one ledger, and the words around it.
//!
//! Path: a command → ids and locations turned into the ledger's numbers → [`Ledger`] → its answer turned into an outcome; the rows that
//! changed go to [`Changes::stock`](super::Changes). Holds are known here by the order's ids alone.
//! A hold that is unknown or over is refused as `NotFound`, which a peer reads as `Gone`.
//! Bounds: [`LOCATIONS_MAX`], [`LEDGER_LIMITS`]; what would pass them is refused as `LimitReached`.

use super::{ApplyContext, Checked, Digest, Done, Outcome, hash128};
use crate::{
    domain::check_text,
    record::v1::{HoldLine, StockChange},
};
use inventory_ledger as ledger;
use ledger::{
    CommitRefused, Full, GoodsRefused, HoldRefused, HoldRequest, HoldState, Ledger, Limits, MoveRefused, MovementId, PinRefused,
    ReleaseRefused, RestockRefused,
};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use wire::{FieldError, HoldId, HoldView, Millis, OrderId, RawId, Refusal, Shortage, SkuId, StockRow, limits};
use xxhash_rust::xxh3::xxh3_64;

/// Locations of a partition. At the bound a change of stock at a new one is refused.
pub const LOCATIONS_MAX: usize = 100_000;

/// Of the ledger of a partition. Holds, with those of the last minutes that are only remembered, take what they need: 64 bytes each that has ended, 96 a live
/// one, so 4 to 6 GB at the bound. As many movements as rows: filling a shop opens each row by a movement, all in a day.
/// A hold lasts for as long as the shop's settings say, so the ledger's own bound is as far as it goes (49 days); longer is cut to it.
pub const LEDGER_LIMITS: Limits = Limits {
    rows_max: 1 << 22,
    holds_max: 1 << 26,
    tombstones_max: 1 << 20,
    movements_kept_max: 1 << 22,
    announcements_max: 1 << 16,
    shipments_max: 1 << 16,
    backorders_max: 1 << 20,
    purchase_limits_max: 1 << 16,
    purchases_max: 1 << 20,
    history_max: 0,
    events_max: 1 << 16,
    id_window_ms: limits::RESERVATION_WINDOW_MS as u32,
    hold_life_ms_max: u32::MAX,
};

const _: () = assert!(limits::RESERVATION_WINDOW_MS <= u32::MAX as u64, "the ledger counts the window in 32 bits");

/// How often the ledger is swept once it has something to forget.
const SWEEP_EVERY_MS: u64 = 60 * 60 * 1_000;

/// Ended holds forgotten in passing by a command that touches a hold: more than it can add.
const SWEPT_IN_PASSING: usize = 2;

/// A location nobody has stock at.
const NOWHERE: ledger::Location = ledger::Location(u64::MAX);

/// The ledger, and the locations' numbers in it.
#[derive(Debug)]
pub struct Stock {
    ledger: Ledger,
    /// In order of first use: the position is the number.
    locations: Vec<Arc<str>>,
    numbers: BTreeMap<Arc<str>, u64>,
    /// When to sweep next; `None` while there is nothing to forget.
    sweep_at: Option<Millis>,
}

impl Stock {
    pub(super) fn new() -> Self {
        Self { ledger: Ledger::new(LEDGER_LIMITS), locations: Vec::new(), numbers: BTreeMap::new(), sweep_at: None }
    }

    /// Units that can be had of `sku` at the location. O(log locations).
    #[must_use]
    pub fn available(&self, sku: SkuId, location: &str) -> u32 {
        self.ledger.available(number(sku), self.find(location)).0
    }

    /// The code of a location of [`Changes::stock`](super::Changes); empty for a number this partition did not give.
    #[must_use]
    pub fn location(&self, location: ledger::Location) -> &str {
        let code = usize::try_from(location.0).ok().and_then(|at| self.locations.get(at));
        code.map_or("", Arc::as_ref)
    }

    /// All rows with their location codes, in the order they were opened.
    pub fn rows(&self) -> impl Iterator<Item = (SkuId, &str, ledger::Row)> {
        self.ledger.rows().map(|(sku, location, row)| (SkuId(RawId(sku.0)), self.location(location), row))
    }

    pub(super) fn rows_of(&self, sku: SkuId) -> Vec<StockRow> {
        let view = |(location, row): (ledger::Location, ledger::Row)| StockRow {
            location: self.location(location).to_owned(),
            available: row.available.0,
            held: row.held.0,
            committed: row.committed.0,
            incoming: row.incoming.0,
            unavailable: row.unavailable.0,
        };
        let mut rows: Vec<_> = self.ledger.rows_of(number(sku)).map(view).collect();
        rows.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        rows
    }

    pub(super) fn holds_of(&self, sku: SkuId) -> Vec<HoldView> {
        let view = |hold: ledger::HoldView| HoldView {
            id: HoldId(RawId(hold.id.0)),
            quantity: hold.quantity.0,
            expires_at: match hold.state {
                HoldState::Held { expires_at } => Some(Millis(expires_at.0)),
                HoldState::Pinned
                | HoldState::Committed
                | HoldState::Restocked
                | HoldState::Forgotten
                | HoldState::Released
                | HoldState::Expired
                | HoldState::Tombstoned => None,
            },
            owner: OrderId(RawId(hold.owner.0)),
        };
        self.ledger.holds_of(number(sku)).into_iter().map(view).collect()
    }

    /// Opens a row; one that exists stays as it is.
    pub(super) fn open(&mut self, ctx: &mut ApplyContext<'_>, id: u128, sku: SkuId, location: &str, on_hand: u32) -> Outcome {
        check_units(on_hand)?;
        let location = self.intern(location)?;
        let moved = self.ledger.open_row(at(ctx), MovementId(id), number(sku), location, ledger::Units(on_hand));
        self.moved(ctx, sku, moved)
    }

    /// Changes what is on hand.
    pub(super) fn adjust(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        id: u128,
        sku: SkuId,
        location: &str,
        change: StockChange,
        reason: &str,
    ) -> Outcome {
        let (now, id, key) = (at(ctx), MovementId(id), number(sku));
        // Only tells one movement from another under the same id; the words stay in the log.
        let reason = ledger::Reason((xxh3_64(reason.as_bytes()) & 0xffff_ffff) as u32);
        let moved = match change {
            StockChange::Delta(delta) => {
                check_units(u32::try_from(delta.unsigned_abs()).unwrap_or(u32::MAX))?;
                let location = self.intern(location)?;
                self.ledger.adjust(now, id, key, location, delta, reason)
            }
            StockChange::Set(on_hand) => {
                check_units(on_hand)?;
                let location = self.intern(location)?;
                self.ledger.set(now, id, key, location, ledger::Units(on_hand), None, reason)
            }
            StockChange::CompareAndSet { set, expected } => {
                check_units(set)?;
                let location = self.intern(location)?;
                self.ledger.set(now, id, key, location, ledger::Units(set), Some(ledger::Units(expected)), reason)
            }
        };
        self.moved(ctx, sku, moved)
    }

    /// Sets all lines aside at one location, or none.
    pub(super) fn hold(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        hold: HoldId,
        order: OrderId,
        location: &str,
        lines: &[HoldLine],
        ttl_ms: u64,
    ) -> Outcome {
        let location = self.find(location);
        let line = |line: &HoldLine| ledger::Line { sku: number(line.sku), location, quantity: ledger::Units(line.quantity) };
        let asked: Vec<_> = lines.iter().map(line).collect();
        let (now, owner) = (at(ctx), ledger::Owner(order.0.0));
        let ttl_ms = ttl_ms.min(u64::from(LEDGER_LIMITS.hold_life_ms_max));
        let held = self.with_hold(ctx, hold, |ledger, id| ledger.hold(now, &HoldRequest::new(id, owner, &asked, ttl_ms)));
        match held {
            Ok(held) => Ok(Done::Held { remaining: held.lines.iter().map(|line| line.remaining.0).collect() }),
            Err(refused) => Err(refusal(refused, lines)),
        }
    }

    /// Sets lines aside under a caller's id.
    #[expect(clippy::too_many_arguments, reason = "the fields of one command")]
    pub(super) fn reserve(
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
        let (now, owner) = (at(ctx), ledger::Owner(owner.0.0));
        let held = self.with_hold(ctx, hold, |ledger, id| {
            let request = HoldRequest { partial, ..HoldRequest::new(id, owner, &asked, u64::from(ttl_ms)).timed() };
            ledger.hold(now, &request)
        });
        match held {
            Ok(held) => {
                let line = |line: &ledger::Taken| wire::ReservedLine { taken: line.taken.0, remaining: line.remaining.0 };
                let lines = held.lines.iter().map(line).collect();
                Ok(Done::Reserved { expires_at: Millis(held.expires_at.0), lines, replayed: held.replayed })
            }
            Err(refused) => Err(refusal(refused, lines)),
        }
    }

    /// Books a delivery, all of it or nothing.
    pub(super) fn receive(&mut self, ctx: &mut ApplyContext<'_>, id: u128, location: &str, lines: &[HoldLine]) -> Outcome {
        let (now, id) = (at(ctx), MovementId(hash128(&[b"receive", &id.to_le_bytes()])));
        let location = self.intern(location)?;
        let line = |line: &HoldLine| ledger::Line { sku: number(line.sku), location, quantity: ledger::Units(line.quantity) };
        let received = self.ledger.receive(now, id, &lines.iter().map(line).collect::<Vec<_>>());
        self.note(ctx);
        match received {
            Ok(goods) => Ok(Done::Received { replayed: goods.replayed }),
            Err(GoodsRefused::Overflow { .. }) => Err(too_many_units(ledger::UNITS_MAX.0)),
            Err(GoodsRefused::IdReused) => Err(Refusal::IdempotencyKeyReused),
            Err(GoodsRefused::Malformed(bad)) => Err(invalid("/lines", "bad_lines", &bad.to_string())),
            Err(GoodsRefused::Full(full)) => Err(no_room(full)),
            Err(GoodsRefused::Unknown | GoodsRefused::Short { .. } | GoodsRefused::TooMany { .. } | GoodsRefused::SamePlace { .. }) => {
                unreachable!("of announcements and shipments, not of a plain delivery")
            }
        }
    }

    /// Keeps a hold from expiring.
    pub(super) fn pin(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        match self.with_hold(ctx, hold, |ledger, id| ledger.pin(now, id)) {
            // Committed is past pinned: a late repeat.
            Ok(_) | Err(PinRefused::Committed) => Ok(Done::Nothing),
            Err(PinRefused::Unknown | PinRefused::Expired | PinRefused::Released) => Err(Refusal::NotFound),
        }
    }

    /// Promises a hold's units to its order.
    pub(super) fn commit(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        match self.with_hold(ctx, hold, |ledger, id| ledger.commit(now, id)) {
            Ok(_) => Ok(Done::Nothing),
            Err(refused) => Err(not_committed(refused)),
        }
    }

    /// Gives a hold's units back. One that is unknown cannot be taken afterwards.
    pub(super) fn release(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        match self.with_hold(ctx, hold, |ledger, id| ledger.release(now, id)) {
            // Without room for a tombstone a hold that comes late is taken, and falls back when its time is over: nobody pins it.
            Ok(_) | Err(ReleaseRefused::Full(_)) => Ok(Done::Nothing),
            Err(ReleaseRefused::TooNew) => Err(too_new()),
            Err(ReleaseRefused::Committed) => Err(invalid("/hold", "hold_committed", "a hold that is not committed; restock it")),
        }
    }

    /// A reservation is sold: nothing returns its units under its id any more, so it need not be kept.
    pub(super) fn commit_reserved(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        self.sell(ctx, hold, |ledger, id| ledger.commit(now, id))
    }

    fn sell(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        hold: HoldId,
        commit: impl FnOnce(&mut Ledger, ledger::HoldId) -> Result<ledger::Committed, CommitRefused>,
    ) -> Outcome {
        let now = at(ctx);
        let committed = self.with_hold(ctx, hold, |ledger, id| {
            let committed = commit(ledger, id);
            if committed.is_ok() {
                // Known and committed: what could be refused is not.
                let _ = ledger.forget(now, id);
            }
            committed
        });
        match committed {
            Ok(_) => Ok(Done::Nothing),
            Err(refused) => Err(not_committed(refused)),
        }
    }

    /// Some of a reservation is sold, the rest goes back.
    pub(super) fn commit_reserved_part(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId, location: &str, lines: &[HoldLine]) -> Outcome {
        let (now, location) = (at(ctx), self.find(location));
        let line = |line: &HoldLine| ledger::Line { sku: number(line.sku), location, quantity: ledger::Units(line.quantity) };
        let lines: Vec<_> = lines.iter().map(line).collect();
        self.sell(ctx, hold, |ledger, id| ledger.commit_part(now, id, &lines))
    }

    /// A reservation lasts longer, up to its cap.
    pub(super) fn extend_reserved(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId, ttl_ms: u32) -> Outcome {
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
    pub(super) fn release_reserved(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let now = at(ctx);
        match self.with_hold(ctx, hold, |ledger, id| ledger.release_timed(now, id)) {
            Ok(_) => Ok(Done::Nothing),
            Err(ReleaseRefused::Committed) => Err(invalid("/hold", "hold_committed", "a reservation that is not sold")),
            Err(ReleaseRefused::TooNew) => Err(too_new()),
            // Told, not swallowed: the reservation may still come, and its sender can send the release again.
            Err(ReleaseRefused::Full(full)) => Err(no_room(full)),
        }
    }

    /// Returns a committed hold's units to sale, once.
    pub(super) fn restock(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId) -> Outcome {
        let (now, id) = (at(ctx), MovementId(hash128(&[b"restock", &hold.0.0.to_le_bytes()])));
        match self.with_hold(ctx, hold, |ledger, hold| ledger.restock(now, id, hold, None)) {
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
    pub(super) fn expire(&mut self, ctx: &mut ApplyContext<'_>, max: usize) -> usize {
        let ended = self.ledger.expire(at(ctx), max).ids.len();
        self.note(ctx);
        ended
    }

    /// Forgets up to `max` old things when it is time to; returns how many.
    pub(super) fn sweep(&mut self, now: Millis, max: usize) -> usize {
        if self.sweep_at.is_none_or(|due| due > now) {
            return 0;
        }
        let swept = self.ledger.sweep(ledger::Millis(now.0), max);
        if !swept.more {
            let kept = self.ledger.usage();
            let some = kept.holds > 0 || kept.tombstones > 0 || kept.movements > 0;
            self.sweep_at = some.then(|| now.plus(SWEEP_EVERY_MS));
        }
        swept.holds + swept.tombstones + swept.movements
    }

    /// When the next hold expires or the next sweep is due.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let expiry = self.ledger.next_expiry().map(|due| Millis(due.0));
        expiry.into_iter().chain(self.sweep_at).min()
    }

    pub(super) fn check(&self) -> Result<Checked, String> {
        self.ledger.check().map_err(|broken| broken.to_string())?;
        let indexed = (0u64..).zip(&self.locations).all(|(number, code)| self.numbers.get(code) == Some(&number));
        if !indexed || self.numbers.len() != self.locations.len() {
            return Err("a location is not found by its code".to_owned());
        }
        let is_open = |saved: &ledger::Saved| matches!(saved, ledger::Saved::Hold(hold) if hold.stage != ledger::Stage::Committed);
        let open_holds = self.ledger.save().filter(is_open).count() as u64;
        Ok(Checked { rows: u64::from(self.ledger.usage().rows), open_holds })
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("stock");
        digest.write_usize(self.locations.len());
        for code in &self.locations {
            digest.text(code);
        }
        (self.sweep_at, self.ledger.digest()).hash(digest);
    }

    /// The number of a location, given at its first use.
    fn intern(&mut self, code: &str) -> Result<ledger::Location, Refusal> {
        if let Some(number) = self.numbers.get(code) {
            return Ok(ledger::Location(*number));
        }
        check_text("/location", code, 1, limits::KEY_BYTES_MAX).map_err(|error| Refusal::Invalid(vec![error]))?;
        if self.locations.len() >= LOCATIONS_MAX {
            return Err(Refusal::LimitReached { what: "locations of a partition".to_owned(), max: LOCATIONS_MAX as u64 });
        }
        let (number, code) = (self.locations.len() as u64, Arc::<str>::from(code));
        self.locations.push(Arc::clone(&code));
        self.numbers.insert(code, number);
        Ok(ledger::Location(number))
    }

    fn find(&self, code: &str) -> ledger::Location {
        self.numbers.get(code).map_or(NOWHERE, |number| ledger::Location(*number))
    }

    /// Does something to a hold, and forgets a few old ones in passing: under load nothing else comes along often enough.
    fn with_hold<T>(&mut self, ctx: &mut ApplyContext<'_>, hold: HoldId, act: impl FnOnce(&mut Ledger, ledger::HoldId) -> T) -> T {
        let answer = act(&mut self.ledger, ledger::HoldId(hold.0.0));
        self.ledger.sweep(at(ctx), SWEPT_IN_PASSING);
        self.note(ctx);
        answer
    }

    fn moved(&mut self, ctx: &mut ApplyContext<'_>, sku: SkuId, moved: Result<ledger::Moved, MoveRefused>) -> Outcome {
        self.note(ctx);
        match moved {
            Ok(moved) => Ok(Done::Stock { sku, repeated: moved.replayed }),
            Err(MoveRefused::Mismatch { actual }) => Err(Refusal::StockMismatch { actual: u64::from(actual.0) }),
            Err(MoveRefused::Committed { available, held, committed }) => {
                Err(Refusal::StockCommitted { available: available.0, held: held.0, committed: committed.0 })
            }
            // Less than nothing, where nothing is.
            Err(MoveRefused::UnknownRow | MoveRefused::TooFew { .. }) => {
                Err(Refusal::StockCommitted { available: 0, held: 0, committed: 0 })
            }
            Err(MoveRefused::Overflow { .. }) => Err(too_many_units(ledger::UNITS_MAX.0)),
            Err(MoveRefused::IdReused) => Err(Refusal::IdempotencyKeyReused),
            Err(MoveRefused::Full(full)) => Err(no_room(full)),
        }
    }

    /// Tells the shard which rows changed, and sees to it that what was remembered is swept one day.
    fn note(&mut self, ctx: &mut ApplyContext<'_>) {
        ctx.changes.stock.extend(self.ledger.drain_changes());
        if self.sweep_at.is_none() {
            // Nothing is kept for less.
            self.sweep_at = Some(ctx.time.plus(ledger::MOVEMENT_WINDOW_MS.min(ledger::HOLD_RETENTION_MS).min(ledger::TOMBSTONE_MS)));
        }
    }
}

fn at(ctx: &ApplyContext<'_>) -> ledger::Millis {
    ledger::Millis(ctx.time.0)
}

fn number(sku: SkuId) -> ledger::Sku {
    ledger::Sku(sku.0.0)
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
        HoldRefused::TooOld => Refusal::TooOld { window_ms: limits::RESERVATION_WINDOW_MS },
        HoldRefused::OverLimit { allowed, .. } => {
            Refusal::LimitReached { what: "units of a product that may be bought".to_owned(), max: u64::from(allowed.0) }
        }
        HoldRefused::TooNew => too_new(),
        HoldRefused::TooLong { max_ms } => invalid("/ttl_ms", "too_long", &format!("at most {max_ms}")),
        HoldRefused::Malformed(bad) => invalid("/lines", "bad_lines", &bad.to_string()),
        HoldRefused::Full(full) => no_room(full),
    }
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

fn too_new() -> Refusal {
    invalid("/hold", "too_new", "an id made by a clock that is right")
}

fn check_units(units: u32) -> Result<(), Refusal> {
    if units <= limits::STOCK_UNITS_MAX { Ok(()) } else { Err(too_many_units(limits::STOCK_UNITS_MAX)) }
}

fn too_many_units(max: u32) -> Refusal {
    Refusal::LimitReached { what: "units of a stock row".to_owned(), max: u64::from(max) }
}

fn no_room(full: Full) -> Refusal {
    let (what, max) = match full {
        Full::Rows => ("stock rows of a partition", LEDGER_LIMITS.rows_max),
        Full::Holds => ("holds of a partition", LEDGER_LIMITS.holds_max),
        Full::Tombstones => ("released holds of a partition", LEDGER_LIMITS.tombstones_max),
        Full::Movements => ("stock movements of a partition in a day", LEDGER_LIMITS.movements_kept_max),
        Full::Announcements => ("announced deliveries of a partition", LEDGER_LIMITS.announcements_max),
        Full::Shipments => ("open shipments of a partition", LEDGER_LIMITS.shipments_max),
        Full::PurchaseLimits => ("purchase limits of a partition", LEDGER_LIMITS.purchase_limits_max),
        Full::Purchases => ("limited purchases of a partition", LEDGER_LIMITS.purchases_max),
        Full::Backorders => ("backordered holds of a partition", LEDGER_LIMITS.backorders_max),
    };
    Refusal::LimitReached { what: what.to_owned(), max: u64::from(max) }
}

fn invalid(pointer: &str, code: &str, wanted: &str) -> Refusal {
    Refusal::Invalid(vec![FieldError { pointer: pointer.to_owned(), code: code.to_owned(), detail: wanted.to_owned() }])
}
