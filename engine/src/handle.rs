//! [`Engine`]: the embedders' API.
//!
//! Path: [`Engine::open`] → [`Engine::call`], or [`Engine::client`] for parts that know only `wire` → the owning shard's queue → its executor → the
//! answer. [`Engine::shutdown`] ends it in order; dropping it ends it like a crash, which loses nothing that was answered.
//! Bounds: `CALL_QUEUE_MAX` calls waiting for each shard, then [`wire::CallError::QueueFull`]; [`SHUTDOWN_WAIT_MAX`].

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    config::Config,
    folder::Folder,
    shard::drivers::{
        Clock, Thread,
        queue::{Note, Port},
        turns::Board,
    },
    start::{self, OpenError, Opened},
};
use wire::{
    Call, CallError, Client, Failure, Request, Response, Topology,
    placement::{Route, route, shard_of},
};

/// Longest an orderly shutdown waits for calls under way. Those that still run then are ended like in a crash: what was logged goes on at
/// the next start.
pub const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often a shutdown looks whether the shards are idle.
const SHUTDOWN_LOOK: Duration = Duration::from_millis(1);

/// A shop's engine in this process: one executor per shard, on threads of their own.
///
/// Calls come from any thread and any async runtime. One process at a time has a folder open.
///
/// ```no_run
/// use engine::{Config, Engine};
/// use wire::{Op, Request};
///
/// let engine = Engine::open(Config::new("shop-data"))?;
/// let answer = futures_lite::future::block_on(engine.call(Request::system(Op::ListCategories)))?;
/// println!("{:?}", answer.result);
/// engine.shutdown();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `examples/embed.rs` has a product, a cart and a search.
pub struct Engine {
    client: Arc<InProcess>,
    board: Arc<Board>,
    threads: Vec<Thread>,
    opened: Opened,
    /// Holds the lock until every thread has ended.
    folder: Folder,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("folder", &self.folder.path()).field("opened", &self.opened).finish_non_exhaustive()
    }
}

/// How a shutdown ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "calls may have been cut off"]
pub enum Shutdown {
    /// Every call was answered, everything is on disk, and the logs end with a mark.
    Drained,
    /// [`SHUTDOWN_WAIT_MAX`] passed first. Nothing that was answered is lost.
    CutOff,
}

impl Engine {
    /// Opens the folder of `config`, which is made when it is not there, replays its log and starts the executors. Blocks for as long
    /// as that takes: call it on a thread that may.
    ///
    /// Cost: the log is read and applied once, by as many threads as there are shards.
    ///
    /// # Errors
    /// [`OpenError`] says what was found, what was wanted and who can change it. The folder is then as it was.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let start::Running { folder, topology, ports, board, threads, opened } = start::open(&config)?;
        let client = InProcess { ports, topology, next: AtomicUsize::new(0), closed: AtomicBool::new(false) };
        Ok(Self { client: Arc::new(client), board, threads, opened, folder })
    }

    /// What opening found and did.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// How keys are spread.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.client.topology
    }

    /// A client for the gateway, adapters and whoever else speaks `wire`. Cheap; it may outlive the engine and then answers
    /// [`CallError::Unreachable`].
    #[must_use]
    pub fn client(&self) -> Arc<dyn Client> {
        let client: Arc<InProcess> = Arc::clone(&self.client);
        client
    }

    /// Sends `request` to the shard that owns its key, at once; the future waits for the answer, on any runtime. Dropping it gives up
    /// waiting, while a command that was taken is carried out.
    ///
    /// # Errors
    /// [`CallError::QueueFull`] when too much waits for that shard, and [`CallError::Unreachable`] when the engine ends first.
    pub fn call(&self, request: Request) -> impl Future<Output = Result<Response, CallError>> + Send + use<> {
        self.client.call(request)
    }

    /// Takes no more calls, lets those under way end (at most [`SHUTDOWN_WAIT_MAX`]), marks the logs' ends, ends the threads and lets the
    /// folder go. Removes nothing. Blocks: call it on a thread that may.
    pub fn shutdown(mut self) -> Shutdown {
        self.client.closed.store(true, Ordering::Release);
        let clock = Clock::start();
        for port in &*self.client.ports {
            port.tell(Note::Drain);
        }
        let mut before = None;
        let end = loop {
            let quiet = self.board.quiet();
            if quiet.is_some() && quiet == before {
                break Shutdown::Drained;
            }
            if clock.elapsed() > SHUTDOWN_WAIT_MAX {
                tracing::warn!(waited = ?SHUTDOWN_WAIT_MAX, "calls were still running at shutdown and are cut off; what was logged goes on at the next start");
                break Shutdown::CutOff;
            }
            before = quiet;
            #[expect(clippy::disallowed_methods, reason = "a thread outside the shards, which documents that it blocks")]
            std::thread::sleep(SHUTDOWN_LOOK);
        };
        self.end();
        end
    }

    /// Ends the executors as soon as nothing is on its way to the disk.
    fn end(&mut self) {
        self.client.closed.store(true, Ordering::Release);
        for port in &*self.client.ports {
            port.tell(Note::Stop);
        }
        for thread in self.threads.drain(..) {
            if let Err(error) = thread.join() {
                tracing::error!(error, "a shard's thread did not end well");
            }
        }
    }
}

impl Drop for Engine {
    /// Like a crash, without the crash: what is on its way to the disk is finished, nothing else is.
    fn drop(&mut self) {
        self.end();
    }
}

/// The client within the process.
struct InProcess {
    ports: Arc<[Port]>,
    topology: Topology,
    /// Counts requests that any shard may take.
    next: AtomicUsize,
    /// No new calls.
    closed: AtomicBool,
}

impl Client for InProcess {
    fn call(&self, request: Request) -> Call {
        // Acquire, with the Release at shutdown: whoever saw the engine shut down is refused here. A call that slips by is refused by the core.
        if self.closed.load(Ordering::Acquire) {
            let response = Response { positions: Vec::new(), replayed: false, result: Err(Failure::ShuttingDown) };
            return Box::pin(std::future::ready(Ok(response)));
        }
        let shard = match route(&request.op, self.topology) {
            Route::Partition(partition) => usize::from(shard_of(partition, self.topology.shards).0),
            // A shard that does not exist: any answers that it is the wrong one.
            Route::Shard(shard) => usize::from(shard.0) % self.ports.len(),
            // Relaxed: it only spreads.
            Route::Any => self.next.fetch_add(1, Ordering::Relaxed) % self.ports.len(),
        };
        self.ports[shard].call(request)
    }

    fn topology(&self) -> Topology {
        self.topology
    }
}
