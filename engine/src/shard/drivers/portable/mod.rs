//! The driver for machines without io_uring: one ordinary thread per shard, ordinary files, sockets by tokio.
//!
//! Path: [`spawn`] → on the thread a core is made → `quic` (calls over the link) and `disk` (finished writes, from threads beside) wake the loop of
//! `turns`. Bounds: those of `turns`; two batches on their way to the disk.
//!
//! It needs what every Linux gives, in a container under the default seccomp profile too: threads, epoll, `pwrite` and `fdatasync`. No ring, no direct
//! I/O, no locked memory, and no core of its own. What that costs: a write passes to another thread and back, and through the page cache.

mod disk;
mod quic;

use std::{io, thread::JoinHandle, time::Duration};

use tokio::{runtime, task::LocalSet};

use super::{
    Clock,
    turns::{Activity, EndOnPanic, Machine, NotServing, Setup, Shard},
};
use crate::shard::core::ShardCore;
use disk::Disk;
use quic::Listening;

/// What the loop runs on here.
enum Portable {}

impl Machine for Portable {
    type Disk = Disk;
    type Link = Listening;

    async fn sleep(after: Duration) {
        tokio::time::sleep(after).await;
    }

    async fn breathe() {
        tokio::task::yield_now().await;
    }
}

/// Starts the shard's thread. `make` runs on it, may block, and makes the core once the logs are read; without one the thread ends.
///
/// # Errors
/// What the system says when there is no thread to be had; what comes later is told to `setup.serving`.
pub(super) fn spawn(setup: Setup, make: impl FnOnce(Clock) -> Option<ShardCore> + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("shard".into()).spawn(move || {
        if setup.cpu_is_named {
            pin(setup.cpu);
        }
        let clock = Clock::start();
        let Some(core) = make(clock) else { return };
        let _fault = EndOnPanic(setup.shard);
        match runtime::Builder::new_current_thread().enable_io().enable_time().build() {
            Ok(runtime) => LocalSet::new().block_on(&runtime, serve(core, setup, clock)),
            // The one who waits for this gives up; if nobody does, there is nothing to serve.
            Err(cause) => drop(setup.serving.send(Err(NotServing::Lacks { what: "what waits for its sockets and timers", cause }))),
        }
    })
}

/// Keeps this thread on a core that the operator named. Where that cannot be, the shard works all the same.
fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!(%error, cpu, "a shard's thread cannot be kept on its core");
    }
}

async fn serve(core: ShardCore, setup: Setup, clock: Clock) {
    let (calls, from_link) = setup.calls();
    let listen = |(address, tls)| quic::listen(address, tls, setup.topology, setup.shard, calls);
    let listening = setup.link.clone().map(listen).transpose().map_err(NotServing::Listen);
    let begun = listening.and_then(|server| match Disk::start(setup.shard, &setup.data) {
        Ok(disk) => Ok((server, disk)),
        Err(cause) => Err(NotServing::Lacks { what: "the threads of its disk", cause }),
    });
    let (server, disk) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            let _ = setup.serving.send(Err(error)); // as above
            return;
        }
    };
    if setup.serving.send(Ok(())).is_ok() {
        Shard::<Portable>::new(core, clock, setup, disk, (server, from_link), Activity::default()).run().await;
    }
}
