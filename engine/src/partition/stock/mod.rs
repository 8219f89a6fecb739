//! Stock of a partition's locations: one ledger, and the words around it.
//!
//! Path: a command → ids and locations turned into the ledger's numbers → [`Ledger`] → its answer turned into an outcome; the rows that
//! changed go to [`Changes::stock`](super::Changes). Holds are known here by the order's ids alone.
//! A hold that is unknown or over is refused as `NotFound`, which a peer reads as `Gone`.
//! Bounds: [`LOCATIONS_MAX`], [`LEDGER_LIMITS`]; what would pass them is refused as `LimitReached`.

use super::snapshot::{BadItem, Items, Kind, fields, ledger as ledger_items};
use super::table::Table;
use super::{ApplyContext, Checked, Digest};
use crate::domain::check_text;
use inventory_ledger as ledger;
use ledger::{Ledger, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use wire::{AnnouncementId, Millis, RawId, Refusal, SkuId, limits};

mod apart;
mod goods;
mod holds;
mod journal;
mod on_hand;
mod owed;
mod policies;
mod refusals;
mod told;
mod transfers;
mod views;

pub use owed::PURCHASE_KEPT_MS;
pub use policies::POLICIES_MAX;
pub use transfers::{ARRIVALS_MAX, LANDING_RETRY_MS, LANDINGS_MAX};

/// Locations of a partition. At the bound a change of stock at a new one is refused.
pub const LOCATIONS_MAX: usize = 100_000;

/// Of the ledger of a partition. Holds, with those of the last minutes that are only remembered, take what they need: 64 bytes each that has ended, 96 a live
/// one, so 4 to 6 GB at the bound. As many movements as rows: filling a shop opens each row by a movement, all in a day.
/// A hold lasts for as long as the shop's settings say, so the ledger's own bound is as far as it goes (49 days); longer is cut to it.
/// The history is for looking at what just happened and for readers that follow along: 6 MiB a partition. What lasts is the log.
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
    history_max: 1 << 16,
    events_max: 1 << 16,
    id_window_ms: limits::RESERVATION_WINDOW_MS as u32,
    hold_life_ms_max: u32::MAX,
};

const _: () = assert!(limits::RESERVATION_WINDOW_MS <= u32::MAX as u64, "the ledger counts the window in 32 bits");

/// How often the ledger is swept once it has something to forget.
const SWEEP_EVERY_MS: u64 = 60 * 60 * 1_000;

/// A location nobody has stock at.
const NOWHERE: ledger::Location = ledger::Location(u64::MAX);

/// The ledger, and the locations' numbers in it.
#[derive(Debug)]
pub struct Stock {
    ledger: Ledger,
    /// By number, in order of first use.
    locations: Table<u64, Place>,
    numbers: BTreeMap<Arc<str>, u64>,
    /// When to sweep next; `None` while there is nothing to forget.
    sweep_at: Option<Millis>,
    /// Open announcements.
    announced: Table<AnnouncementId, goods::Announced>,
    transfers: transfers::Transfers,
    policies: policies::Policies,
    owed: owed::Owed,
}

/// A location.
#[derive(Clone, Debug)]
struct Place {
    code: Arc<str>,
    /// Its stock is on another partition: rows here only carry what is on its way there.
    is_away: bool,
}

impl Stock {
    pub(super) fn new() -> Self {
        Self {
            ledger: Ledger::new(LEDGER_LIMITS),
            locations: Table::default(),
            numbers: BTreeMap::new(),
            sweep_at: None,
            announced: Table::default(),
            transfers: transfers::Transfers::default(),
            policies: policies::Policies::default(),
            owed: owed::Owed::default(),
        }
    }

    /// The code of a location of [`Changes::stock`](super::Changes); empty for a number this partition did not give.
    #[must_use]
    pub fn location(&self, location: ledger::Location) -> &str {
        self.locations.get(&location.0).map_or("", |place| &place.code)
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

    /// When the next hold expires, or anything else here is due.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let expiry = self.ledger.next_expiry().map(|due| Millis(due.0));
        let others = [self.sweep_at, self.next_owed(), self.next_preorder_end(), self.next_landing_retry()];
        expiry.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Proves that the ledger's books fit its rows.
    pub(super) fn check_ledger(&self) -> Result<(), String> {
        self.ledger.check().map_err(|broken| self.broken(&broken))
    }

    /// Proves that the tables beside the ledger agree with it.
    pub(super) fn check_tables(&self) -> Result<Checked, String> {
        let dense = (0u64..).zip(&self.locations).all(|(at, (number, _))| at == *number);
        let indexed = dense && self.locations.iter().all(|(number, place)| self.numbers.get(&place.code) == Some(number));
        if !indexed || self.numbers.len() != self.locations.len() {
            return Err("a location is not found by its code".to_owned());
        }
        let (mut open_holds, mut owed, mut announced, mut shipped) = (0, BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for saved in self.ledger.save() {
            match saved {
                ledger::Saved::Hold(hold) => {
                    open_holds += u64::from(hold.stage != ledger::Stage::Committed);
                    let units: u64 = hold.lines.iter().map(|line| u64::from(line.owed.0)).sum();
                    if units > 0 {
                        owed.insert(hold.id, units);
                    }
                }
                ledger::Saved::Announcement(open) => drop(announced.insert(AnnouncementId(RawId(open.id.0)))),
                ledger::Saved::Shipment(open) => {
                    let left: u64 = open.lines.iter().map(|line| u64::from(line.left.0)).sum();
                    shipped.insert(open.id, left);
                }
                _ => {}
            }
        }
        if !owed.into_iter().eq(self.kept_owed()) {
            return Err("what reservations are owed is not what is noted of them".to_owned());
        }
        if !announced.iter().eq(self.announced.keys()) {
            return Err("the announcements noted are not those that are open".to_owned());
        }
        if !shipped.into_iter().eq(self.shipped()) {
            return Err("what transfers have left is not what is on the way".to_owned());
        }
        self.check_policies()?;
        Ok(Checked { rows: u64::from(self.ledger.usage().rows), open_holds })
    }

    /// What is wrong, by the names that a merchant knows.
    fn broken(&self, broken: &ledger::Broken) -> String {
        let row = |sku: ledger::Sku, location| format!("{} at {:?}", SkuId(RawId(sku.0)), self.location(location));
        match *broken {
            ledger::Broken::Column { sku, location, column, found, wanted } => {
                format!("{}: {column} is {found}, the books say {wanted}", row(sku, location))
            }
            ledger::Broken::Unindexed { sku, location } => format!("{} is not found by its key", row(sku, location)),
            ledger::Broken::Carried { sku, units } => {
                format!("{}: transfers leave {units} units unaccounted for", SkuId(RawId(sku.0)))
            }
            ref other => other.to_string(),
        }
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("stock");
        digest.write_usize(self.locations.len());
        for place in self.locations.values() {
            digest.text(&place.code);
            place.is_away.hash(digest);
        }
        (self.sweep_at, self.ledger.digest()).hash(digest);
        digest.write_usize(self.announced.len());
        for (id, announced) in &self.announced {
            (id, announced).hash(digest);
        }
        self.digest_transfers(digest);
        self.digest_policies(digest);
        self.digest_owed(digest);
    }

    /// The number of a location of this partition, given at its first use.
    fn intern(&mut self, code: &str) -> Result<ledger::Location, Refusal> {
        let location = self.intern_as(code, false)?;
        if self.is_away(location)
            && let Some(place) = self.locations.get_mut(&location.0)
        {
            place.is_away = false;
        }
        Ok(location)
    }

    /// The number of a location of another partition.
    fn intern_away(&mut self, code: &str) -> Result<ledger::Location, Refusal> {
        self.intern_as(code, true)
    }

    fn intern_as(&mut self, code: &str, is_away: bool) -> Result<ledger::Location, Refusal> {
        if let Some(number) = self.numbers.get(code) {
            return Ok(ledger::Location(*number));
        }
        check_text("/location", code, 1, limits::KEY_BYTES_MAX).map_err(|error| Refusal::Invalid(vec![error]))?;
        if self.locations.len() >= LOCATIONS_MAX {
            return Err(Refusal::LimitReached { what: "locations of a partition".to_owned(), max: LOCATIONS_MAX as u64 });
        }
        let (number, code) = (self.locations.len() as u64, Arc::<str>::from(code));
        self.locations.insert(number, Place { code: Arc::clone(&code), is_away });
        self.numbers.insert(code, number);
        Ok(ledger::Location(number))
    }

    fn is_away(&self, location: ledger::Location) -> bool {
        self.locations.get(&location.0).is_some_and(|place| place.is_away)
    }

    fn find(&self, code: &str) -> ledger::Location {
        self.numbers.get(code).map_or(NOWHERE, |number| ledger::Location(*number))
    }

    /// Gives units that came to those who are owed some, tells the shard which rows changed, and sees to it that what was remembered is
    /// swept one day.
    fn note(&mut self, ctx: &mut ApplyContext<'_>) {
        self.fill_in_passing(ctx);
        let known = ctx.changes.stock.len();
        ctx.changes.stock.extend(self.ledger.drain_changes());
        if self.has_policies() {
            for nth in known..ctx.changes.stock.len() {
                let change = ctx.changes.stock[nth];
                if change.before.backordered != change.after.backordered {
                    self.look_again(ctx, SkuId(RawId(change.sku.0)), change.location);
                }
            }
        }
        if self.sweep_at.is_none() {
            // Nothing is kept for less.
            self.sweep_at = Some(ctx.time.plus(ledger::MOVEMENT_WINDOW_MS.min(ledger::HOLD_RETENTION_MS).min(ledger::TOMBSTONE_MS)));
        }
    }
}

/// Snapshots. The tables are in modules below; the order of their items is that of [`Kind`].
impl Stock {
    pub(super) fn sweep_at(&self) -> Option<Millis> {
        self.sweep_at
    }

    pub(super) fn fill_more(&self) -> bool {
        self.owed.has_more()
    }

    pub(super) fn set_due(&mut self, sweep_at: Option<Millis>, fill_more: bool) {
        self.sweep_at = sweep_at;
        self.owed.set_more(fill_more);
    }

    pub(super) fn set_ledger(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    pub(super) fn freeze(&mut self) {
        self.ledger.thaw();
        self.ledger.freeze();
        self.locations.freeze();
        self.announced.freeze();
        self.transfers.freeze();
        self.policies.freeze();
        self.owed.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.ledger.thaw();
        self.locations.thaw();
        self.announced.thaw();
        self.transfers.thaw();
        self.policies.thaw();
        self.owed.thaw();
    }

    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        use fields::Field;
        self.locations.walk(|number, place| {
            items.put_walked(Kind::Location, place, |body, Place { code, is_away }| {
                number.put(body);
                code.put(body);
                is_away.put(body);
            })
        }) || self.announced.walk(|id, announced| {
            items.put_walked(Kind::Announced, announced, |body, announced| {
                id.put(body);
                announced.put(body);
            })
        }) || self.transfers.walk(items)
            || self.policies.walk(items)
            || self.owed.walk(items)
            || ledger_items::walk(&mut self.ledger, items)
    }

    pub(super) fn put_back(&mut self, kind: Kind, body: &mut &[u8]) -> Result<(), BadItem> {
        use fields::Field;
        let rises = match kind {
            Kind::Location => {
                let (number, code, is_away): (_, Arc<str>, _) = Field::take(body).ok_or(BadItem::Damaged)?;
                self.numbers.insert(Arc::clone(&code), number);
                self.locations.push(number, Place { code, is_away })
            }
            Kind::Announced => {
                let (id, announced) = Field::take(body).ok_or(BadItem::Damaged)?;
                self.announced.push(id, announced)
            }
            Kind::Transfer | Kind::Landing | Kind::LandingRetry => self.transfers.put_back(kind, body)?,
            Kind::Policy | Kind::PreorderEnd => self.policies.put_back(kind, body)?,
            Kind::Kept | Kind::Sold => self.owed.put_back(kind, body)?,
            Kind::Head
            | Kind::Key
            | Kind::Effect
            | Kind::Product
            | Kind::Claim
            | Kind::Category
            | Kind::SearchSetting
            | Kind::Node
            | Kind::LedgerBegin
            | Kind::LedgerRow
            | Kind::LedgerHold
            | Kind::LedgerEnded
            | Kind::LedgerMovement
            | Kind::LedgerAnnouncement
            | Kind::LedgerShipment
            | Kind::LedgerLimit
            | Kind::LedgerRecorded
            | Kind::LedgerEvent
            | Kind::Cart
            | Kind::Order
            | Kind::OrderFailed
            | Kind::End => unreachable!("{kind:?} is of another table"),
        };
        if rises { Ok(()) } else { Err(BadItem::OutOfOrder) }
    }
}

fn at(ctx: &ApplyContext<'_>) -> ledger::Millis {
    ledger::Millis(ctx.time.0)
}

fn number(sku: SkuId) -> ledger::Sku {
    ledger::Sku(sku.0.0)
}
