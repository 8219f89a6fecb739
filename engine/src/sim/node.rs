//! The process under test: its shards, what lies in their queues, and its start through the real recovery.
//!
//! Path: [`boot`] → [`Plan::read`] and [`Plan::walk`] over the fake disk → every entry into a `Builder`, and beside it to the [`Shadow`] → where the logs
//! go on ([`resume`]) → [`Node`], whose cores have applied what is committed. What the world then does with it is what a driver does.
//! Left to `start.rs`, and not run here: the data folder's lock and keys, and the refusal of a clock that is far behind.

use super::{
    Settings,
    checks::{Violation, machine_log::Logged, shadow::Shadow},
    disk::Mounted,
    machine::{Machine, MachineId},
};
use crate::{
    events::{self, Catalog, EventFiles, Keep, LogFiles},
    folder::{Before, Generation},
    log::{LogIdentity, Record, RecordKind, RecoverError, Tail},
    replication::Said,
    seal::Keyring,
    shard::{
        CallToken, Input, Now,
        core::{Builder, Cluster, Config, ShardCore},
    },
    shared::Shared,
    start::{
        ReplayLogError,
        replay::{Plan, Sink, Walked},
        resume::{self, Choice},
    },
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
};
use wire::{PartitionId, ShardId, placement::shard_of};

/// Events are kept as long as a run lasts.
const EVENTS_KEEP: Keep = Keep { ms: u64::MAX / 2, bytes: u64::MAX };

/// The event logs on the fake disk.
struct EventDisk {
    disk: Mounted,
    generations: Vec<Generation>,
}

impl EventFiles for EventDisk {
    fn logs(&mut self) -> io::Result<BTreeMap<(u32, u16), LogFiles>> {
        let disk = self.disk.0.borrow();
        let shards = self.generations.iter().flat_map(|generation| (0..generation.shards).map(|shard| (generation.number, shard)));
        let files = |(generation, shard)| {
            let files = disk.list(&events::path(generation, shard)).into_iter();
            let files: LogFiles = files.filter_map(|(name, bytes)| Some((events::parse_file(&name)?, bytes))).collect();
            ((generation, shard), files)
        };
        Ok(shards.map(files).filter(|(_, files)| !files.is_empty()).collect())
    }

    fn read(&mut self, path: &str, bytes: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        self.disk.0.borrow_mut().read(path, 0, &mut read)?;
        Ok(read)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        let mut disk = self.disk.0.borrow_mut();
        disk.sync(path);
        disk.sync_names(path.rsplit_once('/').map_or("", |(folder, _)| folder));
        Ok(())
    }
}

/// A process that runs.
pub(super) struct Node {
    pub(super) shards: Vec<Shard>,
    /// Who waits for which call.
    pub(super) calls: BTreeMap<CallToken, super::world::CallId>,
    /// The batch that is next in each log, by its path, as the start found it.
    pub(super) ends: BTreeMap<String, u64>,
    /// When the last message of each pair of shards arrives: the next one not before it.
    pub(super) heard_us: BTreeMap<(u16, u16), u64>,
}

/// One of its shards.
pub(super) struct Shard {
    pub(super) core: ShardCore,
    /// Its partitions.
    pub(super) owned: Vec<PartitionId>,
    pub(super) inbox: VecDeque<Input>,
    /// The turn that is scheduled first.
    pub(super) turn_us: Option<u64>,
    /// Path of its log's folder.
    pub(super) log: String,
    /// Until then it is not run: another thread has its core.
    pub(super) stalled_us: u64,
    /// Records of batches that are durable before one before them is, by number.
    pub(super) durable: BTreeMap<u64, Vec<Logged>>,
    /// What it does with files beside the log.
    pub(super) files: super::files::Files,
    /// The batch that is durable next.
    pub(super) next_batch: u64,
}

/// Why a process did not start.
pub(super) enum NotStarted {
    /// It says so.
    Refused(ReplayLogError),
    /// It should have said so, or lost something.
    Wrong(Violation),
}

impl From<ReplayLogError> for NotStarted {
    fn from(error: ReplayLogError) -> Self {
        Self::Refused(error)
    }
}

impl From<Violation> for NotStarted {
    fn from(violation: Violation) -> Self {
        Self::Wrong(violation)
    }
}

/// Takes the entries of one shard's partitions, and shows them to the shadow.
struct Watched<'a> {
    builder: Builder,
    shard: ShardId,
    shards: u16,
    machine: MachineId,
    shadow: &'a mut Shadow,
    wrong: Option<Violation>,
}

impl Sink for Watched<'_> {
    fn wants(&self, partition: PartitionId) -> bool {
        shard_of(partition, self.shards) == self.shard
    }

    fn take(&mut self, partition: PartitionId, said: Said<'_>) -> Result<(), String> {
        let record = match &said {
            Said::Entry { variant, term, index, time, body } => {
                let entry = Record::entry(partition.0, *term, *index, time.0, body);
                Some(Record { kind: RecordKind::Entry(*variant), ..entry })
            }
            Said::VoidFrom { term, index } => Some(Record::overwrite_from(partition.0, *term, *index)),
            Said::Hard(_) | Said::Members(..) => None,
        };
        if let Some(record) = record
            && let Err(violation) = self.shadow.recovered(self.machine, &record)
        {
            self.wrong.get_or_insert(violation);
        }
        self.builder.replay(partition, said).map_err(|error| error.to_string())
    }
}

/// Starts a process with `shards` on a machine.
pub(super) fn boot(
    machine: &mut Machine,
    shards: u16,
    settings: &Settings,
    now: Now,
    seed: u64,
    shadow: &mut Shadow,
) -> Result<Node, NotStarted> {
    let Machine { id, disk, meta, life, founders, boots, whole_since, told_to_trust, .. } = machine;
    let (machine, disk) = (*id, &*disk);
    let cluster = (settings.machines > 1).then(|| Cluster {
        node: machine.node(),
        incarnation: u64::from(*life),
        members: founders.clone(),
        facts: None,
        peers: Vec::new(),
    });
    let plan = Plan::read(meta, disk.clone())?;
    let mut event_files = EventDisk { disk: disk.clone(), generations: meta.generations.clone() };
    let unread = |source| ReplayLogError::from(RecoverError::Io { file: crate::events::FOLDER.to_owned(), offset: 0, source });
    let catalog = Catalog::read(&mut event_files, meta.id, meta.epoch).map_err(unread)?;
    let (catalog, shared) = (Arc::new(catalog), Arc::new(Shared::default()));
    let (mut walked, mut builders) = (Walked::default(), Vec::new());
    shadow.begin_recovery(machine);
    for shard in (0..shards).map(ShardId) {
        let config = Config {
            shard,
            shards,
            partitions: settings.partitions,
            epoch: meta.epoch,
            folder: meta.id,
            log_bytes_max: settings.log_bytes_max,
            keyring: Keyring::new(&[7; 32]),
            shared: Arc::clone(&shared),
            hold_ttl_ms: settings.hold_ttl_ms,
            decide_ms: settings.decide_ms,
            capture_at_once: settings.capture_at_once,
            providers: vec![super::PROVIDER.to_owned()],
            events: EVENTS_KEEP,
            cluster: cluster.clone(),
        };
        let builder = Builder::new(config, Arc::clone(&catalog));
        let mut sink = Watched { builder, shard, shards, machine, shadow, wrong: None };
        let mut newer = None;
        let Watched { builder, shadow, .. } = &mut sink;
        let below = plan.restore(
            |partition| shard_of(partition, shards) == shard,
            |restored| {
                newer = newer.take().or_else(|| shadow.restored(machine, restored.partition.id(), restored.place.index).err());
                builder.restore(restored).expect("only its own partitions are restored, each once");
            },
        );
        if let Some(violation) = newer {
            return Err(violation.into());
        }
        let gone = plan.walk(&mut sink, below.map_err(|error| ReplayLogError::Snapshot(Box::new(error)))?);
        if let Some(violation) = sink.wrong {
            return Err(violation.into());
        }
        walked.add(gone?);
        builders.push(sink.builder);
    }
    walked.sync(disk).map_err(ReplayLogError::from)?;
    // Only now: a recovery that fails on its way makes nothing durable.
    shadow.end_recovery(machine)?;
    for path in plan.snapshots.surplus(&walked.used) {
        disk.0.borrow_mut().remove(&path);
    }
    let generation = match resume::choose(meta, shards, &walked, false) {
        Choice::Same(generation) => generation,
        Choice::New(before) => {
            let number = meta.generations.last().map_or(1, |last| last.number + 1);
            match before {
                Before::Kept => {}
                Before::Replaced => drop(meta.generations.pop()),
                Before::LetGo => unreachable!("nothing was saved"),
            }
            meta.generations.push(Generation { number, shards });
            Generation { number, shards }
        }
    };
    let writers = resume::writers(meta, generation, &walked, settings.segment_bytes);
    // As `start.rs` does it with what the kernel says.
    let trusts_log = std::mem::take(told_to_trust) || (*whole_since == Some(*boots) && walked.cuts().is_empty());
    *whole_since = (trusts_log || writers.iter().all(crate::log::Writer::goes_on_marked)).then_some(*boots);
    let started = builders.into_iter().zip(writers).zip(0u16..).map(|((builder, writer), shard)| {
        let mut secret = [0; 32];
        secret[..8].copy_from_slice(&seed.to_le_bytes());
        secret[8..10].copy_from_slice(&shard.to_le_bytes());
        let next_batch = writer.open_batch().0;
        let mut builder = builder;
        if trusts_log {
            builder.trust_log();
        }
        let core = builder.finish(writer, now, secret);
        Shard {
            next_batch,
            durable: BTreeMap::new(),
            files: super::files::Files::default(),
            owned: core.owned(),
            core,
            inbox: VecDeque::new(),
            turn_us: None,
            log: crate::log::layout::log_path(&meta.log(generation, shard)),
            stalled_us: 0,
        }
    });
    let end = |(log, tail): &(LogIdentity, Tail)| (crate::log::layout::log_path(log), tail.next_batch.0);
    let ends = walked.tails.values().map(end).collect();
    let shards: Vec<Shard> = started.collect();
    for Shard { core, owned, .. } in &shards {
        for partition in owned {
            shadow.applied(machine, *partition, core.applied(*partition), core.snapshot(*partition))?;
            core.look_at(*partition, |partition| shadow.compare_whole(machine, partition))?;
        }
    }
    shadow.started(machine)?;
    Ok(Node { shards, calls: BTreeMap::new(), ends, heard_us: BTreeMap::new() })
}
