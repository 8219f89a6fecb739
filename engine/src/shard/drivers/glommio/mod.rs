//! The driver of real life: one glommio executor per shard, pinned to a core; network and timers by io_uring.
//!
//! Path: [`spawn`] → on the thread a core is made → `quic` (calls over the link) and `disk` (finished writes) feed the loop of `turns`, beside which
//! `park` keeps watch. Bounds: those of `turns`; two batches on their way to the disk.
//!
//! Each executor has two task queues by shares: the core's loop and the network, which also look for finished writes, and the background (new
//! segments) with a twentieth.

mod disk;
mod park;
mod quic;
mod ring;

use std::time::Duration;

use futures_lite::FutureExt;
use glommio::{ExecutorJoinHandle, Latency, LocalExecutorBuilder, Placement, PoolPlacement, Shares, timer::Timer};

use super::{
    Clock,
    turns::{Activity, EndOnPanic, Machine, NotServing, Setup, Shard},
};
use crate::shard::core::ShardCore;
use disk::{DISK_THREADS, Disk};
use park::{Watch, breathe};
use quic::{Listen, Listening};

/// An idle executor looks for work this long before it sleeps: a wake-up costs more than that of a core that is its own.
const SPIN: Duration = Duration::from_micros(50);

/// What the loop runs on here.
enum Glommio {}

impl Machine for Glommio {
    type Disk = Disk;
    type Link = Listening;

    async fn sleep(after: Duration) {
        Timer::new(after).await;
    }

    async fn breathe() {
        breathe().await;
    }
}

/// Starts the executor's thread. `make` runs on it, may block, and makes the core once the logs are read; without one the thread ends.
///
/// # Errors
/// What glommio says when the thread or its pinning cannot be had; errors of its rings come from joining.
pub(super) fn spawn(
    setup: Setup,
    make: impl FnOnce(Clock) -> Option<ShardCore> + Send + 'static,
) -> Result<ExecutorJoinHandle<()>, glommio::GlommioError<()>> {
    LocalExecutorBuilder::new(Placement::Fixed(setup.cpu))
        .name("shard")
        .spin_before_park(if setup.shared_cpu { Duration::ZERO } else { SPIN })
        // The log's buffers are its own.
        .io_memory(0)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(DISK_THREADS))
        .spawn(move || async move {
            let clock = Clock::start();
            if let Some(core) = make(clock) {
                let _fault = EndOnPanic(setup.shard);
                serve(core, setup, clock).await;
            }
        })
}

async fn serve(core: ShardCore, setup: Setup, clock: Clock) {
    let executor = glommio::executor();
    let requests = executor.create_task_queue(Shares::Static(1_000), Latency::NotImportant, "requests");
    let background = executor.create_task_queue(Shares::Static(50), Latency::NotImportant, "background");
    let (calls, from_link) = setup.calls();
    let listen = |(address, tls)| {
        let listen = Listen { address, tls, topology: setup.topology, shard: setup.shard, queue: Some(requests) };
        quic::listen(listen, calls)
    };
    let server = match setup.link.clone().map(listen).transpose() {
        Ok(server) => server.map(|(server, _address)| server),
        Err(error) => {
            // The one who waits for this gives up; if nobody does, there is nothing to serve.
            let _ = setup.serving.send(Err(NotServing::Listen(error)));
            return;
        }
    };
    let disk = match Disk::start(setup.data.clone(), background) {
        Ok(disk) => disk,
        Err(cause) => {
            let _ = setup.serving.send(Err(NotServing::Lacks { what: "the threads and the ring of its disk", cause })); // as above
            return;
        }
    };
    if setup.serving.send(Ok(())).is_ok() {
        let activity = Activity::default();
        let shard = Shard::<Glommio>::new(core, clock, setup, disk, (server, from_link), activity.clone());
        let run = glommio::spawn_local_into(shard.run(), requests).expect("the task queue was made above");
        let watch = async { match Watch::new(activity).await {} };
        run.or(watch).await;
    }
}
