//! A thread that only sleeps, and how late it woke: what the machine did to everybody (the idea of Gil Tene's jHiccup).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// What it sleeps each time.
const NAP: Duration = Duration::from_millis(1);

/// The thread, until it is asked for its result.
pub(crate) struct Hiccups {
    worst_us: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Hiccups {
    #[expect(clippy::disallowed_methods, reason = "a measuring program reads clocks and waits")]
    pub(crate) fn start() -> Self {
        let (worst_us, ended) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (worst, end) = (Arc::clone(&worst_us), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let begun = Instant::now();
                std::thread::sleep(NAP);
                let late = begun.elapsed().saturating_sub(NAP);
                worst.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self { worst_us, ended, thread }
    }

    /// Forgets what was before the measurement.
    pub(crate) fn reset(&self) {
        self.worst_us.store(0, Ordering::Relaxed);
    }

    /// The worst, microseconds.
    pub(crate) fn stop(self) -> f64 {
        self.ended.store(true, Ordering::Relaxed);
        // It does nothing that could panic.
        let _ = self.thread.join();
        self.worst_us.load(Ordering::Relaxed) as f64
    }
}
