//! Goods on their way between locations, also between those of different partitions.
//!
//! A transfer lives where its goods came from: in this partition's ledger as a shipment, whose destination has a row here that carries what
//! is in transit to it. If the destination's partition is this one, an arrival is one movement of the ledger. If not:
//!
//! ```text
//! arrive → units reserved for the arrival, still in transit → effect LandStock → the destination's partition books them, once
//!        → its answer, logged here → they leave this ledger (to the shipment: not to come any more) → effect ForgetLanding
//! ```
//!
//! So a unit is in transit until its destination has it: none is ever for sale twice, and after the answer none is counted twice. The
//! destination knows a landing by its id until it is told to forget it, however long the first answer was under way, so an effect that
//! comes twice books once. A destination without room refuses; its answer leaves the units in transit, and it is asked again every
//! [`LANDING_RETRY_MS`]. Each ledger's own identity holds throughout: of the row at a destination elsewhere, only `in_transit` is used.
//! Bounds: `shipments_max` open transfers, [`ARRIVALS_MAX`] arrivals each, [`LANDINGS_MAX`] landings that are remembered.

use super::{Stock, at, goods, number, refusals};
use crate::{
    partition::{
        ApplyContext, Digest, Done, Outcome, hash128,
        outbox::{Concern, Target},
        outcome::Goods,
        snapshot::{
            BadItem, Items, Kind,
            fields::{Field, enums, structs},
        },
        table::Table,
    },
    record::v1::{Arrived, Command, HoldLine, Landed, PeerOutcome},
};
use inventory_ledger as ledger;
use ledger::{Full, MovementId, Units};
use refusals::{check_lines, goods_refused, invalid, no_room, too_many_came, too_many_units};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use wire::{EventField, EventKind, GoodsDone, Millis, PartitionId, RawId, Refusal, SkuId, TransferId, UnitsUnderWay, placement};

/// Arrivals of one transfer to another partition. At the bound another is refused: let the rest come by one, or recall it.
pub const ARRIVALS_MAX: usize = 1_000;

/// Landings that a partition remembers until it is told to forget them. At the bound another is refused, and asked again later.
pub const LANDINGS_MAX: usize = 1 << 20;

/// After so long a destination that had no room is asked again.
pub const LANDING_RETRY_MS: u64 = 60_000;

/// Open transfers from here, and landings here.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    open: Table<TransferId, Transfer>,
    /// Landings booked here whose transfer does not know it yet.
    landed: Table<u128, ()>,
    /// Arrivals to be asked for, or finished, again.
    retries: Table<(Millis, TransferId, u128), ()>,
}

/// What is kept of a transfer beside the ledger's shipment.
#[derive(Clone, Debug, Hash)]
struct Transfer {
    to: ledger::Location,
    /// Where the destination lives, if not here.
    away: Option<PartitionId>,
    /// Units that have neither arrived nor are about to; none is zero.
    left: BTreeMap<SkuId, u32>,
    /// Those to another partition, by their ids.
    arrivals: BTreeMap<u128, Arrival>,
}

/// Where an arrival at another partition stands.
#[derive(Clone, Debug, Hash)]
enum Arrival {
    /// The destination is asked; the units are in transit still.
    Landing(Vec<Arrived>),
    /// The destination has them; here they could not be booked out yet.
    Booked(Vec<Arrived>),
    /// Over.
    Over,
}

impl Transfer {
    fn units_left(&self) -> u64 {
        self.left.values().map(|units| u64::from(*units)).sum()
    }

    /// Units of arrivals that are not over: whole or damaged, and with those lost.
    fn arriving(&self) -> (u64, u64) {
        let open = self.arrivals.values().flat_map(|arrival| match arrival {
            Arrival::Landing(lines) | Arrival::Booked(lines) => lines.as_slice(),
            Arrival::Over => &[],
        });
        open.fold((0, 0), |(came, all), line| (came + came_of(line), all + units_of(line)))
    }

    fn take(&mut self, lines: &[Arrived]) {
        for line in lines {
            if let Some(left) = self.left.get_mut(&line.sku) {
                *left = u64::from(*left).saturating_sub(units_of(line)) as u32; // no more than it was
            }
        }
        self.left.retain(|_, left| *left > 0);
    }
}

fn came_of(line: &Arrived) -> u64 {
    u64::from(line.whole) + u64::from(line.damaged)
}

fn units_of(line: &Arrived) -> u64 {
    came_of(line) + u64::from(line.lost)
}

/// Sending, arriving, recalling: on the partition of the source.
impl Stock {
    /// Goods leave for another location.
    pub(in crate::partition) fn send(&mut self, ctx: &mut ApplyContext<'_>, from: &str, to: &str, lines: &[HoldLine]) -> Outcome {
        check_lines(lines)?;
        if from == to {
            return Err(invalid("/to", "same_location", "another location than it leaves"));
        }
        let source = self.find(from);
        let home = placement::partition_of(placement::Space::Location, to.as_bytes(), ctx.partitions);
        let away = (home != ctx.partition).then_some(home);
        let to = if away.is_some() { self.intern_away(to)? } else { self.intern(to)? };
        let id: TransferId = ctx.next();
        let sent = self.ledger.send(at(ctx), MovementId(id.0.0), to, &goods::at_location(lines, source));
        self.note(ctx);
        let sent = sent.map_err(|refused| goods_refused(refused, lines))?;
        let mut left: BTreeMap<SkuId, u32> = BTreeMap::new();
        for line in lines {
            *left.entry(line.sku).or_default() += line.quantity; // together within the column of a row
        }
        self.transfers.open.insert(id, Transfer { to, away, left, arrivals: BTreeMap::new() });
        for line in lines {
            let data = vec![
                EventField::Transfer(id),
                EventField::Sku(line.sku),
                EventField::Location(from.to_owned()),
                EventField::To(self.location(to).to_owned()),
                EventField::Quantity(u64::from(line.quantity)),
            ];
            ctx.tell(EventKind::TransferSent, data);
        }
        Ok(goods::done(sent, GoodsDone { transfer: Some(id), ..GoodsDone::default() }))
    }

    /// Goods have come, or will not.
    pub(in crate::partition) fn arrive(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        id: u128,
        transfer: TransferId,
        lines: Option<&[Arrived]>,
    ) -> Outcome {
        let open = self.transfers.open.get(&transfer).ok_or(Refusal::NotFound)?;
        if open.arrivals.contains_key(&id) {
            let told = GoodsDone { transfer: Some(transfer), left: open.units_left(), arriving: open.arriving().0, ..GoodsDone::default() };
            return Ok(Done::Goods(Box::new(Goods { told, replayed: true })));
        }
        let lines = came(open, lines)?;
        let (to, away, told) = (open.to, open.away, lines.clone());
        let outcome = match away {
            None => self.arrive_here(ctx, id, transfer, &lines),
            Some(_) => self.arrive_away(ctx, id, transfer, lines),
        };
        if matches!(&outcome, Ok(Done::Goods(goods)) if !goods.replayed) {
            for line in &told {
                let data = vec![
                    EventField::Transfer(transfer),
                    EventField::Sku(line.sku),
                    EventField::Location(self.location(to).to_owned()),
                    EventField::Quantity(u64::from(line.whole)),
                    EventField::Damaged(u64::from(line.damaged)),
                    EventField::Lost(u64::from(line.lost)),
                ];
                ctx.tell(EventKind::TransferArrived, data);
            }
        }
        outcome
    }

    fn arrive_here(&mut self, ctx: &mut ApplyContext<'_>, id: u128, transfer: TransferId, lines: &[Arrived]) -> Outcome {
        let arrivals: Vec<_> = lines.iter().map(|line| arrival(line, Units(line.whole), Units(line.damaged), Units(line.lost))).collect();
        let arrived = self.ledger.arrive(at(ctx), arrival_movement(transfer, id), MovementId(transfer.0.0), Some(&arrivals));
        self.note(ctx);
        let arrived = arrived.map_err(|refused| goods_refused(refused, &[]))?;
        if let Some(open) = self.transfers.open.get_mut(&transfer)
            && !arrived.replayed
        {
            open.take(lines);
            if open.left.is_empty() {
                self.transfers.open.remove(&transfer);
            }
        }
        Ok(goods::done(arrived, GoodsDone { transfer: Some(transfer), ..GoodsDone::default() }))
    }

    fn arrive_away(&mut self, ctx: &mut ApplyContext<'_>, id: u128, transfer: TransferId, lines: Vec<Arrived>) -> Outcome {
        ctx.check_outbox_room(1)?;
        let open = self.transfers.open.get_mut(&transfer).ok_or(Refusal::NotFound)?;
        if open.arrivals.len() >= ARRIVALS_MAX {
            return Err(Refusal::LimitReached { what: "arrivals of a transfer".to_owned(), max: ARRIVALS_MAX as u64 });
        }
        open.take(&lines);
        let units: u64 = lines.iter().map(came_of).sum();
        let left = open.units_left();
        if units > 0 {
            open.arrivals.insert(id, Arrival::Landing(lines));
            self.ask_to_land(ctx, transfer, id);
        } else {
            // Nothing came, so nobody is asked.
            open.arrivals.insert(id, Arrival::Booked(lines));
            self.leave(ctx, transfer, id);
        }
        let arriving = self.transfers.open.get(&transfer).map_or(0, |open| open.arriving().0);
        let told = GoodsDone { transfer: Some(transfer), units, left, arriving, ..GoodsDone::default() };
        Ok(Done::Goods(Box::new(Goods { told, replayed: false })))
    }

    /// What is left returns to where it came from.
    pub(in crate::partition) fn recall(&mut self, ctx: &mut ApplyContext<'_>, id: u128, transfer: TransferId) -> Outcome {
        let open = self.transfers.open.get(&transfer).ok_or(Refusal::NotFound)?;
        if open.arriving().1 > 0 {
            return Err(Refusal::StillArriving);
        }
        let id = MovementId(hash128(&[b"recall", &id.to_le_bytes()]));
        let recalled = self.ledger.recall(at(ctx), id, MovementId(transfer.0.0));
        self.note(ctx);
        let recalled = recalled.map_err(|refused| goods_refused(refused, &[]))?;
        self.transfers.open.remove(&transfer);
        if !recalled.replayed {
            ctx.tell(EventKind::TransferRecalled, vec![EventField::Transfer(transfer), EventField::Quantity(recalled.units)]);
        }
        Ok(goods::done(recalled, GoodsDone { transfer: Some(transfer), ..GoodsDone::default() }))
    }

    /// The destination's partition answered.
    pub(in crate::partition) fn landing_answered(
        &mut self,
        ctx: &mut ApplyContext<'_>,
        transfer: TransferId,
        arrival: u128,
        answer: &PeerOutcome,
    ) {
        let Some(open) = self.transfers.open.get_mut(&transfer) else { return };
        let Some(state) = open.arrivals.get_mut(&arrival) else { return };
        match (answer, &mut *state) {
            (PeerOutcome::Done, Arrival::Landing(lines)) => {
                *state = Arrival::Booked(std::mem::take(lines));
                self.leave(ctx, transfer, arrival);
            }
            (
                PeerOutcome::Held { .. } | PeerOutcome::Short(_) | PeerOutcome::Gone | PeerOutcome::Refused { .. } | PeerOutcome::Contended,
                Arrival::Landing(_),
            ) => {
                self.transfers.retries.insert((ctx.time.plus(LANDING_RETRY_MS), transfer, arrival), ());
            }
            // Answered before.
            (_, Arrival::Booked(_) | Arrival::Over) => {}
        }
    }

    /// Does again what could not be done, up to `max` of it; returns how much was due.
    pub(in crate::partition) fn retry_landings(&mut self, ctx: &mut ApplyContext<'_>, max: usize) -> usize {
        let mut due = 0;
        while due < max && self.next_landing_retry().is_some_and(|at| at <= ctx.time) {
            let Some(((_, transfer, arrival), ())) = self.transfers.retries.pop_first() else { break };
            due += 1;
            match self.transfers.open.get(&transfer).and_then(|open| open.arrivals.get(&arrival)) {
                Some(Arrival::Landing(_)) => self.ask_to_land(ctx, transfer, arrival),
                Some(Arrival::Booked(_)) => self.leave(ctx, transfer, arrival),
                Some(Arrival::Over) | None => {}
            }
        }
        due
    }

    pub(super) fn next_landing_retry(&self) -> Option<Millis> {
        self.transfers.retries.first_key_value().map(|((at, ..), ())| *at)
    }

    /// Asks the destination's partition to book an arrival.
    fn ask_to_land(&mut self, ctx: &mut ApplyContext<'_>, transfer: TransferId, id: u128) {
        let Some(open) = self.transfers.open.get(&transfer) else { return };
        let (Some(away), Some(Arrival::Landing(lines))) = (open.away, open.arrivals.get(&id)) else { return };
        let came = lines.iter().filter(|line| came_of(line) > 0);
        let lines = came.map(|line| Landed { sku: line.sku, whole: line.whole, damaged: line.damaged }).collect();
        let location = self.location(open.to).to_owned();
        let command = Command::LandStock { id: landing(transfer, id), location, lines };
        ctx.ask(Concern::Arrival(transfer, id), Target::Partition(away, command));
    }

    /// Books an arrival out of this ledger, now that its destination has it. The ledger calls them lost: to its own rows they are.
    fn leave(&mut self, ctx: &mut ApplyContext<'_>, transfer: TransferId, id: u128) {
        let Some(open) = self.transfers.open.get_mut(&transfer) else { return };
        let Some(Arrival::Booked(lines)) = open.arrivals.get(&id) else { return };
        // No more than what was sent, which fits.
        let gone: Vec<_> = lines.iter().map(|line| arrival(line, Units(0), Units(0), Units(units_of(line) as u32))).collect();
        let came = lines.iter().any(|line| came_of(line) > 0);
        let left = self.ledger.arrive(at(ctx), arrival_movement(transfer, id), MovementId(transfer.0.0), Some(&gone));
        match left {
            Ok(_) => {
                open.arrivals.insert(id, Arrival::Over);
                let away = open.away;
                if open.left.is_empty() && open.arriving().1 == 0 {
                    self.transfers.open.remove(&transfer);
                }
                if let Some(away) = away.filter(|_| came) {
                    ctx.ask(Concern::None, Target::Partition(away, Command::ForgetLanding { id: landing(transfer, id) }));
                }
            }
            // Only for want of room to remember it: the movements of a day.
            Err(_) => {
                self.transfers.retries.insert((ctx.time.plus(LANDING_RETRY_MS), transfer, id), ());
            }
        }
        self.note(ctx);
    }
}

/// Landing: on the partition of the destination.
impl Stock {
    /// Books what arrived from elsewhere, once until it is told to forget.
    pub(in crate::partition) fn land(&mut self, ctx: &mut ApplyContext<'_>, id: u128, location: &str, lines: &[Landed]) -> Outcome {
        if self.transfers.landed.contains_key(&id) {
            return Ok(Done::Nothing);
        }
        if self.transfers.landed.len() >= LANDINGS_MAX {
            return Err(Refusal::LimitReached { what: "landings of a partition".to_owned(), max: LANDINGS_MAX as u64 });
        }
        let (now, location) = (at(ctx), self.intern(location)?);
        let sum = |line: &Landed| line.whole.saturating_add(line.damaged);
        let came: Vec<_> = lines.iter().map(|line| HoldLine { sku: line.sku, quantity: sum(line) }).collect();
        check_lines(&came)?;
        let damaged: Vec<_> = lines.iter().filter(|line| line.damaged > 0).collect();
        // Asked beforehand: the ledger would remember the refusal under the id, and the same landing is tried again.
        let on_hand = |sku| self.ledger.row(number(sku), location).map_or(0, |row| u64::from(row.on_hand().0));
        if came.iter().any(|line| on_hand(line.sku) + u64::from(line.quantity) > u64::from(ledger::UNITS_MAX.0)) {
            return Err(too_many_units(ledger::UNITS_MAX.0));
        }
        // All of it or nothing: the damaged ones are set apart by movements of their own.
        let room = self.ledger.limits().movements_kept_max - self.ledger.usage().movements;
        if room as usize <= damaged.len() {
            return Err(no_room(Full::Movements));
        }
        let received = self.ledger.receive(now, MovementId(id), &goods::at_location(&came, location));
        let received = received.map_err(|refused| goods_refused(refused, &came))?;
        if !received.replayed {
            for (nth, line) in damaged.into_iter().enumerate() {
                let own = MovementId(hash128(&[b"landed damaged", &id.to_le_bytes(), &(nth as u64).to_le_bytes()]));
                let why = ledger::Unavailable::Damaged;
                let apart = self.ledger.set_apart(now, own, number(line.sku), location, why, Units(line.damaged));
                debug_assert!(apart.is_ok(), "as many have just come");
            }
        }
        self.transfers.landed.insert(id, ());
        self.note(ctx);
        Ok(Done::Nothing)
    }

    /// The transfer's partition will not ask for this landing again.
    pub(in crate::partition) fn forget_landing(&mut self, id: u128) -> Outcome {
        self.transfers.landed.remove(&id);
        Ok(Done::Nothing)
    }
}

/// What is told and checked.
impl Stock {
    /// Units of a transfer that are still to come, and units that its destination is booking. `None`: there is no such transfer, or it is closed.
    #[must_use]
    pub fn transfer(&self, transfer: TransferId) -> Option<(u64, u64)> {
        self.transfers.open.get(&transfer).map(|open| (open.units_left(), open.arriving().0))
    }

    /// What is on its way to one row, the first `max` transfers. O(lines of all open transfers) where there is any.
    pub(super) fn under_way(&self, sku: SkuId, location: ledger::Location, max: usize) -> Vec<UnitsUnderWay> {
        let shown = |way: ledger::UnderWay| UnitsUnderWay {
            transfer: TransferId(RawId(way.shipment.0)),
            from: self.location(way.from).to_owned(),
            quantity: way.units.0,
        };
        self.ledger.under_way(number(sku), location).into_iter().take(max).map(shown).collect()
    }

    /// Units that the ledger must have on the way by each open transfer, in order of its id.
    pub(super) fn shipped(&self) -> impl Iterator<Item = (MovementId, u64)> {
        self.transfers.open.iter().map(|(id, open)| (MovementId(id.0.0), open.units_left() + open.arriving().1))
    }

    pub(super) fn digest_transfers(&self, digest: &mut Digest) {
        let Transfers { open, landed, retries } = &self.transfers;
        digest.write_usize(open.len());
        for (id, transfer) in open {
            (id, transfer).hash(digest);
        }
        landed.hash(digest);
        retries.hash(digest);
    }
}

/// Snapshots.
impl Transfers {
    pub(super) fn freeze(&mut self) {
        self.open.freeze();
        self.landed.freeze();
        self.retries.freeze();
    }

    pub(super) fn thaw(&mut self) {
        self.open.thaw();
        self.landed.thaw();
        self.retries.thaw();
    }

    pub(super) fn walk(&mut self, items: &mut Items<'_>) -> bool {
        self.open.walk(|id, transfer| {
            items.put_walked(Kind::Transfer, transfer, |body, transfer| {
                id.put(body);
                transfer.put(body);
            })
        }) || self.landed.walk(|id, there| items.put_walked(Kind::Landing, there, |body, ()| id.put(body)))
            || self.retries.walk(|retry, there| items.put_walked(Kind::LandingRetry, there, |body, ()| retry.put(body)))
    }

    /// Takes an item of a snapshot; `false` for one that is out of order.
    pub(super) fn put_back(&mut self, kind: Kind, body: &mut &[u8]) -> Result<bool, BadItem> {
        let mut put = || {
            Some(match kind {
                Kind::Transfer => {
                    let (id, transfer) = Field::take(body)?;
                    self.open.push(id, transfer)
                }
                Kind::Landing => self.landed.push(Field::take(body)?, ()),
                _ => self.retries.push(Field::take(body)?, ()),
            })
        };
        put().ok_or(BadItem::Damaged)
    }
}

structs! {
    Transfer { to, away, left, arrivals }
    Arrived { sku, whole, damaged, lost }
}

enums! {
    Arrival { 0 Landing(lines), 1 Booked(lines), 2 Over }
}

/// The lines of an arrival, each SKU once and none empty; all that is left where none are named.
fn came(open: &Transfer, lines: Option<&[Arrived]>) -> Result<Vec<Arrived>, Refusal> {
    let Some(lines) = lines else {
        let all: Vec<_> = open.left.iter().map(|(sku, units)| Arrived { sku: *sku, whole: *units, damaged: 0, lost: 0 }).collect();
        return if all.is_empty() { Err(Refusal::StillArriving) } else { Ok(all) };
    };
    if lines.is_empty() || lines.len() > ledger::LINES_MAX {
        return Err(invalid("/lines", "out_of_range", &format!("1 to {} lines", ledger::LINES_MAX)));
    }
    let mut seen = BTreeSet::new();
    for (nth, line) in (0u16..).zip(lines) {
        if units_of(line) == 0 {
            return Err(invalid(&format!("/lines/{nth}"), "out_of_range", "at least 1 unit, whole, damaged or lost"));
        }
        if !seen.insert(line.sku) {
            return Err(invalid(&format!("/lines/{nth}/sku"), "repeated_sku", "each SKU once"));
        }
        let left = open.left.get(&line.sku).copied().unwrap_or(0);
        if units_of(line) > u64::from(left) {
            return Err(too_many_came(nth, u64::from(left)));
        }
    }
    Ok(lines.to_vec())
}

fn arrival(line: &Arrived, whole: Units, damaged: Units, lost: Units) -> ledger::Arrival {
    ledger::Arrival { sku: number(line.sku), whole, damaged, lost }
}

fn arrival_movement(transfer: TransferId, id: u128) -> MovementId {
    MovementId(hash128(&[b"arrive", &transfer.0.0.to_le_bytes(), &id.to_le_bytes()]))
}

/// What the destination knows an arrival by.
fn landing(transfer: TransferId, id: u128) -> u128 {
    hash128(&[b"land", &transfer.0.0.to_le_bytes(), &id.to_le_bytes()])
}
