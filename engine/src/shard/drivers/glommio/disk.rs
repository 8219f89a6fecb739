//! The log's writes: batches into preallocated segments, durable when reported.
//!
//! Path: the executor's loop → [`Disk::write`] and [`Disk::prepare`] → a task for each, in the task queues `log` and `background` → `O_DIRECT` and
//! `O_DSYNC` by io_uring → [`Input`] in the loop's [`Hand`]. Bounds: the core has one batch and one segment on their way.
//! A failed or short write or a failed sync ends the process here; it is never tried again. Only room that cannot be had is reported.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fs::File,
    future::poll_fn,
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    rc::Rc,
    task::{Poll, Waker},
};

use glommio::{TaskQueueHandle, io::DmaFile};
use rustix::fs::FallocateFlags;

use super::end_process;
use crate::log::{SealedBatch, SegmentNumber, SegmentPlan};
use crate::shard::Input;

/// Hands things from one task of an executor to another. One taker.
pub(super) struct Hand<T> {
    things: RefCell<VecDeque<T>>,
    taker: Cell<Option<Waker>>,
}

impl<T> Hand<T> {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { things: RefCell::new(VecDeque::new()), taker: Cell::new(None) })
    }

    pub(super) fn put(&self, thing: T) {
        self.things.borrow_mut().push_back(thing);
        if let Some(taker) = self.taker.take() {
            taker.wake();
        }
    }

    pub(super) fn try_take(&self) -> Option<T> {
        self.things.borrow_mut().pop_front()
    }

    pub(super) async fn take(&self) -> T {
        poll_fn(|context| match self.try_take() {
            Some(thing) => Poll::Ready(thing),
            None => {
                self.taker.set(Some(context.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

/// Segments open for writing: the one in use and the one after it.
type Open = Rc<RefCell<Vec<(SegmentNumber, Rc<DmaFile>)>>>;

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
        poll_fn(|context| {
            if self.reports.things.borrow().is_empty() {
                self.reports.taker.set(Some(context.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way == 0
    }
}

async fn write_batches(batches: Rc<Hand<SealedBatch>>, open: Open, reports: Rc<Hand<Input>>) {
    loop {
        let batch = batches.take().await;
        let segment = batch.segment;
        // Segments before this one get no more writes.
        let done: Vec<Rc<DmaFile>> = {
            let mut open = open.borrow_mut();
            let first = open.partition_point(|(number, _)| *number < segment);
            open.drain(..first).map(|(_, file)| file).collect()
        };
        for file in done {
            if let Err(error) = file.close_rc().await {
                tracing::debug!(%error, "a full segment's file is not closed");
            }
        }
        if std::env::var("DISK").as_deref() == Ok("c") {
            let path = PathBuf::from(std::env::var("SEGDIR").unwrap_or_default());
            let _ = path;
        }
        let file = open.borrow().first().filter(|(number, _)| *number == segment).map(|(_, file)| Rc::clone(file));
        let Some(file) = file else { end_process(&format!("batch {} wants log segment {}, which is not open", batch.number, segment.0)) };
        if std::env::var("DISK").as_deref() == Ok("c") {
            use std::os::unix::fs::FileExt; use std::os::fd::{AsFd, AsRawFd};
            thread_local! { static F: RefCell<Option<(SegmentNumber, std::sync::Arc<File>)>> = const { RefCell::new(None) }; }
            let f = F.with_borrow_mut(|f| { if f.as_ref().is_none_or(|(n, _)| *n != segment) { let fd = rustix::io::dup(unsafe { std::os::fd::BorrowedFd::borrow_raw(file.as_raw_fd()) }.as_fd()).unwrap(); *f = Some((segment, std::sync::Arc::new(File::from(fd)))); } f.as_ref().unwrap().1.clone() });
            let batch = glommio::executor().spawn_blocking(move || { f.write_all_at(batch.bytes(), batch.offset).unwrap(); batch }).await;
            reports.put(Input::Written(batch));
            continue;
        }
        let bytes = batch.bytes();
        let mut buffer = file.alloc_dma_buffer(bytes.len());
        buffer.as_bytes_mut().copy_from_slice(bytes);
        let (offset, wanted) = (batch.offset, bytes.len());
        match file.write_at(buffer, offset).await {
            Ok(written) if written == wanted => reports.put(Input::Written(batch)),
            Ok(written) => end_process(&format!("the disk took {written} of {wanted} bytes at byte {offset} of log segment {}", segment.0)),
            Err(error) => end_process(&format!("writing {wanted} bytes at byte {offset} of log segment {} failed: {error}", segment.0)),
        }
    }
}

async fn prepare_segments(data: PathBuf, plans: Rc<Hand<SegmentPlan>>, open: Open, reports: Rc<Hand<Input>>) {
    loop {
        let plan = plans.take().await;
        if std::env::var("DISK").as_deref() == Ok("b") { let f = glommio::io::OpenOptions::new().read(true).dma_open(data.join("folder.json")).await.unwrap(); let r = f.read_at_aligned(0, 512).await; eprintln!("{:?}", r.map(|r| r.len())); f.close().await.unwrap(); }
        let path = data.join(&plan.path);
        let bytes = plan.bytes;
        let allocated = {
            let path = path.clone();
            glommio::executor().spawn_blocking(move || allocate(&path, bytes)).await
        };
        match allocated {
            Ok(()) => {}
            Err(NotAllocated::NoRoom(error)) => {
                tracing::debug!(%error, path = plan.path, bytes, "no room for a log segment");
                reports.put(Input::NotPrepared(plan));
                continue;
            }
            Err(NotAllocated::NotDurable(error)) => end_process(&format!("{} cannot be made durable: {error}", path.display())),
        }
        let opened = glommio::io::OpenOptions::new().read(true).write(true).custom_flags(libc::O_DSYNC).dma_open(&path).await;
        match opened {
            Ok(file) => {
                open.borrow_mut().push((plan.number, Rc::new(file)));
                reports.put(Input::Prepared(plan));
            }
            Err(error) => {
                tracing::error!(%error, path = plan.path, "a log segment cannot be opened");
                reports.put(Input::NotPrepared(plan));
            }
        }
    }
}

enum NotAllocated {
    /// The disk is full, or a quota is used up, or the folder cannot be written.
    NoRoom(io::Error),
    /// A sync failed.
    NotDurable(io::Error),
}

/// Makes the file and its name durable at exactly `bytes`, with all of its blocks. On a thread of its own: it may take milliseconds.
fn allocate(path: &Path, bytes: u64) -> Result<(), NotAllocated> {
    let make = || -> io::Result<File> {
        let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // Left by a crash, under another configuration: its bytes may be anything, its length may not.
        if file.metadata()?.len() > bytes {
            file.set_len(bytes)?;
        }
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes)?;
        Ok(file)
    };
    let file = make().map_err(NotAllocated::NoRoom)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    file.sync_all().and_then(|()| File::open(folder)?.sync_all()).map_err(NotAllocated::NotDurable)
}
