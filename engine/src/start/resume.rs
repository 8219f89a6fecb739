//! Where the logs go on after a replay.
//!
//! Path: [`Walked`] → [`has_older`] (then snapshots of everything can take the place of older logs) → [`choose`] (the last generation, or a new one when the number of shards is another) → [`writers`], one a shard, which close what
//! was read with their first writes. Pure: who makes the folders of a new generation, and where, is the caller's.

use super::replay::Walked;
use crate::folder::{Before, Generation, Meta};
use crate::log::{LogIdentity, Record, RecordKind, Start, Tail, Writer};

/// The generation to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The last one goes on.
    Same(Generation),
    /// A new one has to be made, and this becomes of those before it.
    New(Before),
}

/// Would a start with `shards` leave logs behind that are only read, with something in them?
pub(crate) fn has_older(meta: &Meta, shards: u16, walked: &Walked) -> bool {
    (meta.generations.len() > 1 || meta.generations.last().is_some_and(|last| last.shards != shards)) && walked.is_anything()
}

/// Chooses the generation for a start with `shards`. `saved`: every partition has a durable snapshot of all that was walked.
pub(crate) fn choose(meta: &Meta, shards: u16, walked: &Walked, saved: bool) -> Choice {
    match meta.generations.last().copied() {
        Some(last) if last.shards == shards => Choice::Same(last),
        Some(_) if saved => Choice::New(Before::LetGo),
        // It is given up: only one that was written to closes the one before it. A torn first write was not acknowledged.
        Some(last) if walked.is_empty(last) => Choice::New(Before::Replaced),
        Some(_) | None => Choice::New(Before::Kept),
    }
}

/// The writers of `generation`, the last in `meta`, one a shard.
///
/// # Panics
/// When some log of the last two generations was not walked.
pub(crate) fn writers(meta: &Meta, generation: Generation, walked: &Walked, segment_bytes: u64) -> Vec<Writer> {
    let before = meta.generations.iter().rev().nth(1).copied();
    let tail_of = |generation: Generation, shard| walked.tails.get(&(generation.number, shard));
    let ends = |generation: Generation| -> Vec<&(LogIdentity, Tail)> {
        (0..generation.shards).map(|shard| tail_of(generation, shard).expect("every log of every generation was read")).collect()
    };
    let writer = |shard| {
        let tail = tail_of(generation, shard).map(|(_, tail)| tail);
        let mut start = tail.map_or_else(Start::fresh, Tail::start);
        let is_first = tail.is_none_or(|tail| tail.place.is_none());
        if is_first && let Some(before) = before {
            // What damage may have taken from the logs before this one is missing here too.
            start = start.behind(ends(before).into_iter().map(|(_, tail)| tail));
        }
        let mut writer = Writer::new(meta.log(generation, shard), segment_bytes, start);
        if let Some(segments) = walked.segments.get(&(generation.number, shard)) {
            writer.adopt(segments.clone());
        }
        if before.is_some() {
            writer.keep_all();
        }
        if is_first && let Some(before) = before {
            for (log, tail) in ends(before) {
                let body = tail.log_end(log).encode();
                let end = Record { kind: RecordKind::LogEnd, partition: 0, term: 0, index: 0, time_ms: 0, body: &body };
                // They go out with the first batch, before any entry of this log is acknowledged.
                let _appended = writer.append(end).expect("SHARDS_MAX log ends fit an empty batch");
            }
        }
        writer
    };
    (0..generation.shards).map(writer).collect()
}
