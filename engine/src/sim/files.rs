//! Jobs with files beside the log, as the real drivers do them: in the background, one after the other, step by step.
//!
//! Path: [`World::files_asked`] → the shard's queue → [`World::file_step`], one event a step, so that a crash comes between any two → `FilesDone`.
//! A disk without room, and one that fails, end a job at that step. Writes go to the page cache: durable is what a step synced.

use super::{
    machine::{Machine, MachineId},
    world::{Event, World},
};
use crate::shard::{
    Input,
    files::{FileError, FileJob, FileStep},
};
use std::{collections::VecDeque, io};

/// The jobs of one shard.
#[derive(Default)]
pub(super) struct Files {
    jobs: VecDeque<FileJob>,
    /// Steps of the first that are done, and what they read.
    done: usize,
    read: Vec<Vec<u8>>,
}

impl World {
    /// The core gives a job.
    pub(super) fn files_asked(&mut self, machine: MachineId, shard: u16, job: FileJob) {
        let Some(node) = &mut self.machines[machine].node else { return };
        let files = &mut node.shards[usize::from(shard)].files;
        files.jobs.push_back(job);
        if files.jobs.len() == 1 {
            self.next_step(machine, shard);
        }
    }

    fn next_step(&mut self, machine: MachineId, shard: u16) {
        let Machine { life, trouble, .. } = &self.machines[machine];
        let life = *life;
        let delay = if trouble.slow_disk > 0 { self.random.between(1_000, 100_000) } else { self.random.between(20, 2_000) };
        self.schedule(delay, Event::FileStep { machine, life, shard });
    }

    /// The next step of a shard's first job is done.
    pub(super) fn file_step(&mut self, machine: MachineId, shard: u16) {
        if !self.acts(machine) {
            return;
        }
        let place = usize::from(shard);
        let of = &mut self.machines[machine];
        let Some(node) = &of.node else { return };
        let files = &node.shards[place].files;
        let Some(job) = files.jobs.front() else { return };
        let (id, step) = (job.id, job.steps.get(files.done).cloned());
        let done = step.map(|step| of.do_step(&step));
        let Some(node) = &mut of.node else { return };
        let files = &mut node.shards[place].files;
        let result = match done {
            Some(Ok(read)) => {
                files.done += 1;
                files.read.extend(read);
                return self.next_step(machine, shard);
            }
            Some(Err(error)) => Err(error),
            None => Ok(()),
        };
        files.jobs.pop_front();
        files.done = 0;
        let read = std::mem::take(&mut files.read);
        let has_more = !files.jobs.is_empty();
        self.trace_of(machine, 10, id.0);
        self.deliver(machine, shard, Input::FilesDone { id, result: result.map(|()| read) });
        if has_more {
            self.next_step(machine, shard);
        }
    }
}

impl Machine {
    fn do_step(&mut self, step: &FileStep) -> Result<Option<Vec<u8>>, FileError> {
        let failed = |path: &str, doing| FileError::Failed {
            path: path.to_owned(),
            doing,
            cause: io::Error::other("the disk of the simulation fails"),
        };
        if std::mem::take(&mut self.trouble.files_fail) {
            let (FileStep::Write { path, .. }
            | FileStep::Sync { path }
            | FileStep::Rename { from: path, .. }
            | FileStep::SyncFolder { path }
            | FileStep::Remove { path }
            | FileStep::Read { path, .. }) = step;
            return Err(failed(path, "used"));
        }
        match step {
            FileStep::Write { path, offset, bytes, create } => {
                if self.trouble.full_disk > 0 {
                    return Err(FileError::NoRoom { path: path.clone(), cause: io::ErrorKind::StorageFull.into() });
                }
                let mut disk = self.disk.0.borrow_mut();
                if *create {
                    disk.make_empty(path);
                }
                if !disk.write_cached(path, *offset, bytes.clone()) {
                    return Err(failed(path, "written"));
                }
                Ok(None)
            }
            FileStep::Sync { path } => {
                let mut disk = self.disk.0.borrow_mut();
                if !disk.has(path) {
                    return Err(failed(path, "synced"));
                }
                disk.sync(path);
                Ok(None)
            }
            FileStep::Rename { from, to } => {
                if self.disk.0.borrow_mut().rename(from, to) {
                    Ok(None)
                } else {
                    Err(failed(from, "renamed"))
                }
            }
            FileStep::SyncFolder { path } => {
                self.disk.0.borrow_mut().sync_names(path);
                Ok(None)
            }
            FileStep::Remove { path } => {
                self.released(path);
                self.disk.0.borrow_mut().remove(path);
                Ok(None)
            }
            FileStep::Read { path, offset, bytes } => {
                let mut read = vec![0; *bytes];
                let cause = self.disk.0.borrow_mut().read(path, *offset, &mut read);
                match cause {
                    Ok(()) => Ok(Some(read)),
                    Err(cause) => Err(FileError::Failed { path: path.clone(), doing: "read", cause }),
                }
            }
        }
    }
}
