//! The way back: items → tables → look-up tables made again → checks → a partition.
//!
//! Path: [`Restore::put`] takes chunks of whole items, in the order they were written → each table takes its own → [`Restore::finish`]
//! closes the ledger, compares counts and checks that the parts agree. A snapshot may come from a damaged disk: nothing in it is trusted,
//! and nothing panics. What one table can get wrong by itself is refused with the item, and what is between tables at the end.
//! Costs: O(log n) an item, and at the end one pass over orders, stock and holds. The million products of `benches/snapshot.rs` with their
//! stock rows take 3 to 4 s on one core, and as long again where the system first has to give the memory.

use super::error::BadItem;
use super::fields::Field;
use super::{Counts, HEADER_BYTES, Head, Kind, SnapshotError, ledger};
use crate::partition::{LEDGER_LIMITS, Partition};
use wire::PartitionId;

/// A partition being built from a snapshot.
#[derive(Debug)]
pub struct Restore {
    partition: Partition,
    ledger: inventory_ledger::Restore,
    counts: Counts,
    /// Items taken so far.
    items: u64,
    /// Of the last item.
    last: Option<Kind>,
    /// What the end said there must be.
    end: Option<Vec<(u8, u64)>>,
}

impl Restore {
    /// Begins with nothing; the snapshot must be of partition `id` of `partitions` in `epoch`.
    #[must_use]
    pub fn new(id: PartitionId, epoch: u32, partitions: u16) -> Self {
        Self {
            partition: Partition::new(id, epoch, partitions),
            ledger: inventory_ledger::Restore::new(LEDGER_LIMITS),
            counts: Counts::NONE,
            items: 0,
            last: None,
            end: None,
        }
    }

    /// Takes the next items, whole ones.
    ///
    /// # Errors
    /// Says what is wrong. The snapshot is then of no use.
    pub fn put(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let mut rest = chunk;
        while !rest.is_empty() {
            self.put_item(&mut rest)?;
            self.items += 1;
        }
        Ok(())
    }

    /// The partition, when all items have come. O(orders + stock): its tables are compared.
    ///
    /// # Errors
    /// Items are missing, or do not fit together.
    pub fn finish(self) -> Result<Partition, SnapshotError> {
        let Self { mut partition, ledger, counts, items, last: _, end } = self;
        let Some(end) = end else { return Err(SnapshotError::Cut { items }) };
        for kind in Kind::ALL {
            let wanted = end.iter().find(|(number, _)| *number == kind as u8).map_or(0, |(_, items)| *items);
            let found = if kind == Kind::End { 0 } else { counts.of(kind) };
            if found != wanted {
                return Err(SnapshotError::Missing { kind: kind.name(), found, wanted });
            }
        }
        // It checks itself.
        let ledger = ledger.finish().map_err(SnapshotError::Ledger)?;
        partition.stock.set_ledger(ledger);
        partition.check_relations().map_err(SnapshotError::Disagreeing)?;
        Ok(partition)
    }

    fn put_item(&mut self, rest: &mut &[u8]) -> Result<(), SnapshotError> {
        let item = self.items;
        let cut = SnapshotError::Damaged { item, kind: "cut" };
        let (header, after) = rest.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| cut.clone())?;
        let [number, version, a, b, c, d] = *header;
        let kind = Kind::of_number(number).filter(|kind| (1..=kind.newest()).contains(&version));
        let kind = kind.ok_or(SnapshotError::Newer { item, kind: number, version })?;
        let bytes = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok();
        let (mut body, after) = bytes.and_then(|bytes| after.split_at_checked(bytes)).ok_or(cut)?;
        *rest = after;

        // One head, one end, and the kinds between in their order.
        let single = matches!(kind, Kind::Head | Kind::End);
        let in_order = match self.last {
            None => kind == Kind::Head,
            Some(last) => kind > last || kind == last && !single,
        };
        if !in_order {
            return Err(BadItem::OutOfOrder.at(item, kind));
        }
        self.last = Some(kind);
        self.counts.add(kind);
        self.take_body((kind, version), &mut body)?.map_err(|bad| bad.at(item, kind))?;
        if body.is_empty() { Ok(()) } else { Err(BadItem::Damaged.at(item, kind)) }
    }

    fn take_body(&mut self, (kind, version): (Kind, u8), body: &mut &[u8]) -> Result<Result<(), BadItem>, SnapshotError> {
        let Partition {
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
            frozen: _,
        } = &mut self.partition;
        Ok(match kind {
            Kind::Head => match Head::take(body) {
                None => Err(BadItem::Damaged),
                Some(head) if (head.partition, head.partitions, head.epoch) == (*id, *partitions, *epoch) => {
                    (*seq, *last_time) = (head.seq, head.last_time);
                    orders.set_count(head.orders);
                    stock.set_due(head.sweep_at, head.fill_more);
                    Ok(())
                }
                Some(Head { partition, partitions, epoch, .. }) => {
                    return Err(SnapshotError::Other { partition: partition.0, partitions, epoch });
                }
            },
            Kind::Key => keys.put_back(body),
            Kind::Effect => outbox.put_back(body),
            Kind::Product => products.put_back(version, body),
            Kind::Claim => claims.put_back(body),
            Kind::Category => crate::partition::categories::put_back(categories, body),
            Kind::SearchSetting => crate::partition::search_settings::put_back(search_settings, body),
            Kind::Node => crate::partition::cluster::put_back(nodes, body),
            Kind::Location
            | Kind::Announced
            | Kind::Transfer
            | Kind::Landing
            | Kind::LandingRetry
            | Kind::Policy
            | Kind::PreorderEnd
            | Kind::Kept
            | Kind::Sold => stock.put_back(kind, body),
            Kind::LedgerBegin
            | Kind::LedgerRow
            | Kind::LedgerHold
            | Kind::LedgerEnded
            | Kind::LedgerMovement
            | Kind::LedgerAnnouncement
            | Kind::LedgerShipment
            | Kind::LedgerLimit
            | Kind::LedgerRecorded
            | Kind::LedgerEvent => match ledger::take(kind, body) {
                None => Err(BadItem::Damaged),
                Some(saved) => self.ledger.put(saved).map_err(BadItem::Ledger),
            },
            Kind::Cart => carts.put_back(body),
            Kind::Order => orders.put_back(body),
            Kind::OrderFailed => orders.put_back_failed(body),
            Kind::End => match Field::take(body) {
                None => Err(BadItem::Damaged),
                Some(end) => {
                    self.end = Some(end);
                    Ok(())
                }
            },
        })
    }
}
