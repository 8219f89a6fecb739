//! What the machine did to everybody while something was measured: a thread that only sleeps, and how late it woke (the idea of Gil Tene's jHiccup);
//! and a thread that now and then writes one block durably, and how long the disk let it wait.

use engine::log::{AlignedBuffer, BLOCK_BYTES};
use rustix::fs::OFlags;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// What the first sleeps each time.
const NAP: Duration = Duration::from_millis(1);
/// Pause of the second between two writes: 50 a second weigh nothing beside a log's thousands.
const WRITE_PAUSE: Duration = Duration::from_millis(20);

/// Both threads, until they are asked for their results.
pub(crate) struct Hiccups {
    sleeping: Watch,
    writing: Watch,
}

/// The worst that each met, microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worst {
    /// By how much the sleeper woke late.
    pub(crate) sleep_us: f64,
    /// How long a durable write of one block took.
    pub(crate) write_us: f64,
}

impl Hiccups {
    /// `folder` is on the disk to be watched.
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks and waits")]
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        let file = one_block(&folder.join("hiccup"))?;
        let block = AlignedBuffer::new(BLOCK_BYTES);
        let sleeping = Watch::start(|| {
            let begun = Instant::now();
            std::thread::sleep(NAP);
            Some(begun.elapsed().saturating_sub(NAP))
        });
        let writing = Watch::start(move || {
            std::thread::sleep(WRITE_PAUSE);
            let begun = Instant::now();
            // A disk that fails ends the engine, which tells of it.
            file.write_all_at(block.bytes(), 0).ok().map(|()| begun.elapsed())
        });
        Ok(Self { sleeping, writing })
    }

    /// Forgets what was before the measurement.
    pub(crate) fn reset(&self) {
        self.sleeping.worst_us.store(0, Ordering::Relaxed);
        self.writing.worst_us.store(0, Ordering::Relaxed);
    }

    pub(crate) fn stop(self) -> Worst {
        Worst { sleep_us: self.sleeping.stop(), write_us: self.writing.stop() }
    }
}

/// A file of one block that was written before, open for durable writes past the page cache, as the log's are.
fn one_block(path: &Path) -> io::Result<File> {
    std::fs::write(path, vec![0; BLOCK_BYTES])?;
    File::open(path)?.sync_all()?;
    let flags = OFlags::DIRECT | OFlags::DSYNC;
    OpenOptions::new().write(true).custom_flags(flags.bits() as i32).open(path)
}

/// A thread that does one thing again and again, and keeps the longest it took.
struct Watch {
    worst_us: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watch {
    fn start(mut once: impl FnMut() -> Option<Duration> + Send + 'static) -> Self {
        let (worst_us, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (worst, end) = (Arc::clone(&worst_us), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            // Relaxed, here and below: the numbers guard no other memory.
            while !end.load(Ordering::Relaxed) {
                if let Some(took) = once() {
                    worst.fetch_max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            }
        });
        Self { worst_us, ended, thread }
    }

    fn stop(self) -> f64 {
        self.ended.store(true, Ordering::Relaxed);
        // It does nothing that could panic.
        let _ = self.thread.join();
        self.worst_us.load(Ordering::Relaxed) as f64
    }
}
