//! Goods that suppliers have announced: units expected in a row by a day, until they come or are called off.
//!
//! Path: `announce` (units into `incoming`) → `receive_announced` (incoming → available, with more or less than was announced) or
//! `withdraw` → closed when nothing is left to come. A row's `incoming` is the sum of what its open announcements have left.
//! Bounds: `announcements_max` open ones, of `LINES_MAX` lines each. A due date that passes changes nothing: its caller decides.

use crate::frozen::Walked;
use crate::goods::{keys, total};
use crate::ledger::saturated;
use crate::rows::{Column, RowIx};
use crate::{
    Full, Goods, GoodsBody, GoodsRefused, Ledger, Line, Location, Millis, MovementId, Reference, SavedAnnouncement, SavedExpected, Sku,
    TIME_MAX, Units,
};

/// Open announcements by id.
pub(crate) type Announcements = Walked<MovementId, SavedAnnouncement>;

/// What an open announcement has left of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// When it is expected.
    pub due: Millis,
    /// Which announcement.
    pub announcement: MovementId,
    /// The supplier's number.
    pub reference: Reference,
    /// Still to come.
    pub units: Units,
}

/// Announcements of deliveries.
impl Ledger {
    /// Notes goods that a supplier has announced, under the announcement's own id: outside → incoming. Opens rows where need be.
    ///
    /// # Errors
    /// `Malformed`, `IdReused`, `Overflow` of `incoming`, `Full`.
    pub fn announce(
        &mut self,
        now: Millis,
        id: MovementId,
        due: Millis,
        reference: Reference,
        lines: &[Line],
    ) -> Result<Goods, GoodsRefused> {
        self.goods(now, id, GoodsBody::Announce { due: due.min(TIME_MAX), reference, lines: lines.into() })
    }

    /// Books a delivery that was announced: incoming → available, as far as it was announced for that row, and outside → available
    /// beyond that. What does not come with it stays incoming, until more is received or the rest is withdrawn.
    ///
    /// # Errors
    /// `Unknown` if no such announcement is open, `Malformed`, `IdReused`, `Overflow`, `Full`.
    pub fn receive_announced(
        &mut self,
        now: Millis,
        id: MovementId,
        announcement: MovementId,
        lines: &[Line],
    ) -> Result<Goods, GoodsRefused> {
        self.goods(now, id, GoodsBody::Receive { announcement: Some(announcement), lines: lines.into() })
    }

    /// Calls off what is left of an announcement: incoming → outside.
    ///
    /// # Errors
    /// `Unknown` if no such announcement is open, `IdReused`, `Full`.
    pub fn withdraw(&mut self, now: Millis, id: MovementId, announcement: MovementId) -> Result<Goods, GoodsRefused> {
        self.goods(now, id, GoodsBody::Withdraw { announcement })
    }

    /// What is expected in one row, in order of (due date, announcement). O(lines of all open announcements).
    #[must_use]
    pub fn expected(&self, sku: Sku, location: Location) -> Vec<Expected> {
        let row = self.rows.find(sku, location);
        let of_row = |open: &SavedAnnouncement| {
            let lines = open.lines.iter().filter(|line| Some(RowIx(line.row)) == row);
            let units = saturated(lines.map(|line| u64::from(line.left.0)).sum());
            (units > Units(0)).then_some(Expected { due: open.due, announcement: open.id, reference: open.reference, units })
        };
        let mut expected: Vec<_> = self.announcements.values().filter_map(of_row).collect();
        expected.sort_unstable();
        expected
    }

    pub(crate) fn decide_announce(
        &mut self,
        id: MovementId,
        due: Millis,
        reference: Reference,
        lines: &[Line],
    ) -> Result<Goods, GoodsRefused> {
        if self.announcements.contains_key(&id) {
            return Err(GoodsRefused::IdReused);
        }
        self.fits(lines, |ix| self.rows.row(ix).incoming)?;
        if self.announcements.len() >= self.limits.announcements_max as usize {
            return Err(Full::Announcements.into());
        }
        let (rows, opened) = self.rows_at(&keys(lines))?;
        let mut expected = Vec::with_capacity(lines.len());
        for (ix, line) in rows.into_iter().zip(lines) {
            self.rows.apply(ix, &[(Column::Incoming, line.quantity.0.into())], None, 0);
            expected.push(SavedExpected { row: ix.0, announced: line.quantity, left: line.quantity });
        }
        self.announcements.insert(id, SavedAnnouncement { id, due, reference, lines: expected.into() });
        let units = total(lines);
        Ok(Goods { units, left: units, opened, ..Goods::default() })
    }

    pub(crate) fn decide_receive(&mut self, announcement: Option<MovementId>, lines: &[Line]) -> Result<Goods, GoodsRefused> {
        if announcement.is_some_and(|id| !self.announcements.contains_key(&id)) {
            return Err(GoodsRefused::Unknown);
        }
        self.fits(lines, |ix| self.rows.row(ix).on_hand())?;
        let (rows, opened) = self.rows_at(&keys(lines))?;
        let mut open = announcement.and_then(|id| self.announcements.get_mut(&id));
        let mut came = 0;
        for (ix, line) in rows.into_iter().zip(lines) {
            let mut wanted = line.quantity.0;
            for expected in open.iter_mut().flat_map(|open| &mut open.lines).filter(|expected| expected.row == ix.0) {
                let units = wanted.min(expected.left.0);
                expected.left.0 -= units;
                wanted -= units;
            }
            let (units, announced) = (i64::from(line.quantity.0), i64::from(line.quantity.0 - wanted));
            came += u64::from(line.quantity.0 - wanted);
            self.rows.apply(ix, &[(Column::Incoming, -announced), (Column::Available, units)], None, units);
        }
        let left = open.map_or(0, |open| open.left());
        if let Some(id) = announcement.filter(|_| left == 0) {
            self.announcements.remove(&id);
        }
        let units = total(lines);
        let surplus = if announcement.is_some() { units - came } else { 0 };
        Ok(Goods { units, left, surplus, opened, replayed: false })
    }

    pub(crate) fn decide_withdraw(&mut self, announcement: MovementId) -> Result<Goods, GoodsRefused> {
        let open = self.announcements.remove(&announcement).ok_or(GoodsRefused::Unknown)?;
        for line in open.lines.iter().filter(|line| line.left > Units(0)) {
            self.rows.apply(RowIx(line.row), &[(Column::Incoming, -i64::from(line.left.0))], None, 0);
        }
        Ok(Goods { units: open.left(), ..Goods::default() })
    }
}

impl SavedAnnouncement {
    /// Units still to come, of all lines.
    pub(crate) fn left(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.left.0)).sum()
    }
}
