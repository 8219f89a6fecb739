//! The log's writes: batches into preallocated segments, durable when reported.
//!
//! Path: the executor's loop → [`Disk::write`] → `ring`, into a file opened with `O_DIRECT` and `O_DSYNC` → [`Disk::report`] in a later turn;
//! [`Disk::prepare`] → a task in the task queue `background` → a thread of the executor's pool that makes a segment ([`allocate`]).
//! [`Disk::files`] → another such task → a thread of the pool that does the steps of the job ([`files::perform`]).
//! Bounds: the core has [`IN_FLIGHT_MAX`](crate::log::IN_FLIGHT_MAX) batches, one segment and [`FILE_JOBS_MAX`](crate::shard::files::FILE_JOBS_MAX) jobs on their way.
//! A failed or short write or a failed sync ends the process here; it is never tried again. Only room that cannot be had for a new segment is reported,
//! and whatever becomes of files beside the log.

use std::{
    cell::RefCell,
    fs::File,
    io,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use glommio::TaskQueueHandle;

use super::ring::LogRing;
use crate::log::{SealedBatch, SegmentNumber, SegmentPlan};
use crate::shard::{
    Input,
    drivers::{
        end_process, files,
        hand::Hand,
        segments::{Access, FILL_PAUSE, NotAllocated, allocate},
        turns,
    },
    files::FileJob,
};

/// Threads an executor needs for the disk: one that prepares segments, and one for files beside the log, so that neither waits for the other.
pub(super) const DISK_THREADS: usize = 2;

/// Segments open for writing: the one in use and the one after it.
type Open = Rc<RefCell<Vec<(SegmentNumber, Arc<File>)>>>;

/// The loop's side of the disk: writes are looked for, what is done in the background announces itself.
pub(super) struct Disk {
    ring: LogRing,
    open: Open,
    plans: Rc<Hand<SegmentPlan>>,
    jobs: Rc<Hand<FileJob>>,
    /// What the tasks in the background finished.
    done: Rc<Hand<Input>>,
    /// Things the tasks in the background have to do.
    in_background: usize,
}

impl Disk {
    /// Makes the ring and starts the tasks in the background, on the executor this runs on.
    ///
    /// # Errors
    /// The kernel's, when a ring cannot be had.
    pub(super) fn start(data: PathBuf, background: TaskQueueHandle) -> io::Result<Self> {
        let (plans, jobs, done, open) = (Hand::new(), Hand::new(), Hand::new(), Open::default());
        let ring = LogRing::new()?;
        let data: Arc<Path> = data.into();
        let preparing = prepare_segments(Arc::clone(&data), Rc::clone(&plans), Rc::clone(&open), Rc::clone(&done));
        let performing = perform_jobs(data, Rc::clone(&jobs), Rc::clone(&done));
        let ours = "the task queue was made by this executor";
        glommio::spawn_local_into(preparing, background).expect(ours).detach();
        glommio::spawn_local_into(performing, background).expect(ours).detach();
        Ok(Self { ring, open, plans, jobs, done, in_background: 0 })
    }
}

impl turns::Disk for Disk {
    fn write(&mut self, batch: SealedBatch) {
        let file = {
            let mut open = self.open.borrow_mut();
            // Segments before this one get no more writes; those under way keep their file.
            open.retain(|(number, _)| *number >= batch.segment);
            open.first().filter(|(number, _)| *number == batch.segment).map(|(_, file)| Arc::clone(file))
        };
        let (number, segment) = (batch.number, batch.segment.0);
        let Some(file) = file else { end_process(&format!("batch {number} wants log segment {segment}, which is not open")) };
        if let Err(error) = self.ring.write(file, batch) {
            end_process(&format!("batch {number} cannot be given to log segment {segment}: {error}"));
        }
    }

    fn prepare(&mut self, plan: SegmentPlan) {
        self.in_background += 1;
        self.plans.put(plan);
    }

    fn files(&mut self, job: FileJob) {
        self.in_background += 1;
        self.jobs.put(job);
    }

    fn report(&mut self) -> Option<Input> {
        if let Some((batch, written)) = self.ring.finished() {
            let (segment, offset, wanted) = (batch.segment.0, batch.offset, batch.bytes().len());
            return match written {
                Ok(bytes) if bytes == wanted => Some(Input::Written(batch)),
                Ok(bytes) => end_process(&format!("the disk took {bytes} of {wanted} bytes at byte {offset} of log segment {segment}")),
                Err(error) => end_process(&format!("writing {wanted} bytes at byte {offset} of log segment {segment} failed: {error}")),
            };
        }
        let done = self.done.try_take()?;
        self.in_background -= 1;
        Some(done)
    }

    async fn reported(&self) {
        self.done.filled().await;
    }

    fn must_be_looked_at(&self) -> bool {
        self.ring.len() > 0
    }

    fn is_idle(&self) -> bool {
        self.in_background == 0 && self.ring.len() == 0
    }
}

async fn perform_jobs(data: Arc<Path>, jobs: Rc<Hand<FileJob>>, done: Rc<Hand<Input>>) {
    loop {
        let job = jobs.take().await;
        let (id, data) = (job.id, Arc::clone(&data));
        let result = glommio::executor().spawn_blocking(move || files::perform(&data, &job)).await;
        done.put(Input::FilesDone { id, result });
    }
}

async fn prepare_segments(data: Arc<Path>, plans: Rc<Hand<SegmentPlan>>, open: Open, done: Rc<Hand<Input>>) {
    loop {
        let plan = plans.take().await;
        // The first segment of a start is waited for.
        let pause = if open.borrow().is_empty() { Duration::ZERO } else { FILL_PAUSE };
        let (data, planned) = (Arc::clone(&data), plan.clone());
        match glommio::executor().spawn_blocking(move || allocate(&data, &planned, pause, Access::Direct)).await {
            Ok(file) => {
                open.borrow_mut().push((plan.number, Arc::new(file)));
                done.put(Input::Prepared(plan));
            }
            Err(NotAllocated::NoRoom(error)) => {
                tracing::debug!(%error, path = plan.path, bytes = plan.bytes, "no room for a log segment");
                done.put(Input::NotPrepared(plan));
            }
            Err(NotAllocated::NotDurable(error)) => end_process(&format!("log segment {} cannot be made durable: {error}", plan.path)),
        }
    }
}
