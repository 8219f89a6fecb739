//! Events behind the log: written to the shard's event log, and read for the feed.
//!
//! Path in: apply → [`State::told`] → `EventLog` → [`State::write_events`] at ticks → `Output::Files` → [`State::events_written`].
//! Path out: `Ask::Feed` → [`read`], which waits for files where memory does not have the events → [`FeedPart`].
//! Bounds: those of the event log; [`FEED_READS_MAX`] readers at a time, one more is refused as overload.

use super::{
    ctx::Ctx,
    files::Asker,
    peer::{Answer, FeedPart},
    state::State,
    task::{Setter, signal},
};
use crate::events::{Part, Reading, ToRead};
use crate::partition::Changes;
use crate::shard::{
    Output,
    files::{FileError, FileStep, FilesResult},
};
use std::{collections::BTreeMap, sync::Arc};
use wire::{Failure, FeedFrom, FeedPlace, PartitionId, Refusal, Seq};

/// Readers of the feed under way at a shard. They read whole files, so there are few.
pub(crate) const FEED_READS_MAX: usize = 8;

/// Readers, and the files they wait for.
#[derive(Default)]
pub(crate) struct Readers {
    under_way: usize,
    /// By the number that the job's asker has.
    waiting: BTreeMap<u64, (ToRead, Setter<()>)>,
    next: u64,
}

impl State {
    /// All events of the partition's commands up to this one are durable in the event log: the write-ahead log may let go of them, and a snapshot
    /// up to there may take its place.
    pub(crate) fn events_durable(&self, partition: PartitionId) -> Seq {
        self.events.durable(partition)
    }

    /// What a command told.
    pub(crate) fn told(&mut self, changes: &Changes) {
        let now_us = self.now.mono_us;
        if !changes.events.is_empty() {
            self.events.append(now_us, &changes.events);
        }
        self.events.applied(now_us);
    }

    /// Should a client's command be refused, since too many events wait for the disk?
    pub(crate) fn events_refuse(&self) -> Option<Failure> {
        let failure = if self.events_full { Failure::StorageFull } else { Failure::Overloaded { retry_after_ms: 250 } };
        self.events.is_behind().then_some(failure)
    }

    /// When [`State::write_events`] has something to do. A job that ends calls it too.
    pub(crate) fn events_wake(&self) -> Option<u64> {
        if !self.files.has_room() {
            return None;
        }
        let wake = self.events.next_wake()?;
        Some(if self.events_hurry() { self.events.next_chance().max(self.now.mono_us) } else { wake })
    }

    /// Frames go at once: the shard drains, or a snapshot waits for the events of what it has.
    fn events_hurry(&self) -> bool {
        self.draining || self.snapshots.waits_for_events()
    }

    /// Writes what the event log has to write, all of it while the shard drains.
    pub(crate) fn write_events(&mut self) {
        let now_us = self.now.mono_us;
        if self.events_wake().is_none_or(|wake| wake > now_us) {
            return;
        }
        let now = self.stamp();
        let at_once = self.events_hurry();
        let applied = self.partitions.iter().map(|(id, slot)| (*id, slot.partition.seq()));
        if let Some(steps) = self.events.write(now, now_us, at_once, applied) {
            let job = self.files.give(Asker::Events, steps);
            self.outputs.push_back(Output::Files(job));
        }
    }

    /// A frame of the event log is durable, or not.
    pub(crate) fn events_written(&mut self, result: FilesResult) {
        self.events_full = matches!(result, Err(FileError::NoRoom { .. }));
        if let Err(error) = &result {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "the event log cannot be written; it is tried again, and the write-ahead log is kept until it can");
        }
        self.events.written(self.now.mono_us, result.is_ok());
        let now = self.stamp();
        if self.files.has_room()
            && let Some(steps) = self.events.expire(now)
        {
            let job = self.files.give(Asker::OldEvents, steps);
            self.outputs.push_back(Output::Files(job));
        }
        self.name_snapshot();
        self.release_segments();
        self.write_events();
    }

    /// Old events are removed, or not: then the next start finds them.
    pub(crate) fn old_events_removed(&mut self, result: &FilesResult) {
        if let Err(error) = result {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "old files of the event log cannot be removed; the next start tries again");
        }
    }

    /// A reader's file is read, or not.
    pub(crate) fn feed_file_read(&mut self, number: u64, result: FilesResult) {
        let Some((wanted, waiting)) = self.readers.waiting.remove(&number) else { return };
        if let Err(error) = &result {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "the feed cannot be read from a file");
        }
        self.events.give(wanted.path, result.ok().and_then(|mut read| read.pop()));
        waiting.set(());
    }

    /// Where a reader of this shard's partitions begins.
    fn feed_begin(&self, from: &FeedFrom) -> Result<BTreeMap<PartitionId, FeedPlace>, Failure> {
        let mut places = BTreeMap::new();
        for (id, slot) in &self.partitions {
            let end = FeedPlace::behind(slot.partition.seq());
            let is_asked = |first: PartitionId, count: u16| id.0 >= first.0 && id.0 - first.0 < count;
            let place = match from {
                FeedFrom::Oldest { first, count } => is_asked(*first, *count).then(|| self.events.oldest(*id)),
                FeedFrom::Latest { first, count } => is_asked(*first, *count).then_some(end),
                FeedFrom::After(cursor) => cursor.place(*id),
            };
            match place {
                // From a time that has not come: made up, or of another shop.
                Some(place) if place > end => return Err(Failure::Refused(Refusal::BadCursor)),
                Some(place) => drop(places.insert(*id, place)),
                None => {}
            }
        }
        Ok(places)
    }
}

/// Counts a reader in, and out when dropped.
struct Counted(Ctx);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.with_mut(|state| state.readers.under_way -= 1);
    }
}

/// This shard's part of a page.
pub(crate) async fn read(ctx: Ctx, from: Arc<FeedFrom>, limit: u16) -> Result<Answer, Failure> {
    let mut begin = ctx.with_mut(|state| {
        if state.readers.under_way >= FEED_READS_MAX {
            return Err(Failure::Overloaded { retry_after_ms: 250 });
        }
        let begin = state.feed_begin(&from)?;
        state.readers.under_way += 1;
        Ok(begin)
    })?;
    let _counted = Counted(ctx.clone());
    let mut reading = Reading::new(begin.clone(), usize::from(limit));
    loop {
        let wanted = ctx.with_mut(|state| match state.events.read(&mut reading) {
            Part::Done => Ok(None),
            // Whoever looks after an older file removed it, or it cannot be read: the oldest are others than they seemed.
            Part::Gone if matches!(*from, FeedFrom::Oldest { .. }) => {
                begin = state.feed_begin(&from)?;
                reading = Reading::new(begin.clone(), usize::from(limit));
                Ok(Some(None))
            }
            Part::Gone => Err(Failure::Refused(Refusal::CursorTooOld)),
            Part::Read(_) if !state.files.has_room() => Err(Failure::Overloaded { retry_after_ms: 250 }),
            Part::Read(wanted) => {
                let (done, signal) = signal(&state.reactor);
                state.readers.next += 1;
                let number = state.readers.next;
                let step = FileStep::Read { path: wanted.path.clone(), offset: 0, bytes: wanted.bytes };
                state.readers.waiting.insert(number, (wanted, done));
                let job = state.files.give(Asker::Feed(number), vec![step]);
                state.outputs.push_back(Output::Files(job));
                Ok(Some(Some(signal)))
            }
        })?;
        match wanted {
            Some(Some(signal)) => drop(signal.await),
            Some(None) => {}
            None => break,
        }
    }
    let mut end = reading.places.clone();
    if !reading.is_full() {
        // Commands behind the last event told nothing: a reader that stands behind them is not late when what is older goes.
        ctx.with(|state| {
            for (id, place) in &mut end {
                *place = (*place).max(state.partition(*id).map_or(FeedPlace::default(), |partition| FeedPlace::behind(partition.seq())));
            }
        });
    }
    let part = FeedPart { begin: begin.into_iter().collect(), events: reading.events, end: end.into_iter().collect() };
    Ok(Answer::Feed(Box::new(part)))
}
