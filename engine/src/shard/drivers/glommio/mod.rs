//! The driver of real life: one glommio executor per shard, pinned to a core; network and timers by io_uring.
//!
//! Path: `queue` (calls from threads outside, notes from other shards), `quic` (calls over the link) and `disk` (finished writes) → `executor`'s loop, one turn after the
//! other → `ShardCore` → `disk`, `queue` of other shards, callers' one-shots. Read first: `executor`.
//! Bounds: [`queue::CALL_QUEUE_MAX`], [`queue::NOTE_QUEUE_MAX`], the executor's amounts per turn; two batches on their way to the disk.
//!
//! Each executor has two task queues by shares: the core's loop and the network, which also look for finished writes, and the background (new
//! segments) with a twentieth.

mod disk;
pub(crate) mod executor;
mod park;
pub(crate) mod queue;
mod quic;
mod ring;

/// Ends the process, saying why in one line. After a failed write or sync nobody can know what is on the disk, and after a fault of our own
/// nobody can know what the memory holds; the log can, so the way on is a new start.
fn end_process(why: &str) -> ! {
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{why}; the process ends. Nothing that was answered is lost");
    } else {
        eprintln!("emporion: {why}; the process ends. Nothing that was answered is lost");
    }
    std::process::abort()
}
