//! Opening a folder: checks, recovery, replay, and the executors.
//!
//! Path: [`Config`] → what the machine offers (`host`) → [`Folder`] and its lock → snapshots (`snapshots`) and every log above them, read by one thread per
//! shard, each for its own partitions (`replay`) → the ends of the logs decide where the writers go on → cores → executors running. Read first: [`open`].
//! An error leaves the folder as it was, but for an empty folder that was made. With another number of shards than before every partition is
//! snapshotted, a new generation of logs begins, and the older ones are let go (`log/FORMAT.md`).

mod dump;
mod events;
mod host;
mod index;
pub(crate) mod replay;
pub(crate) mod resume;
pub(crate) mod snapshots;
mod uring;
mod verify;

pub use dump::{DumpError, Dumped, dump};
pub use events::EventsError;
pub use host::{HostError, MEMLOCK_BYTES_PER_SHARD};
pub use replay::ReplayLogError;
pub use verify::{PartitionReport, Report, VerifyError, verify};

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, mpsc},
};

use crate::replication::Said;
use crate::{
    config::{Capture, Config, ConfigError, Driver, SHARDS_MAX},
    events::{Catalog, Keep},
    folder::{Folder, FolderError, Generation},
    log::{Cut, RecoverError, Writer},
    node::NodeFile,
    seal::Keyring,
    shard::{
        core::{self, Builder},
        drivers::{
            self, Clock, Thread,
            queue::{self, Port},
            turns::{Board, NotServing, Setup},
        },
    },
    shared::Shared,
};
use replay::{DataFolder, Plan, Sink, Walked};
use resume::Choice;
use snapshots::SaveError;
use wire::{Millis, PartitionId, ShardId, Topology};

/// How far the clock may be behind the last entry: more is a clock that was not set yet, and every hold would seem to last for ever.
pub const CLOCK_BEHIND_MS_MAX: u64 = 3_600_000;

/// Why an engine does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The logs.
    #[error(transparent)]
    Log(#[from] ReplayLogError),
    /// The event logs.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The file system has no direct I/O.
    #[error(
        "{path} is on a file system without direct I/O, which the log needs: put the data folder on ext4, XFS or another file system of a local disk; or \
         start with `--driver portable`, which does without and is slower"
    )]
    NoDirectIo {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The clock is behind.
    #[error(
        "the clock is {behind_ms} ms before the last entry of the log: set it (is NTP running?), or start with `--accept-clock` if it is right and the \
         entry's time is not"
    )]
    ClockBehind {
        /// By how much.
        behind_ms: u64,
    },
    /// A shard's port cannot be had.
    #[error("nobody can listen on {address}: choose another base port in the configuration, or end what uses it (`ss -lup`)")]
    Listen {
        /// The shard's own.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A node of a cluster that nobody could reach.
    #[error("{path} is the folder of a cluster's node, which others must reach: say where it listens, with `--wire-listen`")]
    NotReachable {
        /// The folder.
        path: String,
    },
    /// A node of a cluster that does not know which.
    #[error(
        "the log in {path} is that of a cluster's node, and node.json is missing: restore it from a backup of this folder, or replace this node: join with a \
         new folder under the same name"
    )]
    NodeGone {
        /// The folder.
        path: String,
    },
    /// Certificates of the link.
    #[error(transparent)]
    Tls(#[from] wire::quic::TlsError),
    /// No random numbers from the system.
    #[error("no random numbers from the system")]
    Random(#[source] getrandom::Error),
    /// A shard's executor does not start.
    #[error("the executor of shard {shard} does not start: {why}")]
    Executor {
        /// Which.
        shard: u16,
        /// What its runtime says.
        why: String,
    },
}

impl From<RecoverError> for OpenError {
    fn from(error: RecoverError) -> Self {
        Self::Log(error.into())
    }
}

/// What opening a folder found and did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// Executors, and logs written to.
    pub shards: u16,
    /// Fixed when the folder was made.
    pub partitions: u16,
    /// Generation of the logs written to.
    pub generation: u32,
    /// Whether that generation began with this start, because the number of shards is another.
    pub new_generation: bool,
    /// Partitions that began with a snapshot.
    pub snapshots: usize,
    /// Entries replayed.
    pub entries: u64,
    /// Bytes of log read for them.
    pub bytes: u64,
    /// Torn writes behind the logs' ends, which were never acknowledged.
    pub cut: Vec<Cut>,
    /// How long it took.
    pub seconds: f64,
}

/// An engine that runs.
pub(crate) struct Running {
    pub(crate) folder: Folder,
    pub(crate) topology: Topology,
    pub(crate) ports: Arc<[Port]>,
    pub(crate) board: Arc<Board>,
    pub(crate) threads: Vec<Thread>,
    pub(crate) opened: Opened,
}

/// What an executor is told once all logs are read.
enum Word {
    /// To make a snapshot of each of its partitions that has none of all that is in it.
    Save(mpsc::Sender<Result<(), SaveError>>),
    /// To serve.
    Go(Box<Go>),
}

/// What it serves with.
struct Go {
    writer: Writer,
    seed: [u8; 32],
    trusts_log: bool,
}

/// An executor that is starting: it reports what it replayed, waits for its writer, and reports that it serves.
struct Starting {
    thread: Thread,
    replayed: mpsc::Receiver<Result<Walked, OpenError>>,
    words: mpsc::Sender<Word>,
    serving: mpsc::Receiver<Result<(), NotServing>>,
}

/// Opens the folder and starts its executors. Blocks until every entry is replayed and every shard runs.
///
/// # Errors
/// [`OpenError`]; no thread is left behind.
pub(crate) fn open(config: &Config) -> Result<Running, OpenError> {
    let clock = Clock::start();
    config.validate()?;
    let allowed = host::allowed_cpus();
    let wanted = config.shards.or_else(|| config.cpus.as_ref().map(|cpus| shards_for(cpus.len())));
    let shards = wanted.unwrap_or_else(|| shards_for(allowed.len() / 2));
    let cpus = host::place(shards, config.cpus.as_deref(), &allowed)?;
    match config.driver {
        Driver::Glommio => host::check(shards)?,
        Driver::Portable => {}
    }
    let mut folder = Folder::open(&config.data, config.partitions)?;
    match config.driver {
        Driver::Glommio => host::direct_io(folder.path())?,
        Driver::Portable => {
            tracing::warn!("the portable driver writes ordinary files without io_uring: good to try the shop, slower than glommio");
        }
    }
    let mut node = NodeFile::read(folder.path())?;
    let path = || folder.path().display().to_string();
    let (boot, mut ran_on) = (host::boot_id(), false);
    if let Some(node) = &mut node {
        if config.wire.is_none() {
            return Err(OpenError::NotReachable { path: path() });
        }
        ran_on = node.begin(&folder, boot.clone())?;
    }
    let partitions = folder.meta().partitions;
    let shards = match wanted {
        Some(shards) if shards > partitions => return Err(ConfigError::ShardsOverPartitions { shards, partitions }.into()),
        Some(_) => shards,
        None => shards.min(partitions),
    };
    let topology = Topology { partitions, shards };
    let plan = Plan::read(folder.meta(), DataFolder(folder.path().to_owned()))?;
    let catalog = Arc::new(events::read(&folder)?);
    index::make_folder(folder.path());
    let keyring = Keyring::new(&*folder.shop_key()?);
    let shared = Arc::new(Shared::new(config.search_language));
    let core_config = |shard| core::Config {
        shard,
        shards,
        partitions,
        epoch: folder.meta().epoch,
        folder: folder.meta().id,
        log_bytes_max: config.log_bytes(),
        keyring: keyring.clone(),
        shared: Arc::clone(&shared),
        hold_ttl_ms: millis(config.hold_ttl),
        decide_ms: millis(config.decide_max),
        capture_at_once: match config.capture {
            Capture::AtOnce => true,
            Capture::OnShipment => false,
        },
        providers: config.providers.clone(),
        events: Keep {
            ms: u64::try_from(config.events_keep.as_millis()).unwrap_or(u64::MAX),
            bytes: config.events_bytes_max / u64::from(shards),
        },
        cluster: node.as_ref().map(|node| core::Cluster {
            node: node.node,
            incarnation: node.incarnation,
            members: if node.founder { vec![node.node] } else { Vec::new() },
            facts: node.founder.then(|| node.place.facts(shards)),
            peers: node.peers.clone(),
        }),
    };

    let link = match &config.wire {
        None => None,
        Some(wire) => Some((wire.listen, wire::quic::server_config(&wire.authority_pem, &wire.credentials)?)),
    };
    let nodes = match (&config.wire, &node) {
        (Some(wire), Some(_)) => Some(wire::quic::node_config(&wire.authority_pem, &wire.credentials)?),
        (Some(_) | None, None) | (None, Some(_)) => None,
    };
    config.validate_port(shards)?;
    let (ports, inboxes): (Vec<Port>, Vec<_>) = (0..shards).map(|_| queue::port()).unzip();
    let (ports, board): (Arc<[Port]>, _) = (ports.into(), Board::new(shards));
    let mut starting = Vec::with_capacity(usize::from(shards));
    for (number, inbox) in (0..shards).zip(inboxes) {
        let cpu = cpus[usize::from(number)];
        let (serving_to, serving) = mpsc::channel();
        let setup = Setup {
            shard: ShardId(number),
            cpu,
            cpu_is_named: config.cpus.is_some(),
            shared_cpu: cpus[..usize::from(shards)].iter().filter(|other| **other == cpu).count() > 1,
            data: folder.path().to_owned(),
            inbox,
            ports: Arc::clone(&ports),
            board: Arc::clone(&board),
            link: link.clone().map(|(address, tls)| (shard_address(address, usize::from(number)), tls)),
            nodes: nodes.clone(),
            topology,
            serving: serving_to,
        };
        match start_one(config.driver, setup, serving, core_config(ShardId(number)), plan.clone(), Arc::clone(&catalog)) {
            Ok(one) => starting.push(one),
            Err(error) => return Err(give_up(starting, error)),
        }
    }
    let walked = match gather(&starting) {
        Ok(walked) => walked,
        Err((_, Some(error))) => return Err(give_up(starting, error)),
        Err((shard, None)) => return Err(died(starting, shard)),
    };
    // In a cluster a snapshot has what is known to be committed, and the older logs may have more.
    let save = || if node.is_some() { Ok(false) } else { save_all(&starting).map(|()| true) };
    let next = match prepare(config, &mut folder, shards, &walked, clock.now().wall, save) {
        Ok(next) => next,
        Err(error) => return Err(give_up(starting, error)),
    };
    // What a kill cut off was on its way. That the disk damaged what it had is not to be told from it, so then the others are asked.
    let trusts_log = config.trust_log || (ran_on && walked.cuts().is_empty());
    if let Some(node) = &mut node
        && (trusts_log || next.go.iter().all(|go| go.writer.goes_on_marked()))
        && let Err(error) = node.is_whole(&folder, boot)
    {
        return Err(give_up(starting, error.into()));
    }
    // Not before the names of the newer ones are durable.
    plan.snapshots.tidy(folder.path(), &walked.used);
    if let Err(error) = events::make_folder(&folder) {
        return Err(give_up(starting, error.into()));
    }
    for (one, go) in starting.iter().zip(next.go) {
        let go = Go { trusts_log, ..go };
        // An executor that ended meanwhile is met below.
        let _ = one.words.send(Word::Go(Box::new(go)));
    }
    for shard in 0..starting.len() {
        let told = starting[shard].serving.recv();
        if let Ok(Ok(())) = told {
            continue;
        }
        end_all(&ports);
        return Err(match told {
            Ok(Err(why)) => give_up(starting, not_serving(why, config, shard)),
            Ok(Ok(())) | Err(mpsc::RecvError) => died(starting, shard),
        });
    }
    let opened = Opened {
        shards,
        partitions,
        generation: next.generation.number,
        new_generation: next.is_new,
        snapshots: walked.used.len(),
        entries: walked.entries,
        bytes: walked.bytes,
        cut: walked.cuts(),
        seconds: clock.elapsed().as_secs_f64(),
    };
    tell(folder.path(), &opened);
    let threads = starting.into_iter().map(|one| one.thread).collect();
    Ok(Running { folder, topology, ports, board, threads, opened })
}

fn shards_for(cpus: usize) -> u16 {
    u16::try_from(cpus).unwrap_or(SHARDS_MAX).clamp(1, SHARDS_MAX)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("validated against DURATION_MAX")
}

fn tell(path: &Path, opened: &Opened) {
    for cut in &opened.cut {
        tracing::warn!(
            file = cut.file,
            offset = cut.offset,
            bytes = cut.bytes,
            why = %cut.why,
            "cut a torn write from the end of the log; it was never acknowledged"
        );
    }
    tracing::info!(
        path = %path.display(),
        shards = opened.shards,
        generation = opened.generation,
        snapshots = opened.snapshots,
        entries = opened.entries,
        seconds = opened.seconds,
        "opened"
    );
}

/// Takes the entries of one shard's partitions.
struct ShardSink {
    builder: Builder,
    shard: ShardId,
    shards: u16,
}

impl ShardSink {
    /// Snapshots first, then every entry above them.
    fn fill(&mut self, plan: &Plan<DataFolder>) -> Result<Walked, ReplayLogError> {
        let (shard, shards) = (self.shard, self.shards);
        let mine = |partition| wire::placement::shard_of(partition, shards) == shard;
        let below = plan.restore(mine, |restored| {
            self.builder.restore(restored).expect("only its own partitions are restored, each once");
        })?;
        plan.walk(self, below)
    }
}

impl Sink for ShardSink {
    fn wants(&self, partition: PartitionId) -> bool {
        wire::placement::shard_of(partition, self.shards) == self.shard
    }

    fn take(&mut self, partition: PartitionId, said: Said<'_>) -> Result<(), String> {
        self.builder.replay(partition, said).map_err(|error| with_causes(&error))
    }
}

/// An error and its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn start_one(
    driver: Driver,
    setup: Setup,
    serving: mpsc::Receiver<Result<(), NotServing>>,
    config: core::Config,
    plan: Plan<DataFolder>,
    catalog: Arc<Catalog>,
) -> Result<Starting, OpenError> {
    let reading = index::Reading::start(&setup.data, setup.shard, config.shards, config.shared.search_language());
    let (replayed_to, replayed) = mpsc::channel();
    let (words, words_from) = mpsc::channel::<Word>();
    let (shard, shards, data, in_cluster) = (setup.shard, config.shards, setup.data.clone(), config.cluster.is_some());
    let make = move |clock: Clock| {
        let mut sink = ShardSink { builder: Builder::new(config, catalog), shard, shards };
        let walked = sink.fill(&plan).map_err(OpenError::from);
        let walked = walked.and_then(|walked| match sink.builder.events_ahead() {
            // What the log does not say is committed is not applied yet.
            Some(_) if in_cluster => Ok(walked),
            None if !in_cluster && sink.builder.is_of_a_cluster() => Err(OpenError::NodeGone { path: data.display().to_string() }),
            None => Ok(walked),
            Some((partition, events, log)) => {
                let path = events::path_of(&data);
                Err(EventsError::Ahead { partition: partition.0, events, log, path }.into())
            }
        });
        sink.builder.take_index(reading.finish());
        let failed = walked.is_err();
        if replayed_to.send(walked).is_err() || failed {
            return None;
        }
        loop {
            match words_from.recv().ok()? {
                Word::Save(done) => {
                    let saved = match sink.builder.events_behind() {
                        Some(partition) => Err(SaveError::Events(partition.0)),
                        None => {
                            sink.builder.save(clock.now().wall, |header, partition, older| snapshots::save(&data, header, partition, older))
                        }
                    };
                    // Who asked may know already that another shard could not: then this one's snapshots are of use to the next start.
                    let _ = done.send(saved);
                }
                Word::Go(go) => {
                    if go.trusts_log {
                        sink.builder.trust_log();
                    }
                    return Some(sink.builder.finish(go.writer, clock.now(), go.seed));
                }
            }
        }
    };
    let thread = drivers::spawn(driver, setup, make).map_err(|why| OpenError::Executor { shard: shard.0, why })?;
    Ok(Starting { thread, replayed, words, serving })
}

/// Ends executors that already serve.
fn end_all(ports: &[Port]) {
    for port in ports {
        port.tell(queue::Note::Stop);
    }
}

/// Where a shard listens.
fn shard_address(base: SocketAddr, shard: usize) -> SocketAddr {
    let shard = u16::try_from(shard).expect("shards are numbered in 16 bits");
    // Port 0, any free one, is of use with one shard only.
    let port = if base.port() == 0 { 0 } else { base.port() + shard };
    SocketAddr::new(base.ip(), port)
}

/// Why shard number `shard` does not serve, for people.
fn not_serving(why: NotServing, config: &Config, shard: usize) -> OpenError {
    let number = u16::try_from(shard).expect("shards are numbered in 16 bits");
    match (why, &config.wire) {
        (NotServing::Listen(source), Some(wire)) => OpenError::Listen { address: shard_address(wire.listen, shard), source },
        (why, _) => OpenError::Executor { shard: number, why: with_causes(&why) },
    }
}

/// Waits for all replays. The error of the lowest shard, or that its thread died without saying why.
fn gather(starting: &[Starting]) -> Result<Walked, (usize, Option<OpenError>)> {
    let mut all = Walked::default();
    for (shard, one) in starting.iter().enumerate() {
        match one.replayed.recv() {
            Ok(Ok(walked)) => all.add(walked),
            Ok(Err(error)) => return Err((shard, Some(error))),
            Err(mpsc::RecvError) => return Err((shard, None)),
        }
    }
    Ok(all)
}

/// Ends every thread and gives the error back.
fn give_up(starting: Vec<Starting>, error: OpenError) -> OpenError {
    for Starting { thread, replayed, words, serving } in starting {
        drop((replayed, words, serving));
        // Its own error, if any, is not the one to be told.
        let _ = thread.join();
    }
    error
}

/// Ends every thread and says why one died.
fn died(mut starting: Vec<Starting>, shard: usize) -> OpenError {
    let Starting { thread, replayed, words, serving } = starting.remove(shard);
    drop((replayed, words, serving));
    let why = thread.join().map_or_else(|error| error, |()| "it ended early".into());
    let number = u16::try_from(shard).expect("shards are numbered in 16 bits");
    give_up(starting, OpenError::Executor { shard: number, why })
}

/// What comes after recovery.
struct Next {
    generation: Generation,
    is_new: bool,
    go: Vec<Go>,
}

/// Has every executor snapshot its partitions. Says what could not be done.
fn save_all(starting: &[Starting]) -> Result<(), String> {
    let ask = |one: &Starting| {
        let (done, saved) = mpsc::channel();
        one.words.send(Word::Save(done)).ok().map(|()| saved)
    };
    let asked: Vec<_> = starting.iter().map(ask).collect();
    for saved in asked {
        let saved = saved.and_then(|saved| saved.recv().ok()).ok_or("a shard's thread ended")?;
        saved.map_err(|error| with_causes(&error))?;
    }
    Ok(())
}

/// Decides where the logs go on: in the last generation, or in a new one when the number of shards is another. `save` makes a snapshot of every
/// partition, so that the older logs can go; `false` where they cannot.
fn prepare(
    config: &Config,
    folder: &mut Folder,
    shards: u16,
    walked: &Walked,
    wall: Millis,
    save: impl FnOnce() -> Result<bool, String>,
) -> Result<Next, OpenError> {
    let behind_ms = walked.last_time.0.saturating_sub(wall.0);
    if behind_ms > CLOCK_BEHIND_MS_MAX && !config.accept_clock {
        return Err(OpenError::ClockBehind { behind_ms });
    }
    walked.sync(&DataFolder(folder.path().to_owned()))?;
    folder.upgrade()?;
    let lets_go = resume::has_older(folder.meta(), shards, walked) && {
        let saved = save();
        if let Err(why) = &saved {
            tracing::warn!(
                why,
                "older logs stay, and none is cut in this run, because a snapshot of everything cannot be made; the next start tries again"
            );
        }
        saved == Ok(true)
    };
    let (generation, is_new) = match resume::choose(folder.meta(), shards, walked, lets_go) {
        Choice::Same(generation) => {
            if lets_go {
                folder.let_go_older()?;
            }
            (generation, false)
        }
        Choice::New(before) => (folder.begin_generation(shards, before)?, true),
    };
    folder.remove_unlisted();
    let go = resume::writers(folder.meta(), generation, walked, config.segment_bytes).into_iter().map(|writer| {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(OpenError::Random)?;
        Ok(Go { writer, seed, trusts_log: false })
    });
    Ok(Next { generation, is_new, go: go.collect::<Result<_, OpenError>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // A disk's thread that cannot be had is no port that is taken, link or not.
    fn what_keeps_a_shard_from_serving_is_told_by_its_cause() {
        let cause = || std::io::Error::from_raw_os_error(libc::EAGAIN);
        let credentials = wire::quic::Credentials { certificate_pem: String::new(), key_pem: String::new() };
        let wire = crate::config::WireListen { listen: ([127, 0, 0, 1], 7_443).into(), authority_pem: String::new(), credentials };
        let with_link = Config { wire: Some(wire), ..Config::new("data") };
        for config in [&with_link, &Config::new("data")] {
            let told = not_serving(NotServing::Lacks { what: "the threads of its disk", cause: cause() }, config, 2).to_string();
            assert!(told.starts_with("the executor of shard 2 does not start: it cannot have the threads of its disk: "), "{told}");
        }
        let told = not_serving(NotServing::Listen(cause()), &with_link, 2).to_string();
        assert!(told.starts_with("nobody can listen on 127.0.0.1:7445"), "{told}");
    }
}
