//! The log's writes: batches into preallocated segments, durable when reported.
//!
//! Path: the executor's loop → [`Disk::write`] and [`Disk::prepare`] → a task for each, in the task queues `log` and `background` → one `pwrite` on a
//! thread of the executor's pool, into a file opened with `O_DIRECT` and `O_DSYNC` → [`Input`] in the loop's [`Hand`]. Bounds: the core has
//! one batch and one segment on their way, so [`DISK_THREADS`] threads never wait for each other.
//! A failed or short write or a failed sync ends the process here; it is never tried again. Only room that cannot be had is reported.
//!
//! Why a thread and not the ring: glommio gives direct writes to a ring that must be polled, on any device whose first read it finds in an
//! unwritten extent. There the executor spins while a write is on its way, and takes the core from the kernel's worker that has to
//! finish it. Durable calls a second of one shard with 1 / 16 / 64 / 256 callers in a closed loop, on two cores shared with compilers (load 4
//! to 6; a machine that a shop shares with its gateway is like that), best of two runs: ring 226 / 1,700 / 10,800 / 32,000, thread
//! 382 / 4,800 / 48,000 / 110,000. With real-time priority: ring 546 / 70,000 / 228,000 / 738,000, thread 5,200 / 59,000 / 180,000 / 599,000. So
//! a ring on a core of its own is a fifth faster with very many callers, and up to ten times slower otherwise. The thread also writes the
//! batch from where it is, without a copy.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fs::{File, OpenOptions},
    future::poll_fn,
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};

use glommio::TaskQueueHandle;
use rustix::fs::FallocateFlags;

use super::end_process;
use crate::log::{SealedBatch, SegmentNumber, SegmentPlan};
use crate::shard::Input;

/// Threads an executor needs for the disk: one writes, one prepares.
pub(super) const DISK_THREADS: usize = 2;

/// Hands things from one task of an executor to another. One taker.
pub(super) struct Hand<T> {
    things: RefCell<VecDeque<T>>,
    taker: Cell<Option<Waker>>,
}

impl<T> Hand<T> {
    fn new() -> Rc<Self> {
        Rc::new(Self { things: RefCell::new(VecDeque::new()), taker: Cell::new(None) })
    }

    fn put(&self, thing: T) {
        self.things.borrow_mut().push_back(thing);
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }

    fn try_take(&self) -> Option<T> {
        self.things.borrow_mut().pop_front()
    }

    /// Waits until there is something, and leaves it there.
    async fn filled(&self) {
        poll_fn(|context| {
            if self.things.borrow().is_empty() {
                self.taker.set(Some(context.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    async fn take(&self) -> T {
        loop {
            self.filled().await;
            if let Some(thing) = self.try_take() {
                return thing;
            }
        }
    }
}

/// Segments open for writing: the one in use and the one after it.
type Open = Rc<RefCell<Vec<(SegmentNumber, Arc<File>)>>>;

/// The loop's side of the disk.
pub(super) struct Disk {
    batches: Rc<Hand<SealedBatch>>,
    plans: Rc<Hand<SegmentPlan>>,
    reports: Rc<Hand<Input>>,
    /// Writes and preparations not reported yet.
    under_way: usize,
}

impl Disk {
    /// Starts the two tasks, on the executor this runs on.
    pub(super) fn start(data: PathBuf, log: TaskQueueHandle, background: TaskQueueHandle) -> Self {
        let (batches, plans, reports) = (Hand::new(), Hand::new(), Hand::new());
        let open = Open::default();
        let writing = write_batches(Rc::clone(&batches), Rc::clone(&open), Rc::clone(&reports));
        let preparing = prepare_segments(data, Rc::clone(&plans), open, Rc::clone(&reports));
        let made = "the task queues were made by this executor";
        glommio::spawn_local_into(writing, log).expect(made).detach();
        glommio::spawn_local_into(preparing, background).expect(made).detach();
        Self { batches, plans, reports, under_way: 0 }
    }

    pub(super) fn write(&mut self, batch: SealedBatch) {
        self.under_way += 1;
        self.batches.put(batch);
    }

    pub(super) fn prepare(&mut self, plan: SegmentPlan) {
        self.under_way += 1;
        self.plans.put(plan);
    }

    /// What was finished.
    pub(super) fn report(&mut self) -> Option<Input> {
        let report = self.reports.try_take()?;
        self.under_way -= 1;
        Some(report)
    }

    /// Waits until there is a report; it stays for [`Disk::report`].
    pub(super) async fn reported(&self) {
        self.reports.filled().await;
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way == 0
    }
}

async fn write_batches(batches: Rc<Hand<SealedBatch>>, open: Open, reports: Rc<Hand<Input>>) {
    loop {
        let batch = batches.take().await;
        let file = {
            let mut open = open.borrow_mut();
            // Segments before this one get no more writes.
            open.retain(|(number, _)| *number >= batch.segment);
            open.first().filter(|(number, _)| *number == batch.segment).map(|(_, file)| Arc::clone(file))
        };
        let Some(file) = file else {
            end_process(&format!("batch {} wants log segment {}, which is not open", batch.number, batch.segment.0))
        };
        let (written, batch) = glommio::executor()
            .spawn_blocking(move || {
                let written = file.write_at(batch.bytes(), batch.offset);
                (written, batch)
            })
            .await;
        let (segment, offset, wanted) = (batch.segment.0, batch.offset, batch.bytes().len());
        match written {
            Ok(bytes) if bytes == wanted => reports.put(Input::Written(batch)),
            Ok(bytes) => end_process(&format!("the disk took {bytes} of {wanted} bytes at byte {offset} of log segment {segment}")),
            Err(error) => end_process(&format!("writing {wanted} bytes at byte {offset} of log segment {segment} failed: {error}")),
        }
    }
}

async fn prepare_segments(data: PathBuf, plans: Rc<Hand<SegmentPlan>>, open: Open, reports: Rc<Hand<Input>>) {
    loop {
        let plan = plans.take().await;
        let (path, bytes) = (data.join(&plan.path), plan.bytes);
        match glommio::executor().spawn_blocking(move || allocate(&path, bytes)).await {
            Ok(file) => {
                open.borrow_mut().push((plan.number, Arc::new(file)));
                reports.put(Input::Prepared(plan));
            }
            Err(NotAllocated::NoRoom(error)) => {
                tracing::debug!(%error, path = plan.path, bytes, "no room for a log segment");
                reports.put(Input::NotPrepared(plan));
            }
            Err(NotAllocated::NotDurable(error)) => end_process(&format!("log segment {} cannot be made durable: {error}", plan.path)),
        }
    }
}

enum NotAllocated {
    /// The disk is full, or a quota is used up, or the folder cannot be written.
    NoRoom(io::Error),
    /// A sync failed.
    NotDurable(io::Error),
}

/// Makes the file and its name durable at exactly `bytes`, with all of its blocks, and opens it for the log. It may take milliseconds.
fn allocate(path: &Path, bytes: u64) -> Result<File, NotAllocated> {
    let make = || -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // Left by a crash, under another configuration: its bytes may be anything, its length may not.
        if file.metadata()?.len() > bytes {
            file.set_len(bytes)?;
        }
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
        Ok(file)
    };
    let file = make().map_err(NotAllocated::NoRoom)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    file.sync_all().and_then(|()| File::open(folder)?.sync_all()).map_err(NotAllocated::NotDurable)?;
    let open = |flags| OpenOptions::new().write(true).custom_flags(flags).open(path);
    match open(libc::O_DIRECT | libc::O_DSYNC) {
        // A memory file system of an older kernel; the start lets no other one pass.
        Err(error) if error.kind() == ErrorKind::InvalidInput => open(libc::O_DSYNC),
        opened => opened,
    }
    .map_err(NotAllocated::NoRoom)
}
