//! What the crate `raft` tells of itself, passed on to the program's own log.

use slog::{Drain, Level, Logger, Never, OwnedKVList, Record, o};

struct ToTracing;

impl Drain for ToTracing {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, _values: &OwnedKVList) -> Result<(), Never> {
        match record.level() {
            Level::Critical | Level::Error => tracing::error!(target: "raft", "{}", record.msg()),
            Level::Warning => tracing::warn!(target: "raft", "{}", record.msg()),
            Level::Info | Level::Debug | Level::Trace => tracing::debug!(target: "raft", "{}", record.msg()),
        }
        Ok(())
    }
}

/// One for all groups of a thread.
pub(super) fn logger() -> Logger {
    thread_local! {
        static LOGGER: Logger = Logger::root(ToTracing, o!());
    }
    LOGGER.with(Logger::clone)
}
