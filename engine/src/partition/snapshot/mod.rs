//! A partition's state as items, written in slices while commands go on, and read back.
//!
//! Path: [`Partition::freeze`] → [`Partition::snapshot_step`] again and again → items of what there was at the freeze, in the order of
//! [`Kind`] → (files, elsewhere) → [`Restore::put`] → [`Restore::finish`] → a partition of the same digest.
//! Read first: `FORMAT.md` (the bytes), [`Kind`], then `table.rs` beside this folder, which keeps the old forms. Each table writes and reads
//! its own items, beside its commands. `fields` are the shapes of fields, `ledger` the items of the stock ledger, `restore` the way back.
//! Bounds: an item is whole in one step, so a step writes what was asked and one item more; a step costs about what it writes.
//! Deliberately absent: files, checksums and names, which are the shard's; and look-up tables, which a restore makes again.

mod error;
pub(super) mod fields;
pub(super) mod ledger;
mod restore;
#[cfg(test)]
pub(super) mod tests;

pub(super) use error::BadItem;
pub use error::SnapshotError;
pub use restore::Restore;

use super::{Partition, categories, cluster, search_settings};
use fields::{Field, structs};
use wire::{Millis, PartitionId, Seq};

/// Bytes before the body of an item: kind, version, length.
pub(super) const HEADER_BYTES: usize = 6;

/// What walking past an entity that was not there at the freeze counts as, in bytes: it takes time and writes nothing.
const SKIPPED_BYTES: usize = 16;

/// Kinds of items. They come in the order of their numbers, and within a kind by key; the gaps are for kinds to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    /// What it is a snapshot of, and all that is no table.
    Head = 1,
    /// An idempotency key with its outcome, oldest first.
    Key = 8,
    /// An open effect.
    Effect = 16,
    /// A product.
    Product = 24,
    /// A claim on a SKU key.
    Claim = 32,
    /// A category; parents come before their children.
    Category = 40,
    /// A setting of the search.
    SearchSetting = 44,
    /// A node of the cluster.
    Node = 46,
    /// A location with its number.
    Location = 48,
    /// What is kept of an announcement beside the ledger's.
    Announced = 52,
    /// An open transfer.
    Transfer = 56,
    /// A landing that is remembered.
    Landing = 60,
    /// An arrival to be asked for again.
    LandingRetry = 64,
    /// Policy and threshold of a stock row.
    Policy = 68,
    /// A preorder that has not ended.
    PreorderEnd = 72,
    /// A reservation that is owed units or counts.
    Kept = 76,
    /// A sold reservation that counts, oldest first.
    Sold = 80,
    /// The ledger's, in its own order.
    LedgerBegin = 96,
    LedgerRow = 97,
    LedgerHold = 98,
    LedgerEnded = 99,
    LedgerMovement = 100,
    LedgerAnnouncement = 101,
    LedgerShipment = 102,
    LedgerLimit = 103,
    LedgerRecorded = 104,
    LedgerEvent = 105,
    /// A cart.
    Cart = 112,
    /// An order.
    Order = 120,
    /// When an order that came to nothing is forgotten.
    OrderFailed = 124,
    /// The last: how many came of each kind.
    End = 255,
}

impl Kind {
    /// In their order.
    pub(super) const ALL: [Self; 31] = [
        Self::Head,
        Self::Key,
        Self::Effect,
        Self::Product,
        Self::Claim,
        Self::Category,
        Self::SearchSetting,
        Self::Node,
        Self::Location,
        Self::Announced,
        Self::Transfer,
        Self::Landing,
        Self::LandingRetry,
        Self::Policy,
        Self::PreorderEnd,
        Self::Kept,
        Self::Sold,
        Self::LedgerBegin,
        Self::LedgerRow,
        Self::LedgerHold,
        Self::LedgerEnded,
        Self::LedgerMovement,
        Self::LedgerAnnouncement,
        Self::LedgerShipment,
        Self::LedgerLimit,
        Self::LedgerRecorded,
        Self::LedgerEvent,
        Self::Cart,
        Self::Order,
        Self::OrderFailed,
        Self::End,
    ];

    /// As errors and `FORMAT.md` call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Key => "key",
            Self::Effect => "effect",
            Self::Product => "product",
            Self::Claim => "claim",
            Self::Category => "category",
            Self::SearchSetting => "search setting",
            Self::Node => "node",
            Self::Location => "location",
            Self::Announced => "announced",
            Self::Transfer => "transfer",
            Self::Landing => "landing",
            Self::LandingRetry => "landing retry",
            Self::Policy => "policy",
            Self::PreorderEnd => "preorder end",
            Self::Kept => "kept",
            Self::Sold => "sold",
            Self::LedgerBegin => "ledger begin",
            Self::LedgerRow => "ledger row",
            Self::LedgerHold => "ledger hold",
            Self::LedgerEnded => "ledger ended",
            Self::LedgerMovement => "ledger movement",
            Self::LedgerAnnouncement => "ledger announcement",
            Self::LedgerShipment => "ledger shipment",
            Self::LedgerLimit => "ledger limit",
            Self::LedgerRecorded => "ledger recorded",
            Self::LedgerEvent => "ledger event",
            Self::Cart => "cart",
            Self::Order => "order",
            Self::OrderFailed => "order failed",
            Self::End => "end",
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// The newest version of its body. A body that changes gets the next, and a reader for each there was.
    const fn newest(self) -> u8 {
        if matches!(self, Self::Product) { 2 } else { 1 }
    }
}

/// How many items there are of each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counts([u64; 256]);

impl Counts {
    const NONE: Self = Self([0; 256]);

    fn add(&mut self, kind: Kind) {
        self.0[usize::from(kind as u8)] += 1;
    }

    fn of(&self, kind: Kind) -> u64 {
        self.0[usize::from(kind as u8)]
    }

    /// The body of the end: the kinds that there are, with how many.
    fn listed(&self) -> Vec<(u8, u64)> {
        Kind::ALL.into_iter().map(|kind| (kind as u8, self.of(kind))).filter(|(_, items)| *items > 0).collect()
    }
}

/// The first item: what it is a snapshot of, and what is kept outside tables.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    partition: PartitionId,
    partitions: u16,
    epoch: u32,
    seq: Seq,
    last_time: Millis,
    /// Orders minted so far.
    orders: u64,
    /// When the ledger is swept next.
    sweep_at: Option<Millis>,
    /// Rows owe units and have some.
    fill_more: bool,
}

structs! {
    Head { partition, partitions, epoch, seq, last_time, orders, sweep_at, fill_more }
}

/// A walk under way.
#[derive(Debug)]
pub(super) struct Frozen {
    head: Head,
    categories: categories::Walked,
    search_settings: search_settings::Walked,
    nodes: cluster::Walked,
    /// The kind whose table is being walked.
    at: Kind,
    counts: Counts,
}

/// Where items go.
#[derive(Debug)]
pub(super) struct Items<'a> {
    out: &'a mut Vec<u8>,
    /// Length of `out` at which to stop.
    full_at: usize,
    counts: &'a mut Counts,
}

impl Items<'_> {
    /// Writes one item, whose body `fill` writes in its first version.
    pub(super) fn put(&mut self, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) {
        self.put_version((kind, 1), fill);
    }

    /// The same in another version.
    fn put_version(&mut self, (kind, version): (Kind, u8), fill: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!((1..=kind.newest()).contains(&version), "{kind:?} has no version {version}");
        let start = self.out.len();
        self.out.extend_from_slice(&[kind as u8, version, 0, 0, 0, 0]);
        fill(self.out);
        let bytes = u32::try_from(self.out.len() - start - HEADER_BYTES).expect("an item is far below 4 GiB");
        self.out[start + 2..start + HEADER_BYTES].copy_from_slice(&bytes.to_le_bytes());
        self.counts.add(kind);
    }

    /// The same for an entity of a walk, if it was there; says whether to go on.
    pub(super) fn put_walked<T>(&mut self, kind: Kind, entity: Option<T>, fill: impl FnOnce(&mut Vec<u8>, T)) -> bool {
        self.put_walked_version((kind, 1), entity, fill)
    }

    /// The same in another version.
    pub(super) fn put_walked_version<T>(&mut self, kind: (Kind, u8), entity: Option<T>, fill: impl FnOnce(&mut Vec<u8>, T)) -> bool {
        match entity {
            Some(entity) => self.put_version(kind, |body| fill(body, entity)),
            None => self.skip(1),
        }
        !self.are_full()
    }

    /// Counts what took time and wrote nothing.
    pub(super) fn skip(&mut self, entities: usize) {
        self.full_at = self.full_at.saturating_sub(entities * SKIPPED_BYTES);
    }

    pub(super) fn are_full(&self) -> bool {
        self.out.len() >= self.full_at
    }
}

/// Snapshots.
impl Partition {
    /// Begins a snapshot of what there is now; one that is under way is given up. From here on the first change of an entity that is not
    /// written yet keeps a copy of it. O(log n) for each table, and no copy of anything but a few numbers.
    pub fn freeze(&mut self) {
        let Self {
            id,
            epoch,
            partitions,
            seq,
            last_time,
            keys,
            outbox,
            products,
            claims,
            categories,
            search_settings,
            nodes,
            stock,
            carts,
            orders,
            frozen,
        } = self;
        let head = Head {
            partition: *id,
            partitions: *partitions,
            epoch: *epoch,
            seq: *seq,
            last_time: *last_time,
            orders: orders.count(),
            sweep_at: stock.sweep_at(),
            fill_more: stock.fill_more(),
        };
        keys.freeze();
        outbox.freeze();
        products.freeze();
        claims.freeze();
        stock.freeze();
        carts.freeze();
        orders.freeze();
        *frozen = Some(Box::new(Frozen {
            head,
            categories: categories::Walked::of(categories),
            search_settings: search_settings::Walked::of(search_settings),
            nodes: cluster::Walked::of(nodes),
            at: Kind::Head,
            counts: Counts::NONE,
        }));
    }

    /// Whether a snapshot is under way.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Gives up a snapshot that is under way, and the copies kept for it.
    pub fn thaw(&mut self) {
        let Self {
            id: _,
            epoch: _,
            partitions: _,
            seq: _,
            last_time: _,
            categories: _,
            search_settings: _,
            nodes: _,
            keys,
            outbox,
            products,
            claims,
            stock,
            carts,
            orders,
            frozen,
        } = self;
        keys.thaw();
        outbox.thaw();
        products.thaw();
        claims.thaw();
        stock.thaw();
        carts.thaw();
        orders.thaw();
        *frozen = None;
    }

    /// Writes the next items of the snapshot at the end of `out`, whole ones, until it has grown by `bytes` or a little more; `true` while
    /// there is more to come. After the last nothing is frozen. Without a snapshot under way there is nothing to write.
    ///
    /// Costs about what it writes: O(items written) and O(log n) for each table, and what is skipped of entities made meanwhile counts
    /// towards `bytes`. The greatest item is a product of 2,000 variants or a transfer of 1,000 arrivals, some MiB.
    /// 64 KiB took 55 µs in the median and 160 µs at the 99th percentile, with a million products of 1 KiB (`benches/snapshot.rs`).
    pub fn snapshot_step(&mut self, out: &mut Vec<u8>, bytes: usize) -> bool {
        let Some(mut frozen) = self.frozen.take() else { return false };
        let Frozen { head, categories, search_settings, nodes, at, counts } = &mut *frozen;
        let full_at = out.len().saturating_add(bytes.max(1));
        let items = &mut Items { out, full_at, counts };
        loop {
            let more = match at {
                Kind::Head => {
                    items.put(Kind::Head, |body| head.put(body));
                    false
                }
                Kind::Key => self.keys.walk(items),
                Kind::Effect => self.outbox.walk(items),
                Kind::Product => self.products.walk(items),
                Kind::Claim => self.claims.walk(items),
                Kind::Category => categories.walk(items),
                Kind::SearchSetting => search_settings.walk(items),
                Kind::Node => nodes.walk(items),
                // All of the stock's, the ledger's included.
                Kind::Location => self.stock.walk(items),
                Kind::Cart => self.carts.walk(items),
                Kind::Order => self.orders.walk(items),
                Kind::End => {
                    let listed = items.counts.listed();
                    items.put(Kind::End, |body| listed.put(body));
                    return false;
                }
                Kind::Announced
                | Kind::Transfer
                | Kind::Landing
                | Kind::LandingRetry
                | Kind::Policy
                | Kind::PreorderEnd
                | Kind::Kept
                | Kind::Sold
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
                | Kind::OrderFailed => false,
            };
            if !more {
                *at = Kind::ALL.into_iter().find(|kind| *kind > *at).unwrap_or(Kind::End);
            }
            if more || items.are_full() {
                self.frozen = Some(frozen);
                return true;
            }
        }
    }
}
