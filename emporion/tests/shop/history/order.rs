//! Places: the exchanges in the order of the log, what real time says about it, and the log's own time.
//!
//! A [`Key`] is a place that leaves room for the rows read at quiet points, which have none of their own: behind the last exchange answered before.

use super::{Answer, Ask, Exchange, History, Moment, Violation};

/// A place in the log, comparable with those of rows read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(u64);

/// Bits for rows behind an exchange.
const ROW_BITS: u32 = 20;

impl Key {
    pub(super) const FIRST: Self = Self(0);
    pub(super) const LAST: Self = Self(u64::MAX);

    pub(super) fn of(seq: u64) -> Self {
        assert!(seq < 1 << (64 - ROW_BITS), "more entries than a run writes");
        Self(seq << ROW_BITS)
    }

    /// The last before this one.
    pub(super) fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    fn after(self) -> Self {
        Self(self.0 + 1)
    }

    /// Is there an entry between the two that nobody was told of?
    pub(super) fn has_gap(self, next: Self) -> bool {
        (next.0 >> ROW_BITS).saturating_sub(self.0 >> ROW_BITS) > 1
    }
}

pub(super) struct Log {
    /// Indexes of exchanges, by place.
    pub(super) order: Vec<usize>,
    /// Of the rows read.
    pub(super) rows: Vec<Key>,
    /// What was answered by when: moment, and the last place of all up to it.
    answered: Vec<(Moment, Key)>,
    /// What was sent from when on: moment, and the first place of all from it on.
    sent: Vec<(Moment, Key)>,
    /// The log's time where it is known, by place.
    times: Vec<(Key, u64)>,
}

pub(super) fn key(exchange: &Exchange) -> Key {
    Key::of(exchange.position.seq.0)
}

impl Log {
    pub(super) fn new(history: &History) -> Result<Self, Violation> {
        let exchanges = &history.exchanges;
        if let Some(exchange) = exchanges.iter().position(|exchange| {
            let first = exchanges[0].position;
            (exchange.position.epoch, exchange.position.partition) != (first.epoch, first.partition)
        }) {
            return Err(Violation::OtherLog { exchange });
        }
        let mut order: Vec<usize> = (0..exchanges.len()).collect();
        order.sort_unstable_by_key(|at| key(&exchanges[*at]));
        for pair in order.windows(2) {
            if key(&exchanges[pair[0]]) == key(&exchanges[pair[1]]) {
                return Err(Violation::SamePlace { exchanges: [pair[0], pair[1]] });
            }
        }
        real_time(exchanges)?;
        let times = times(exchanges, &order)?;

        let mut answered: Vec<_> = exchanges.iter().map(|exchange| (exchange.answered, key(exchange))).collect();
        answered.sort_unstable();
        let mut last = Key::FIRST;
        for (_, key) in &mut answered {
            last = last.max(*key);
            *key = last;
        }
        let mut sent: Vec<_> = exchanges.iter().map(|exchange| (exchange.sent, key(exchange))).collect();
        let mut log = Self { order, rows: Vec::new(), answered, sent: Vec::new(), times };
        for row in &history.rows {
            let behind = log.after(row.asked);
            let key = log.rows.last().map_or(behind, |last| behind.max(*last)).after();
            log.rows.push(key);
            sent.push((row.asked, key));
        }
        sent.sort_unstable();
        let mut first = Key::LAST;
        for (_, key) in sent.iter_mut().rev() {
            first = first.min(*key);
            *key = first;
        }
        log.sent = sent;
        Ok(log)
    }

    /// What begins at `moment` stands behind this.
    pub(super) fn after(&self, moment: Moment) -> Key {
        let until = self.answered.partition_point(|(answered, _)| *answered < moment);
        until.checked_sub(1).map_or(Key::FIRST, |at| self.answered[at].1)
    }

    /// What has ended at `moment` stands before or at this.
    pub(super) fn until(&self, moment: Moment) -> Key {
        let from = self.sent.partition_point(|(sent, _)| *sent <= moment);
        self.sent.get(from).map_or(Key::LAST, |(_, key)| key.before())
    }

    /// What happens at `time` or later stands behind this.
    pub(super) fn before_time(&self, time: u64) -> Key {
        let until = self.times.partition_point(|(_, known)| *known < time);
        until.checked_sub(1).map_or(Key::FIRST, |at| self.times[at].0)
    }

    /// What happens at `time` or earlier stands before or at this.
    pub(super) fn until_time(&self, time: u64) -> Key {
        let from = self.times.partition_point(|(_, known)| *known <= time);
        self.times.get(from).map_or(Key::LAST, |(key, _)| key.before())
    }

    /// The log's time at this place is not before …
    pub(super) fn earliest(&self, key: Key) -> u64 {
        let until = self.times.partition_point(|(known, _)| *known <= key);
        until.checked_sub(1).map_or(0, |at| self.times[at].1)
    }

    /// … and not after this; `None` if nothing says.
    pub(super) fn latest(&self, key: Key) -> Option<u64> {
        let from = self.times.partition_point(|(known, _)| *known < key);
        self.times.get(from).map(|(_, known)| *known)
    }

    /// Could it be `time`, or later, at this place?
    pub(super) fn can_be_past(&self, key: Key, time: u64) -> bool {
        self.latest(key).is_none_or(|known| known >= time)
    }

    /// Could it be earlier than `time` at this place?
    pub(super) fn can_be_before(&self, key: Key, time: u64) -> bool {
        let until = self.times.partition_point(|(known, _)| *known <= key);
        until.checked_sub(1).is_none_or(|at| self.times[at].1 < time)
    }
}

/// Whoever was answered before another was sent stands before it.
fn real_time(exchanges: &[Exchange]) -> Result<(), Violation> {
    let mut by_answer: Vec<usize> = (0..exchanges.len()).collect();
    by_answer.sort_unstable_by_key(|at| exchanges[*at].answered);
    let mut by_sending: Vec<usize> = (0..exchanges.len()).collect();
    by_sending.sort_unstable_by_key(|at| exchanges[*at].sent);
    let mut answered = by_answer.into_iter().peekable();
    // The one with the last place of all answered so far.
    let mut last: Option<usize> = None;
    for later in by_sending {
        while let Some(earlier) = answered.next_if(|at| exchanges[*at].answered < exchanges[later].sent) {
            if last.is_none_or(|last| key(&exchanges[last]) < key(&exchanges[earlier])) {
                last = Some(earlier);
            }
        }
        if let Some(earlier) = last.filter(|earlier| key(&exchanges[*earlier]) >= key(&exchanges[later])) {
            return Err(Violation::RealTime { earlier, later });
        }
    }
    Ok(())
}

/// The log's time at each reservation that was taken at its place: `expires_at` counts from it.
fn times(exchanges: &[Exchange], order: &[usize]) -> Result<Vec<(Key, u64)>, Violation> {
    let mut times: Vec<(Key, u64)> = Vec::new();
    for at in order {
        let exchange = &exchanges[*at];
        let (Ask::Reserve(body), Answer::Reserved { told, replayed: false }) = (&exchange.ask, &exchange.answer) else { continue };
        let time = told.expires_at.checked_sub(body.ttl_ms).ok_or(Violation::Malformed { exchange: *at })?;
        if times.last().is_some_and(|(_, last)| *last > time) {
            return Err(Violation::LogTime { exchange: *at });
        }
        times.push((key(exchange), time));
    }
    Ok(times)
}
