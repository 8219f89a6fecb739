//! The log's writes: batches into ordinary files, durable when reported.
//!
//! Path: the loop → [`Disk::write`] → a thread that writes what has gathered and syncs once → a queue that wakes the loop → [`Disk::report`];
//! [`Disk::prepare`] → another thread, which makes segments; [`Disk::files`] → a third, which does the steps of jobs ([`files::perform`]).
//! Bounds: the core has [`IN_FLIGHT_MAX`](crate::log::IN_FLIGHT_MAX) batches, one segment and [`FILE_JOBS_MAX`](crate::shard::files::FILE_JOBS_MAX) jobs
//! on their way. A failed or short write or a failed sync ends the process here; it is never tried again. Only room that cannot be had for a new segment is
//! reported, and whatever becomes of files beside the log.
//!
//! The order of two batches under way does not matter: each is reported when its own bytes are durable, and what follows a hole in the log is cut
//! when it is read.

use std::{
    cell::RefCell,
    fs::File,
    future::pending,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use crate::log::{SealedBatch, SegmentNumber, SegmentPlan};
use crate::shard::{
    Input,
    drivers::{
        end_process, files,
        segments::{Access, FILL_PAUSE, NotAllocated, allocate},
        turns::{self, EndOnPanic},
    },
    files::{FileJob, FilesResult, JobId},
};
use wire::ShardId;

/// A batch and the segment it goes into.
struct Write {
    batch: SealedBatch,
    file: Arc<File>,
}

/// What the threads tell the loop.
enum Report {
    Written(SealedBatch),
    Prepared(SegmentPlan, File),
    NotPrepared(SegmentPlan),
    Files(JobId, FilesResult),
}

/// The loop's side of the disk. Everything announces itself.
pub(super) struct Disk {
    /// `None` when it is being dropped.
    writes: Option<mpsc::Sender<Write>>,
    plans: Option<mpsc::Sender<(SegmentPlan, Duration)>>,
    jobs: Option<mpsc::Sender<FileJob>>,
    reports: flume::Receiver<Report>,
    /// Taken off the queue while waiting.
    early: RefCell<Option<Report>>,
    /// Segments open for writing: the one in use and the one after it.
    open: Vec<(SegmentNumber, Arc<File>)>,
    /// Batches, segments and jobs not reported yet.
    under_way: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Disk {
    /// Starts the three threads.
    ///
    /// # Errors
    /// When the system has none.
    pub(super) fn start(shard: ShardId, data: &Path) -> io::Result<Self> {
        let ((writes, to_write), (plans, to_prepare), (jobs, to_do)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
        let (written, reports) = flume::unbounded();
        let (prepared, done) = (written.clone(), written.clone());
        let data: Arc<Path> = data.into();
        let of_jobs = Arc::clone(&data);
        let mut disk = Self {
            writes: Some(writes),
            plans: Some(plans),
            jobs: Some(jobs),
            reports,
            early: RefCell::new(None),
            open: Vec::new(),
            under_way: 0,
            threads: Vec::new(),
        };
        disk.thread("log-write", shard, move || write_batches(&to_write, &written))?;
        disk.thread("log-prepare", shard, move || prepare_segments(&data, &to_prepare, &prepared))?;
        disk.thread("files", shard, move || do_jobs(&of_jobs, &to_do, &done))?;
        Ok(disk)
    }

    fn thread(&mut self, name: &str, shard: ShardId, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _fault = EndOnPanic(shard);
            work();
        })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl turns::Disk for Disk {
    fn write(&mut self, batch: SealedBatch) {
        // Segments before this one get no more writes; those under way keep their file.
        self.open.retain(|(number, _)| *number >= batch.segment);
        let file = self.open.first().filter(|(number, _)| *number == batch.segment).map(|(_, file)| Arc::clone(file));
        let Some(file) = file else {
            end_process(&format!("batch {} wants log segment {}, which is not open", batch.number, batch.segment.0))
        };
        self.under_way += 1;
        let writes = self.writes.as_ref().expect("taken by drop alone");
        writes.send(Write { batch, file }).expect("its thread ends after this, or with the process");
    }

    fn prepare(&mut self, plan: SegmentPlan) {
        self.under_way += 1;
        // The first segment of a start is waited for.
        let pause = if self.open.is_empty() { Duration::ZERO } else { FILL_PAUSE };
        let plans = self.plans.as_ref().expect("taken by drop alone");
        plans.send((plan, pause)).expect("its thread ends after this, or with the process");
    }

    fn files(&mut self, job: FileJob) {
        self.under_way += 1;
        let jobs = self.jobs.as_ref().expect("taken by drop alone");
        jobs.send(job).expect("its thread ends after this, or with the process");
    }

    fn report(&mut self) -> Option<Input> {
        let report = self.early.take().or_else(|| self.reports.try_recv().ok())?;
        self.under_way -= 1;
        Some(match report {
            Report::Written(batch) => Input::Written(batch),
            Report::Prepared(plan, file) => {
                self.open.push((plan.number, Arc::new(file)));
                Input::Prepared(plan)
            }
            Report::NotPrepared(plan) => Input::NotPrepared(plan),
            Report::Files(id, result) => Input::FilesDone { id, result },
        })
    }

    async fn reported(&self) {
        if self.early.borrow().is_some() {
            return;
        }
        match self.reports.recv_async().await {
            Ok(report) => *self.early.borrow_mut() = Some(report),
            // The threads end after this.
            Err(flume::RecvError::Disconnected) => pending().await,
        }
    }

    fn must_be_looked_at(&self) -> bool {
        false
    }

    fn is_idle(&self) -> bool {
        self.under_way == 0
    }
}

impl Drop for Disk {
    /// Waits for what is under way: whoever opens the folder next must not meet a late write.
    fn drop(&mut self) {
        (self.writes, self.plans, self.jobs) = (None, None, None);
        for thread in self.threads.drain(..) {
            // A panic on it has ended the process.
            let _ = thread.join();
        }
    }
}

/// Writes what has gathered, syncs each file once, and reports.
fn write_batches(to_write: &mpsc::Receiver<Write>, written: &flume::Sender<Report>) {
    while let Ok(first) = to_write.recv() {
        let writes: Vec<Write> = std::iter::once(first).chain(to_write.try_iter()).collect();
        for Write { batch, file } in &writes {
            if let Err(error) = file.write_all_at(batch.bytes(), batch.offset) {
                let (segment, offset, bytes) = (batch.segment.0, batch.offset, batch.bytes().len());
                end_process(&format!("writing {bytes} bytes at byte {offset} of log segment {segment} failed: {error}"));
            }
        }
        for (at, Write { batch, file }) in writes.iter().enumerate() {
            // The last into its file: one sync covers those before.
            if writes[at + 1..].iter().any(|later| Arc::ptr_eq(&later.file, file)) {
                continue;
            }
            if let Err(error) = file.sync_data() {
                end_process(&format!("syncing log segment {} up to batch {} failed: {error}", batch.segment.0, batch.number));
            }
        }
        for Write { batch, .. } in writes {
            // A loop that is gone wants no report.
            let _ = written.send(Report::Written(batch));
        }
    }
}

fn do_jobs(data: &Path, to_do: &mpsc::Receiver<FileJob>, done: &flume::Sender<Report>) {
    while let Ok(job) = to_do.recv() {
        // A loop that is gone wants no report.
        let _ = done.send(Report::Files(job.id, files::perform(data, &job)));
    }
}

fn prepare_segments(data: &Path, to_prepare: &mpsc::Receiver<(SegmentPlan, Duration)>, prepared: &flume::Sender<Report>) {
    while let Ok((plan, pause)) = to_prepare.recv() {
        let report = match allocate(data, &plan, pause, Access::Cached) {
            Ok(file) => Report::Prepared(plan, file),
            Err(NotAllocated::NoRoom(error)) => {
                tracing::debug!(%error, path = plan.path, bytes = plan.bytes, "no room for a log segment");
                Report::NotPrepared(plan)
            }
            Err(NotAllocated::NotDurable(error)) => end_process(&format!("log segment {} cannot be made durable: {error}", plan.path)),
        };
        // A loop that is gone wants no report.
        let _ = prepared.send(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogIdentity, Record, SEGMENT_BYTES_MIN, Salt, Start, Writer};
    use futures_lite::future::block_on;
    use turns::Disk as _;

    fn report(disk: &mut Disk) -> Input {
        block_on(disk.reported());
        disk.report().expect("it was waited for")
    }

    #[test]
    fn what_is_reported_is_in_the_file_and_dropping_waits_for_the_rest() {
        let data = tempfile::tempdir().expect("a folder");
        let mut disk = Disk::start(ShardId(0), data.path()).expect("threads");
        assert!(disk.is_idle() && disk.report().is_none());
        let identity = LogIdentity { folder: 1, generation: 1, shard: 0, shards: 1 };
        let mut writer = Writer::new(identity, SEGMENT_BYTES_MIN, Start::fresh());
        let plan = writer.needs_segment().expect("a first segment");
        let path = data.path().join(&plan.path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        disk.prepare(plan.clone());
        assert!(matches!(report(&mut disk), Input::Prepared(prepared) if prepared == plan));
        writer.segment_ready(plan.number, Salt(7));
        for _ in 0..2 {
            let _ = writer.append(Record::entry(0, 1, 1, 1, b"a body")).expect("room");
            disk.write(writer.seal().expect("a batch"));
        }
        for _ in 0..2 {
            let Input::Written(batch) = report(&mut disk) else { panic!("a batch was written") };
            let file = std::fs::read(&path).expect("the segment");
            let at = usize::try_from(batch.offset).expect("small");
            assert_eq!(file[at..at + batch.bytes().len()], *batch.bytes());
            let _durable = writer.durable(batch.number);
        }
        assert!(disk.is_idle());
        let _ = writer.append(Record::entry(0, 1, 2, 1, b"the last")).expect("room");
        let last = writer.seal().expect("a batch");
        let (at, wanted) = (usize::try_from(last.offset).expect("small"), last.bytes().to_vec());
        disk.write(last);
        drop(disk);
        assert_eq!(std::fs::read(&path).expect("the segment")[at..at + wanted.len()], wanted);
    }
}
