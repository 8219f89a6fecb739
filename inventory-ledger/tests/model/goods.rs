//! The dull model of what few rows have: units set apart, announcements, shipments.

use std::collections::BTreeMap;

use inventory_ledger::*;

use crate::dull::{Dull, Key, sum, units};
use crate::ops::Op;

/// An open announcement: what is left of each line.
pub(crate) struct Announced {
    id: MovementId,
    due: Millis,
    reference: Reference,
    left: Vec<(Key, u64)>,
}

/// An open shipment: what is left of each line, by source.
pub(crate) struct Sent {
    id: MovementId,
    to: Location,
    left: Vec<(Key, u64)>,
}

/// Goods that have not come.
#[derive(Default)]
pub(crate) struct Coming {
    pub(crate) apart: BTreeMap<(Key, Unavailable), u64>,
    pub(crate) announced: Vec<Announced>,
    pub(crate) sent: Vec<Sent>,
}

impl Coming {
    pub(crate) fn apart(&self, key: Key) -> u64 {
        Unavailable::ALL.iter().map(|&why| self.apart.get(&(key, why)).unwrap_or(&0)).sum()
    }

    pub(crate) fn incoming(&self, key: Key) -> u64 {
        self.announced.iter().flat_map(|open| &open.left).filter(|left| left.0 == key).map(|left| left.1).sum()
    }

    pub(crate) fn in_transit(&self, (sku, to): Key) -> u64 {
        let here = self.sent.iter().filter(|open| open.to == to).flat_map(|open| &open.left);
        here.filter(|left| left.0.0 == sku).map(|left| left.1).sum()
    }
}

const MAX: u64 = UNITS_MAX.0 as u64;

fn all(lines: &[Line]) -> u64 {
    lines.iter().map(|line| u64::from(line.quantity.0)).sum()
}

/// Takes up to `units` of what is left of these lines, in their order; says how many.
fn consume(left: &mut [(Key, u64)], is_it: impl Fn(Key) -> bool, units: u64) -> u64 {
    let mut taken = 0;
    for (_, left) in left.iter_mut().filter(|(key, _)| is_it(*key)) {
        let some = (units - taken).min(*left);
        *left -= some;
        taken += some;
    }
    taken
}

fn still(left: &[(Key, u64)]) -> u64 {
    left.iter().map(|(_, left)| left).sum()
}

impl Dull {
    pub(crate) fn unavailable(&self, key: Key) -> [Units; 4] {
        Unavailable::ALL.map(|why| units(*self.coming.apart.get(&(key, why)).unwrap_or(&0)))
    }

    pub(crate) fn expected(&self, key: Key) -> Vec<Expected> {
        let mut expected = Vec::new();
        for open in &self.coming.announced {
            let left: u64 = open.left.iter().filter(|left| left.0 == key).map(|left| left.1).sum();
            if left > 0 {
                let (due, announcement, reference) = (open.due, open.id, open.reference);
                expected.push(Expected { due, announcement, reference, units: units(left) });
            }
        }
        expected.sort();
        expected
    }

    pub(crate) fn under_way(&self, (sku, to): Key) -> Vec<UnderWay> {
        let mut way: BTreeMap<(MovementId, Location), u64> = BTreeMap::new();
        for open in self.coming.sent.iter().filter(|open| open.to == to) {
            for &((_, from), left) in open.left.iter().filter(|left| left.0.0 == sku && left.1 > 0) {
                *way.entry((open.id, from)).or_default() += left;
            }
        }
        way.into_iter().map(|((shipment, from), left)| UnderWay { shipment, from, units: units(left) }).collect()
    }

    pub(crate) fn opened(&self) -> [u32; 2] {
        [self.coming.announced.len() as u32, self.coming.sent.len() as u32]
    }

    pub(crate) fn set_apart(&mut self, op: &Op) -> Result<Moved, MoveRefused> {
        let (Op::SetApart { sku, location, why, units: wanted, .. }
        | Op::PutBack { sku, location, why, units: wanted, .. }
        | Op::WriteOff { sku, location, why, units: wanted, .. }) = *op
        else {
            unreachable!("{op:?} sets nothing apart")
        };
        let key = (sku, location);
        let Some(row) = self.row(key) else { return Err(MoveRefused::UnknownRow) };
        let apart = *self.coming.apart.get(&(key, why)).unwrap_or(&0);
        let wanted = u64::from(wanted.0);
        let after = if matches!(op, Op::SetApart { .. }) {
            let Row { available, held, committed, .. } = row;
            if wanted > u64::from(available.0) {
                return Err(MoveRefused::Committed { available, held, committed });
            }
            apart + wanted
        } else {
            if wanted > apart {
                return Err(MoveRefused::TooFew { apart: units(apart) });
            }
            apart - wanted
        };
        self.coming.apart.insert((key, why), after);
        if matches!(op, Op::WriteOff { .. }) {
            *self.on_hand.get_mut(&key).unwrap() -= wanted;
        }
        Ok(Moved { row: self.row(key).unwrap(), created: false, replayed: false })
    }

    pub(crate) fn goods(&mut self, op: &Op) -> Result<Goods, GoodsRefused> {
        match op {
            Op::Receive { announcement, lines, .. } => self.receive(*announcement, lines),
            Op::Announce { id, due, reference, lines } => self.announce(*id, *due, *reference, lines),
            Op::Withdraw { announcement, .. } => {
                let at = self.coming.announced.iter().position(|open| open.id == *announcement).ok_or(GoodsRefused::Unknown)?;
                Ok(Goods { units: still(&self.coming.announced.remove(at).left), ..Goods::default() })
            }
            Op::Send { id, to, lines } => self.send(*id, *to, lines),
            Op::Arrive { shipment, lines, .. } => self.arrive(*shipment, lines.as_deref()),
            Op::Recall { shipment, .. } => self.recall(*shipment),
            _ => unreachable!("{op:?} moves no goods"),
        }
    }

    fn overflows(&self, lines: &[Line], there: impl Fn(Row) -> Units) -> Result<(), GoodsRefused> {
        for (index, line) in lines.iter().enumerate() {
            let key = (line.sku, line.location);
            let there = self.row(key).map_or(Units(0), &there);
            if u64::from(there.0) + sum(lines, key) > MAX {
                return Err(GoodsRefused::Overflow { index: index as u16, there });
            }
        }
        Ok(())
    }

    /// Opens the rows of these lines if there is room for all.
    fn open_rows(&mut self, lines: &[Line]) -> Result<u32, GoodsRefused> {
        let mut rows = self.on_hand.clone();
        for line in lines {
            rows.entry((line.sku, line.location)).or_insert(0);
        }
        if rows.len() > self.limits.rows_max as usize {
            return Err(Full::Rows.into());
        }
        let opened = rows.len() - self.on_hand.len();
        self.on_hand = rows;
        Ok(opened as u32)
    }

    fn receive(&mut self, announcement: Option<MovementId>, lines: &[Line]) -> Result<Goods, GoodsRefused> {
        let at = announcement.map(|id| self.coming.announced.iter().position(|open| open.id == id).ok_or(GoodsRefused::Unknown));
        let at = at.transpose()?;
        self.overflows(lines, |row| row.on_hand())?;
        let opened = self.open_rows(lines)?;
        let mut goods = Goods { units: all(lines), opened, ..Goods::default() };
        for line in lines {
            let (key, quantity) = ((line.sku, line.location), u64::from(line.quantity.0));
            *self.on_hand.get_mut(&key).unwrap() += quantity;
            if let Some(at) = at {
                goods.surplus += quantity - consume(&mut self.coming.announced[at].left, |other| other == key, quantity);
            }
        }
        if let Some(at) = at {
            goods.left = still(&self.coming.announced[at].left);
            if goods.left == 0 {
                self.coming.announced.remove(at);
            }
        }
        Ok(goods)
    }

    fn announce(&mut self, id: MovementId, due: Millis, reference: Reference, lines: &[Line]) -> Result<Goods, GoodsRefused> {
        if self.coming.announced.iter().any(|open| open.id == id) {
            return Err(GoodsRefused::IdReused);
        }
        self.overflows(lines, |row| row.incoming)?;
        if self.coming.announced.len() == self.limits.announcements_max as usize {
            return Err(Full::Announcements.into());
        }
        let opened = self.open_rows(lines)?;
        let left = lines.iter().map(|line| ((line.sku, line.location), u64::from(line.quantity.0))).collect();
        self.coming.announced.push(Announced { id, due, reference, left });
        Ok(Goods { units: all(lines), left: all(lines), opened, ..Goods::default() })
    }

    fn send(&mut self, id: MovementId, to: Location, lines: &[Line]) -> Result<Goods, GoodsRefused> {
        if self.coming.sent.iter().any(|open| open.id == id) {
            return Err(GoodsRefused::IdReused);
        }
        for (index, line) in lines.iter().enumerate() {
            let (index, key) = (index as u16, (line.sku, line.location));
            if line.location == to {
                return Err(GoodsRefused::SamePlace { index });
            }
            let available = self.row(key).unwrap_or_default().available;
            if sum(lines, key) > u64::from(available.0) {
                return Err(GoodsRefused::Short { index, requested: units(sum(lines, key)), available });
            }
        }
        let there: Vec<Line> = lines.iter().map(|line| Line { location: to, ..*line }).collect();
        self.overflows(&there, |row| row.in_transit)?;
        if self.coming.sent.len() == self.limits.shipments_max as usize {
            return Err(Full::Shipments.into());
        }
        let opened = self.open_rows(&there)?;
        let left: Vec<(Key, u64)> = lines.iter().map(|line| ((line.sku, line.location), u64::from(line.quantity.0))).collect();
        for (key, quantity) in &left {
            *self.on_hand.get_mut(key).unwrap() -= quantity;
        }
        self.coming.sent.push(Sent { id, to, left });
        Ok(Goods { units: all(lines), left: all(lines), opened, ..Goods::default() })
    }

    fn arrive(&mut self, shipment: MovementId, lines: Option<&[Arrival]>) -> Result<Goods, GoodsRefused> {
        let at = self.coming.sent.iter().position(|open| open.id == shipment).ok_or(GoodsRefused::Unknown)?;
        let Sent { to, left, .. } = &self.coming.sent[at];
        let to = *to;
        let whole = |&((sku, _), left): &(Key, u64)| Arrival { sku, whole: units(left), damaged: Units(0), lost: Units(0) };
        let lines: Vec<Arrival> = lines.map_or_else(|| left.iter().map(whole).collect(), <[Arrival]>::to_vec);
        let here = |line: &Arrival| u64::from(line.whole.0) + u64::from(line.damaged.0);
        for (index, line) in lines.iter().enumerate() {
            let index = index as u16;
            let same = || lines.iter().filter(|other| other.sku == line.sku);
            let requested: u64 = same().map(|line| here(line) + u64::from(line.lost.0)).sum();
            let to_come: u64 = left.iter().filter(|left| left.0.0 == line.sku).map(|left| left.1).sum();
            if requested > to_come {
                return Err(GoodsRefused::TooMany { index, requested: units(requested), left: units(to_come) });
            }
            let there = self.row((line.sku, to)).unwrap_or_default().on_hand();
            if u64::from(there.0) + same().map(here).sum::<u64>() > MAX {
                return Err(GoodsRefused::Overflow { index, there });
            }
        }
        for line in &lines {
            let key = (line.sku, to);
            consume(&mut self.coming.sent[at].left, |other| other.0 == line.sku, here(line) + u64::from(line.lost.0));
            *self.on_hand.get_mut(&key).unwrap() += here(line);
            *self.coming.apart.entry((key, Unavailable::Damaged)).or_default() += u64::from(line.damaged.0);
        }
        let left = still(&self.coming.sent[at].left);
        if left == 0 {
            self.coming.sent.remove(at);
        }
        Ok(Goods { units: lines.iter().map(here).sum(), left, ..Goods::default() })
    }

    fn recall(&mut self, shipment: MovementId) -> Result<Goods, GoodsRefused> {
        let at = self.coming.sent.iter().position(|open| open.id == shipment).ok_or(GoodsRefused::Unknown)?;
        let left = self.coming.sent[at].left.clone();
        for (index, &(key, _)) in left.iter().enumerate() {
            let back: u64 = left.iter().filter(|other| other.0 == key).map(|other| other.1).sum();
            if self.on_hand[&key] + back > MAX {
                return Err(GoodsRefused::Overflow { index: index as u16, there: units(self.on_hand[&key]) });
            }
        }
        for (key, back) in &left {
            *self.on_hand.get_mut(key).unwrap() += back;
        }
        self.coming.sent.remove(at);
        Ok(Goods { units: still(&left), ..Goods::default() })
    }
}
