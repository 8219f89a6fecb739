//! Snapshots on their way from a leader to a follower that is too far behind for the leader's log.
//!
//! Path: the group wants to send a snapshot → [`State::send_snapshot`] → part after part of its file read and sent, each after the one before is written down
//! there ([`Body::Taken`]) → the follower checks and restores the parts as they come, and writes a file of its own → it gets its name → the group is told →
//! it installs what was restored ([`State::take_received`]).
//! A part that is lost is sent again from where the follower stands, also after the link was down: what has come stays. After [`GIVE_UP_MS`] without progress the
//! group is told that it failed, and tries again. Bounds: [`RECEIVING_MAX`] snapshots coming in to a shard, one part of each on its way; [`BYTES_PER_S_MAX`] going
//! out of a shard, so that nobody's requests wait behind it.
//! The file gets its name before the log says that it is in place: after a crash between the two the start finds the newer state, and passes over what the
//! log has below it (`log/positions.rs`).

use super::{files::Asker, state::State};
use crate::{
    mutants::{self, Mutant},
    partition::{Partition, Restore},
    replication::{
        NodeId, Place,
        message::{Body, GroupMessage, PART_BYTES_MAX, Part, RaftMessage},
    },
    shard::{
        Output,
        files::{FileStep, FilesResult},
    },
    snapshot::{FileError, Header, Reader, Writer, layout},
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use wire::{Millis, PartitionId, Seq};

/// Snapshots coming in to a shard at once. The parts of another one are passed over, and sent again.
const RECEIVING_MAX: usize = 2;
/// A part that is not taken is sent again after this long.
const RESEND_MS: u64 = 500;
/// A snapshot of which nothing was taken for so long is given up.
const GIVE_UP_MS: u64 = 10_000;
/// Bytes of snapshots that a shard sends in a second, at most.
const BYTES_PER_S_MAX: u64 = 400_000_000;

/// The snapshots of a shard that are on their way.
#[derive(Default)]
pub(crate) struct Transfers {
    outgoing: BTreeMap<(PartitionId, NodeId), Outgoing>,
    incoming: BTreeMap<PartitionId, Incoming>,
    /// Whole and in their place, for the group to install.
    received: BTreeMap<PartitionId, Received>,
    /// Nothing more is read before then.
    next_read_us: u64,
}

struct Outgoing {
    message: RaftMessage,
    place: Place,
    total: u64,
    /// The follower has so much.
    taken: u64,
    /// A part is being read.
    is_reading: bool,
    /// When it was sent.
    sent_us: Option<u64>,
    progress_us: u64,
}

struct Incoming {
    from: NodeId,
    message: RaftMessage,
    place: Place,
    total: u64,
    /// `None` once all of it has come.
    coming: Option<Coming>,
    /// Bytes of the file of its own that were given to be written.
    offset: u64,
    is_writing: bool,
    /// Restored, while the file gets its name.
    whole: Option<Partition>,
    progress_us: u64,
}

/// What becomes of the parts.
struct Coming {
    reader: Reader,
    restore: Restore,
    /// Of a file of its own, once the header has come.
    writer: Option<Writer>,
}

struct Received {
    place: Place,
    partition: Partition,
    file_bytes: u64,
}

impl Transfers {
    /// Is a snapshot of it on its way to somebody? Its file must stay.
    pub(super) fn sends(&self, id: PartitionId) -> bool {
        self.outgoing.keys().any(|(partition, _)| *partition == id)
    }

    /// When a tick can do something for them.
    pub(super) fn next_wake(&self) -> Option<u64> {
        let resend = |it: &Outgoing| match it.sent_us {
            _ if it.is_reading => None,
            None => Some(self.next_read_us),
            Some(sent) => Some(sent + RESEND_MS * 1_000),
        };
        let incoming = self.incoming.values().filter(|it| !it.is_writing).map(|it| it.progress_us + GIVE_UP_MS * 1_000);
        self.outgoing.values().filter_map(resend).chain(incoming).min()
    }
}

impl State {
    /// A group wants a snapshot sent. One that is on its way already goes on.
    pub(super) fn send_snapshot(&mut self, id: PartitionId, to: NodeId, message: RaftMessage) {
        let Some(place) = message.snapshot.as_ref().map(|snapshot| snapshot.place) else { return };
        let now_us = self.now.mono_us;
        let total = self.partitions.get(&id).filter(|slot| slot.snapshot == Some(place.index)).map(|slot| slot.snapshot_bytes);
        let Some(total) = total else { return self.end_sending(id, to, false) };
        match self.transfers.outgoing.get_mut(&(id, to)) {
            Some(known) if known.place == place => known.message = message,
            Some(_) | None => {
                let begun = Outgoing { message, place, total, taken: 0, is_reading: false, sent_us: None, progress_us: now_us };
                self.transfers.outgoing.insert((id, to), begun);
            }
        }
    }

    fn end_sending(&mut self, id: PartitionId, to: NodeId, well: bool) {
        self.transfers.outgoing.remove(&(id, to));
        if let Some(replica) = self.partitions.get_mut(&id).and_then(|slot| slot.replica.as_deref_mut()) {
            replica.group.sent_snapshot(to, well);
        }
        self.has_work(id);
    }

    /// Sends parts that are due, and gives up what does not get on.
    pub(crate) fn transfer_tick(&mut self) {
        let now_us = self.now.mono_us;
        let leads = |state: &Self, id: PartitionId| {
            state.partitions.get(&id).and_then(|slot| slot.replica.as_deref()).is_some_and(|replica| replica.group.leads())
        };
        let keys: Vec<(PartitionId, NodeId)> = self.transfers.outgoing.keys().copied().collect();
        for (id, to) in keys {
            let is_led = leads(self, id);
            let Some(outgoing) = self.transfers.outgoing.get_mut(&(id, to)) else { continue };
            if outgoing.is_reading {
                continue;
            }
            if !is_led || now_us >= outgoing.progress_us + GIVE_UP_MS * 1_000 {
                self.end_sending(id, to, false);
                continue;
            }
            let is_due = outgoing.sent_us.is_none_or(|sent| now_us >= sent + RESEND_MS * 1_000);
            if !is_due || now_us < self.transfers.next_read_us || !self.files.has_room() {
                continue;
            }
            let bytes = usize::try_from(outgoing.total - outgoing.taken).map_or(PART_BYTES_MAX, |left| left.min(PART_BYTES_MAX));
            let path = layout::snapshot_path(id, outgoing.place.index);
            let step = FileStep::Read { path, offset: outgoing.taken, bytes };
            outgoing.is_reading = true;
            self.transfers.next_read_us = now_us + bytes as u64 * 1_000_000 / BYTES_PER_S_MAX;
            let job = self.files.give(Asker::PartRead(id, to), vec![step]);
            self.outputs.push_back(Output::Files(job));
        }
        let late = |it: &Incoming| !it.is_writing && now_us >= it.progress_us + GIVE_UP_MS * 1_000;
        let given_up: Vec<PartitionId> = self.transfers.incoming.iter().filter(|(_, it)| late(it)).map(|(id, _)| *id).collect();
        for id in given_up {
            self.stop_receiving(id, &"its sender is silent");
        }
    }

    /// A part was read.
    pub(super) fn part_read(&mut self, id: PartitionId, to: NodeId, read: FilesResult) {
        let (folder, now_us) = (self.config.folder, self.now.mono_us);
        let Some(outgoing) = self.transfers.outgoing.get_mut(&(id, to)) else { return };
        outgoing.is_reading = false;
        let bytes = match read {
            Ok(read) => Bytes::from(read.into_iter().next().unwrap_or_default()),
            Err(error) => {
                tracing::warn!(%error, partition = id.0, to = to.0, "a snapshot for another node cannot be read; a newer one will be sent");
                return self.end_sending(id, to, false);
            }
        };
        outgoing.sent_us = Some(now_us);
        let Outgoing { message, total, taken: offset, .. } = outgoing;
        let part = Part { message: message.clone(), folder, total: *total, offset: *offset, bytes };
        self.say(to, GroupMessage { group: id.0, body: Body::Part(part) });
    }

    /// The follower has so much of it.
    pub(super) fn part_taken(&mut self, id: PartitionId, from: NodeId, place: Place, offset: u64) {
        let now_us = self.now.mono_us;
        let Some(outgoing) = self.transfers.outgoing.get_mut(&(id, from)).filter(|it| it.place == place && offset <= it.total) else {
            return;
        };
        if offset == outgoing.total {
            return self.end_sending(id, from, true);
        }
        if offset > outgoing.taken {
            outgoing.progress_us = now_us;
        }
        (outgoing.taken, outgoing.sent_us) = (offset, None);
    }

    /// A part of a snapshot came.
    pub(super) fn part_came(&mut self, id: PartitionId, from: NodeId, incarnation: u64, part: Part) {
        let Some(place) = part.message.snapshot.as_ref().map(|snapshot| snapshot.place) else { return };
        let Some(slot) = self.partitions.get_mut(&id) else { return };
        let Some(replica) = slot.replica.as_deref_mut() else { return };
        let taken = |offset| GroupMessage { group: id.0, body: Body::Taken { place, offset } };
        if slot.applied.index >= place.index && !mutants::is(Mutant::SnapshotOverNewer) {
            // It is here already, and the group tells the leader how far it is.
            replica.group.step(from, incarnation, Body::Raft(part.message));
            self.has_work(id);
            return self.say(from, taken(part.total));
        }
        let now_us = self.now.mono_us;
        let known = self.transfers.incoming.get(&id).is_some_and(|it| it.place == place && it.total == part.total && it.from == from);
        if !known {
            let others = self.transfers.incoming.keys().filter(|other| **other != id).count();
            let busy = self.transfers.incoming.get(&id).is_some_and(|it| it.is_writing);
            if part.offset != 0 {
                return self.say(from, taken(0));
            }
            if busy || others >= RECEIVING_MAX {
                return;
            }
            let begun = self.begin_receiving(id, from, place, &part);
            self.transfers.incoming.insert(id, begun);
        }
        let (has_room, folder) = (self.files.has_room(), self.config.folder);
        let Some(incoming) = self.transfers.incoming.get_mut(&id) else { return };
        if incoming.is_writing || !has_room {
            return;
        }
        incoming.message = part.message;
        if part.offset != incoming.fed() {
            let offset = incoming.fed();
            return self.say(from, taken(offset));
        }
        incoming.progress_us = now_us;
        match incoming.take(folder, &part.bytes) {
            Ok(bytes) => self.write_received(id, bytes),
            Err(error) => self.stop_receiving(id, &error),
        }
    }

    fn begin_receiving(&self, id: PartitionId, from: NodeId, place: Place, part: &Part) -> Incoming {
        let header = Header {
            folder: part.folder,
            partition: id,
            partitions: self.config.partitions,
            epoch: self.config.epoch,
            index: place.index,
            term: place.term,
            seq: Seq(0),
            last_time: Millis(0),
            created: Millis(0),
        };
        Incoming {
            from,
            message: part.message.clone(),
            place,
            total: part.total,
            coming: Some(Coming {
                reader: Reader::new(format!("a snapshot of partition {} from node {}", id.0, from.0), &header),
                restore: Restore::new(id, self.config.epoch, self.config.partitions),
                writer: None,
            }),
            offset: 0,
            is_writing: false,
            whole: None,
            progress_us: self.now.mono_us,
        }
    }

    /// Writes what a part gave; behind the last one the file gets its name.
    fn write_received(&mut self, id: PartitionId, bytes: Vec<u8>) {
        let Some(incoming) = self.transfers.incoming.get_mut(&id) else { return };
        let (new, whole) = (layout::unfinished_path(id, incoming.place.index), layout::snapshot_path(id, incoming.place.index));
        let mut steps = Vec::new();
        for chunk in bytes.chunks(crate::shard::files::FILE_BYTES_MAX) {
            let create = incoming.offset == 0;
            steps.push(FileStep::Write { path: new.clone(), offset: incoming.offset, bytes: chunk.to_vec(), create });
            incoming.offset += chunk.len() as u64;
        }
        if incoming.whole.is_some() {
            let older = self.partitions.get(&id).and_then(|slot| slot.snapshot);
            steps.push(FileStep::Sync { path: new.clone() });
            steps.push(FileStep::Rename { from: new, to: whole });
            steps.push(FileStep::SyncFolder { path: layout::partition_path(id) });
            steps.extend(older.map(|older| FileStep::Remove { path: layout::snapshot_path(id, older) }));
        }
        incoming.is_writing = true;
        let job = self.files.give(Asker::PartWritten(id), steps);
        self.outputs.push_back(Output::Files(job));
    }

    /// What a part gave is written.
    pub(super) fn part_written(&mut self, id: PartitionId, written: FilesResult) {
        let Some(incoming) = self.transfers.incoming.get_mut(&id) else { return };
        incoming.is_writing = false;
        incoming.progress_us = self.now.mono_us;
        if let Err(error) = written {
            return self.stop_receiving(id, &error);
        }
        let (from, place, total) = (incoming.from, incoming.place, incoming.total);
        let Some(partition) = incoming.whole.take() else {
            let offset = incoming.fed();
            return self.say(from, GroupMessage { group: id.0, body: Body::Taken { place, offset } });
        };
        let Some(incoming) = self.transfers.incoming.remove(&id) else { return };
        self.say(from, GroupMessage { group: id.0, body: Body::Taken { place, offset: total } });
        self.transfers.received.insert(id, Received { place, partition, file_bytes: incoming.offset });
        if mutants::is(Mutant::SnapshotOverNewer) && self.partitions.get(&id).is_some_and(|slot| slot.applied.index > place.index) {
            return self.take_received(id, place);
        }
        if let Some(replica) = self.partitions.get_mut(&id).and_then(|slot| slot.replica.as_deref_mut()) {
            replica.group.step(from, u64::MAX, Body::Raft(incoming.message));
        }
        self.has_work(id);
    }

    /// What has come is of no use.
    fn stop_receiving(&mut self, id: PartitionId, why: &dyn std::fmt::Display) {
        let Some(incoming) = self.transfers.incoming.remove(&id) else { return };
        tracing::warn!(%why, partition = id.0, from = incoming.from.0, "a snapshot of another node is given up; it is sent again");
        if self.files.has_room() {
            let job =
                self.files.give(Asker::PartRemoved, vec![FileStep::Remove { path: layout::unfinished_path(id, incoming.place.index) }]);
            self.outputs.push_back(Output::Files(job));
        }
    }

    /// Forgets what was received and the group has no use for.
    pub(super) fn drop_received(&mut self, id: PartitionId) {
        self.transfers.received.remove(&id);
    }

    /// Puts what was received in the place of the partition, and brings in line what is around it.
    ///
    /// # Panics
    /// When it was not received: the group installs only what it is told of.
    pub(super) fn take_received(&mut self, id: PartitionId, place: Place) {
        let received = self.transfers.received.remove(&id).filter(|it| it.place == place);
        let Received { partition, file_bytes, .. } = received.unwrap_or_else(|| panic!("{place:?} of partition {} was not received", id.0));
        self.abandon_snapshot(id);
        let Some(slot) = self.partitions.get_mut(&id) else { return };
        let old = std::mem::replace(&mut slot.partition, partition);
        (slot.applied, slot.snapshot, slot.snapshot_bytes) = (place, Some(place.index), file_bytes);
        if let Some(replica) = &mut slot.replica {
            replica.group.made_snapshot(place.index);
        }
        let seq = slot.partition.seq();
        tracing::debug!(partition = id.0, seq = seq.0, bytes = file_bytes, "a snapshot of another node is in place");
        self.events.begins_behind(id, seq);
        self.show_instead(id, &old);
        self.timer_changed(id);
    }

    /// Brings views in line with a partition that took the place of `old`.
    fn show_instead(&mut self, id: PartitionId, old: &Partition) {
        let rows = |partition: &Partition| -> Vec<(wire::SkuId, u32)> {
            partition.stock().rows().map(|(sku, _, row)| (sku, row.available.0)).collect()
        };
        let takes = |partition: &Partition| -> Vec<wire::SkuId> { partition.stock().backorderable().collect() };
        let Some(new) = self.partition(id) else { return };
        let products: BTreeSet<wire::ProductId> = old.products().chain(new.products()).map(|product| product.id).collect();
        let (new_rows, new_takes) = (rows(new), takes(new));
        for (sku, available) in rows(old) {
            self.stock_word(sku).moved(available, 0);
        }
        for (sku, available) in new_rows {
            self.stock_word(sku).moved(0, available);
        }
        for sku in takes(old) {
            self.stock_word(sku).takes_backorders(false);
        }
        for sku in new_takes {
            self.stock_word(sku).takes_backorders(true);
        }
        for product in products {
            if self.reindex(id, product) {
                self.tidying = super::tidying::Tidying::written(self.now.mono_us);
            }
        }
        self.publish_settings(id);
    }
}

impl Incoming {
    /// Bytes of the sender's file that have come.
    fn fed(&self) -> u64 {
        self.coming.as_ref().map_or(self.total, |coming| coming.reader.fed())
    }

    /// Checks and restores the next part. Gives what is to be written of a file of its own, in the data folder of this id.
    fn take(&mut self, folder: u128, bytes: &[u8]) -> Result<Vec<u8>, FileError> {
        let Some(coming) = &mut self.coming else { return Ok(Vec::new()) };
        let mut out = coming.take(folder, bytes)?;
        if coming.reader.fed() == self.total
            && let Some(coming) = self.coming.take()
        {
            self.whole = Some(coming.end(&mut out)?);
        }
        Ok(out)
    }
}

impl Coming {
    fn take(&mut self, folder: u128, bytes: &[u8]) -> Result<Vec<u8>, FileError> {
        let Self { reader, restore, writer } = self;
        let mut out = Vec::new();
        reader.feed(bytes);
        loop {
            let offset = reader.offset();
            let chunk = reader.advance()?.map(<[u8]>::to_vec);
            if writer.is_none()
                && let Some(header) = reader.header()
            {
                *writer = Some(Writer::new(&Header { folder, ..*header }, &mut out));
            }
            let (Some(chunk), Some(writer)) = (chunk, writer.as_mut()) else { return Ok(out) };
            restore.put(&chunk).map_err(|error| content(offset, &error))?;
            writer.chunk(&mut out, |out| out.extend_from_slice(&chunk));
        }
    }

    /// All has come: the file's end, and the partition.
    fn end(self, out: &mut Vec<u8>) -> Result<Partition, FileError> {
        let Self { reader, restore, writer } = self;
        let whole = reader.finish()?;
        let offset = whole.ended.file_bytes;
        let partition = restore.finish().map_err(|error| content(offset, &error))?;
        if (partition.seq(), partition.last_time()) != (whole.header.seq, whole.header.last_time) {
            return Err(content(offset, &"it is at another command than its header says"));
        }
        if let Some(writer) = writer {
            let _as_long_as_the_sender_s = writer.end(out);
        }
        Ok(partition)
    }
}

fn content(offset: u64, why: &dyn std::fmt::Display) -> FileError {
    FileError::Content { file: "a snapshot of another node".to_owned(), offset, why: why.to_string() }
}
