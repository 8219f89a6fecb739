//! The feed: pages of what happened, of all partitions that a reader follows.
//!
//! Path: a cursor → every shard reads its partitions' events from there (`shard/core/feed.rs`) → merged by time, each shard's in the order it gave
//! them → the page, and the cursor behind what is in it. The merge decides nothing that a reader must rely on: a cursor has a place in every
//! partition, so what one page leaves out another has, whatever the shards are by then.

use super::{Head, refused, validate};
use crate::shard::core::{
    ctx::{Ctx, unexpected},
    peer::{Answer, Ask, FeedPart},
};
use std::{collections::VecDeque, sync::Arc};
use wire::{Body, FEED_PARTITIONS_MAX, Failure, FeedCursor, FeedFrom, FeedPage, FeedPlace, FieldError, PartitionId, Refusal};

/// A page from there. Every shard is asked for a whole page, since all of it may be one shard's.
pub(super) async fn page(ctx: &Ctx, head: &Head, from: FeedFrom, limit: u16) -> Result<Body, Failure> {
    head.staff(&[])?;
    validate::page(limit).map_err(refused)?;
    let (epoch, partitions) = ctx.config(|config| (config.epoch, config.partitions));
    let range = |first: PartitionId, count: u16| checked_range(first, count, partitions).map_err(refused);
    let from = match from {
        FeedFrom::Oldest { first, count } => range(first, count).map(|(first, count)| FeedFrom::Oldest { first, count })?,
        FeedFrom::Latest { first, count } => range(first, count).map(|(first, count)| FeedFrom::Latest { first, count })?,
        FeedFrom::After(cursor) => {
            let fits = usize::from(cursor.first.0) + cursor.places.len() <= usize::from(partitions);
            if cursor.partitions != partitions || cursor.places.is_empty() || !fits || cursor.epoch > epoch {
                return Err(refused(Refusal::BadCursor));
            }
            if cursor.epoch < epoch {
                return Err(refused(Refusal::CursorTooOld));
            }
            FeedFrom::After(cursor)
        }
    };
    let (first, count) = match &from {
        FeedFrom::Oldest { first, count } | FeedFrom::Latest { first, count } => (*first, usize::from(*count)),
        FeedFrom::After(cursor) => (cursor.first, cursor.places.len()),
    };
    let mut next = FeedCursor { epoch, partitions, first, places: vec![FeedPlace::default(); count] };
    let mut parts = Vec::new();
    for answer in ctx.ask_all(Ask::Feed { from: Arc::new(from), limit }).await? {
        match answer {
            Answer::Feed(part) => parts.push(*part),
            other => return Err(unexpected(&other)),
        }
    }
    let items = merge(&mut next, parts, usize::from(limit));
    Ok(Body::Feed(Box::new(FeedPage { items, next })))
}

/// Which partitions are meant; all of them by none.
fn checked_range(first: PartitionId, count: u16, partitions: u16) -> Result<(PartitionId, u16), Refusal> {
    let (first, count) = if count == 0 { (PartitionId(0), partitions) } else { (first, count) };
    if count <= FEED_PARTITIONS_MAX && u32::from(first.0) + u32::from(count) <= u32::from(partitions) {
        return Ok((first, count));
    }
    let detail = format!("a range of at most {FEED_PARTITIONS_MAX} of the shop's {partitions} partitions");
    Err(Refusal::Invalid(vec![FieldError { pointer: "/partitions".to_owned(), code: "out_of_range".to_owned(), detail }]))
}

/// The oldest events of all parts, at most `limit`; `next` comes to stand behind them.
fn merge(next: &mut FeedCursor, parts: Vec<FeedPart>, limit: usize) -> Vec<wire::FeedEvent> {
    let mut set = |partition, place: FeedPlace| {
        if let Some(known) = next.place_mut(partition) {
            *known = (*known).max(place);
        }
    };
    let mut queues = Vec::with_capacity(parts.len());
    for FeedPart { begin, events, end } in parts {
        begin.into_iter().for_each(|(partition, place)| set(partition, place));
        queues.push((VecDeque::from(events), end));
    }
    let mut items = Vec::with_capacity(limit);
    while items.len() < limit {
        let oldest = queues.iter_mut().filter(|(events, _)| !events.is_empty());
        let oldest = oldest.min_by_key(|(events, _)| events.front().map(|event| (event.at, event.position.partition)));
        let Some(event) = oldest.and_then(|(events, _)| events.pop_front()) else { break };
        set(event.position.partition, event.place().next());
        items.push(event);
    }
    for (events, end) in queues {
        if events.is_empty() {
            end.into_iter().for_each(|(partition, place)| set(partition, place));
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{EventId, EventKind, FeedEvent, Millis, Position, Seq};

    fn event(partition: u16, seq: u64, at: u64) -> FeedEvent {
        let (partition, seq, at) = (PartitionId(partition), Seq(seq), Millis(at));
        let position = Position { epoch: 1, partition, seq };
        FeedEvent { id: EventId::new(at, partition, seq, 0), position, nth: 0, at, kind: EventKind::OrderPlaced, data: Vec::new() }
    }

    fn at(seq: u64, nth: u32) -> FeedPlace {
        FeedPlace { seq: Seq(seq), nth }
    }

    #[test] // Two shards, partitions 0 and 2, and 1. Each row: a limit, the page as partition:seq, and where each partition then stands.
    fn pages_are_merged_and_nothing_is_passed_over() {
        let parts = || {
            let one = FeedPart {
                begin: vec![(PartitionId(0), at(3, 0)), (PartitionId(2), at(9, 0))],
                events: vec![event(0, 3, 10), event(2, 9, 11), event(0, 5, 40)],
                end: vec![(PartitionId(0), at(8, 0)), (PartitionId(2), at(10, 0))],
            };
            let other = FeedPart {
                begin: vec![(PartitionId(1), at(1, 2))],
                events: vec![event(1, 1, 5), event(1, 4, 30)],
                end: vec![(PartitionId(1), at(6, 0))],
            };
            vec![one, other]
        };
        for (limit, page, places) in [
            (1, "1:1", [at(3, 0), at(1, 2), at(9, 0)]),
            (3, "1:1 0:3 2:9", [at(3, 1), at(1, 2), at(9, 1)]),
            (4, "1:1 0:3 2:9 1:4", [at(3, 1), at(6, 0), at(9, 1)]),
            (9, "1:1 0:3 2:9 1:4 0:5", [at(8, 0), at(6, 0), at(10, 0)]),
        ] {
            let mut next = FeedCursor { epoch: 1, partitions: 3, first: PartitionId(0), places: vec![FeedPlace::default(); 3] };
            let items = merge(&mut next, parts(), limit);
            let items: Vec<String> = items.iter().map(|it| format!("{}:{}", it.position.partition.0, it.position.seq.0)).collect();
            assert_eq!((items.join(" ").as_str(), &next.places[..]), (page, &places[..]), "{limit}");
        }
    }

    #[test]
    fn a_shop_of_many_partitions_is_read_in_parts() {
        assert_eq!(checked_range(PartitionId(0), 0, 64), Ok((PartitionId(0), 64)));
        assert_eq!(checked_range(PartitionId(512), 512, 4_096), Ok((PartitionId(512), 512)));
        for (first, count, partitions) in [(0, 0, 513), (0, 513, 4_096), (63, 2, 64), (64, 1, 64)] {
            assert!(checked_range(PartitionId(first), count, partitions).is_err());
        }
    }
}
