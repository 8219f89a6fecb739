//! Goods on their way from one location to another of the same ledger.
//!
//! Path: `send` (available at the source → in transit to the destination) → `arrive`, once or in parts (in transit → available,
//! unavailable as damaged, or lost), or `recall` (back to the source) → closed when nothing is left under way.
//!
//! No unit drops out of the books on the way. Each row counts what shipments brought it less what they took from it (`carried`),
//! and what was lost on the way to it; then for every SKU, over all its rows,
//!
//! ```text
//! carried + in transit + lost = 0
//! ```
//!
//! and what is in transit to a row is what its open shipments have left: `Ledger::check` proves both.
//! Bounds: `shipments_max` open ones, of `LINES_MAX` lines each.

use std::collections::BTreeMap;

use crate::cold::Rare;
use crate::frozen::Walked;
use crate::goods::total;
use crate::ledger::{index, saturated, wanted_with};
use crate::rows::{Column, RowIx};
use crate::{
    Arrival, Full, Goods, GoodsBody, GoodsRefused, Ledger, Line, Location, Millis, MovementId, SavedSent, SavedShipment, Sku, UNITS_MAX,
    Unavailable, Units,
};

/// Open shipments by id.
pub(crate) type Shipments = Walked<MovementId, SavedShipment>;

/// What an open shipment still brings to one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnderWay {
    /// Which shipment.
    pub shipment: MovementId,
    /// From where.
    pub from: Location,
    /// How many.
    pub units: Units,
}

/// Shipments between locations.
impl Ledger {
    /// Sends goods to another location, under the shipment's own id: available at each line's location → in transit to `to`. Opens
    /// rows there where need be. Lines of the same row add up.
    ///
    /// # Errors
    /// `Malformed`, `IdReused`, `SamePlace`, `Short`, `Overflow` of `in_transit`, `Full`.
    pub fn send(&mut self, now: Millis, id: MovementId, to: Location, lines: &[Line]) -> Result<Goods, GoodsRefused> {
        self.goods(now, id, GoodsBody::Send { to, lines: lines.into() })
    }

    /// Books what came of a shipment: in transit → available, unavailable as [`Unavailable::Damaged`], or lost. `None`: all that is
    /// left came whole. Lines of the same SKU add up, and are taken from the shipment's lines in their order.
    ///
    /// # Errors
    /// `Unknown` if no such shipment is open, `Malformed`, `IdReused`, `TooMany`, `Overflow`, `Full`.
    pub fn arrive(&mut self, now: Millis, id: MovementId, shipment: MovementId, lines: Option<&[Arrival]>) -> Result<Goods, GoodsRefused> {
        self.goods(now, id, GoodsBody::Arrive { shipment, lines: lines.map(Box::from) })
    }

    /// Ends a shipment and returns what is left of it: in transit → available where it came from.
    ///
    /// # Errors
    /// `Unknown` if no such shipment is open, `Overflow` if a source has no room for it any more, `IdReused`, `Full`.
    pub fn recall(&mut self, now: Millis, id: MovementId, shipment: MovementId) -> Result<Goods, GoodsRefused> {
        self.goods(now, id, GoodsBody::Recall { shipment })
    }

    /// What is in transit to one row, in order of (shipment, source). O(lines of all open shipments).
    #[must_use]
    pub fn under_way(&self, sku: Sku, location: Location) -> Vec<UnderWay> {
        let row = self.rows.find(sku, location);
        let lines = self.shipments.values().flat_map(|open| open.lines.iter().map(move |line| (open.id, line)));
        let here = lines.filter(|(_, line)| Some(RowIx(line.to)) == row && line.left > Units(0));
        let mut under_way = BTreeMap::new();
        for (shipment, line) in here {
            let from = self.rows.key(RowIx(line.from)).1;
            *under_way.entry((shipment, from)).or_default() += u64::from(line.left.0);
        }
        under_way.into_iter().map(|((shipment, from), units)| UnderWay { shipment, from, units: saturated(units) }).collect()
    }

    pub(crate) fn decide_send(&mut self, id: MovementId, to: Location, lines: &[Line]) -> Result<Goods, GoodsRefused> {
        if self.shipments.contains_key(&id) {
            return Err(GoodsRefused::IdReused);
        }
        for (at, line) in lines.iter().enumerate() {
            if line.location == to {
                return Err(GoodsRefused::SamePlace { index: index(at) });
            }
            let available = self.available(line.sku, line.location);
            let requested = wanted_with(lines, line);
            if requested > u64::from(available.0) {
                return Err(GoodsRefused::Short { index: index(at), requested: saturated(requested), available });
            }
        }
        let there: Vec<Line> = lines.iter().map(|line| Line { location: to, ..*line }).collect();
        self.fits(&there, |ix| self.rows.row(ix).in_transit)?;
        if self.shipments.len() >= self.limits.shipments_max as usize {
            return Err(Full::Shipments.into());
        }
        let (targets, opened) = self.rows_at(&crate::goods::keys(&there))?;
        let mut sent = Vec::with_capacity(lines.len());
        for (target, line) in targets.into_iter().zip(lines) {
            let source = self.rows.find(line.sku, line.location).expect("it has units available");
            let units = i64::from(line.quantity.0);
            self.rows.apply(source, &[(Column::Available, -units)], None, -units);
            self.rows.cold_at(source).carried -= units;
            self.rows.apply(target, &[], Some((Rare::InTransit, units)), 0);
            sent.push(SavedSent { from: source.0, to: target.0, sent: line.quantity, left: line.quantity });
        }
        self.shipments.insert(id, SavedShipment { id, to, lines: sent.into() });
        let units = total(lines);
        Ok(Goods { units, left: units, opened, ..Goods::default() })
    }

    pub(crate) fn decide_arrive(&mut self, shipment: MovementId, lines: Option<&[Arrival]>) -> Result<Goods, GoodsRefused> {
        let open = self.shipments.get(&shipment).ok_or(GoodsRefused::Unknown)?;
        let all: Vec<Arrival>;
        let lines = match lines {
            Some(lines) => lines,
            None => {
                let whole = |line: &SavedSent| Arrival {
                    sku: self.rows.key(RowIx(line.to)).0,
                    whole: line.left,
                    damaged: Units(0),
                    lost: Units(0),
                };
                all = open.lines.iter().map(whole).collect();
                &all
            }
        };
        let of_sku = |sku: Sku, units: fn(&Arrival) -> u64| lines.iter().filter(move |line| line.sku == sku).map(units).sum::<u64>();
        for (at, line) in lines.iter().enumerate() {
            let to = self.rows.find(line.sku, open.to);
            let brought = open.lines.iter().filter(|sent| Some(RowIx(sent.to)) == to);
            let left = brought.map(|sent| u64::from(sent.left.0)).sum();
            let requested = of_sku(line.sku, Arrival::units);
            if requested > left {
                return Err(GoodsRefused::TooMany { index: index(at), requested: saturated(requested), left: saturated(left) });
            }
            let there = to.map_or(Units(0), |ix| self.rows.row(ix).on_hand());
            let here = of_sku(line.sku, |line| u64::from(line.whole.0) + u64::from(line.damaged.0));
            if u64::from(there.0) + here > u64::from(UNITS_MAX.0) {
                return Err(GoodsRefused::Overflow { index: index(at), there });
            }
        }
        let mut units = 0;
        let open = self.shipments.get_mut(&shipment).expect("found above");
        for line in lines.iter().filter(|line| line.units() > 0) {
            let to = self.rows.find(line.sku, open.to).expect("opened when it was sent");
            let mut wanted = line.units() as u32; // at most what is in transit
            for sent in open.lines.iter_mut().filter(|sent| RowIx(sent.to) == to) {
                let taken = wanted.min(sent.left.0);
                sent.left.0 -= taken;
                wanted -= taken;
            }
            assert_eq!(wanted, 0, "the lines were checked to fit");
            let [whole, damaged, lost] = [line.whole, line.damaged, line.lost].map(|units| i64::from(units.0));
            let columns = [(Column::Available, whole), (Column::Unavailable, damaged)];
            self.rows.apply(to, &columns, Some((Rare::InTransit, -(whole + damaged + lost))), whole + damaged);
            let cold = self.rows.cold_at(to);
            cold.apart[Unavailable::Damaged.index()].0 += line.damaged.0;
            cold.carried += whole + damaged;
            cold.lost += u64::from(line.lost.0);
            units += u64::from(line.whole.0) + u64::from(line.damaged.0);
        }
        let left = open.left();
        if left == 0 {
            self.shipments.remove(&shipment);
        }
        Ok(Goods { units, left, ..Goods::default() })
    }

    pub(crate) fn decide_recall(&mut self, shipment: MovementId) -> Result<Goods, GoodsRefused> {
        let open = self.shipments.get(&shipment).ok_or(GoodsRefused::Unknown)?;
        for (at, line) in open.lines.iter().enumerate() {
            let there = self.rows.row(RowIx(line.from)).on_hand();
            let back: u64 = open.lines.iter().filter(|other| other.from == line.from).map(|other| u64::from(other.left.0)).sum();
            if u64::from(there.0) + back > u64::from(UNITS_MAX.0) {
                return Err(GoodsRefused::Overflow { index: index(at), there });
            }
        }
        let open = self.shipments.remove(&shipment).expect("found above");
        for line in open.lines.iter().filter(|line| line.left > Units(0)) {
            let units = i64::from(line.left.0);
            self.rows.apply(RowIx(line.to), &[], Some((Rare::InTransit, -units)), 0);
            self.rows.apply(RowIx(line.from), &[(Column::Available, units)], None, units);
            self.rows.cold_at(RowIx(line.from)).carried += units;
        }
        Ok(Goods { units: open.left(), ..Goods::default() })
    }
}

impl SavedShipment {
    /// Units still under way, of all lines.
    pub(crate) fn left(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.left.0)).sum()
    }
}
