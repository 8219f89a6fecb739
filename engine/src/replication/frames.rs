//! What goes to a node in one turn, as bodies of frames.
//!
//! Path: [`NodeBatch`] → [`NodeBatch::frames`] → one or more bodies for each lane → the link. What must not wait (votes, heartbeats, acknowledgements, few entries) goes
//! in the urgent lane, so that it overtakes what a node that is far behind gets: Raft bears it that messages overtake each other, at worst it sends some again.
//! Bounds: [`URGENT_MESSAGE_BYTES_MAX`] for a message of the urgent lane; [`MESSAGES_MAX`], [`BODY_BYTES_MAX`] for a body.

use super::message::{Body, GroupMessage, MESSAGES_MAX, NodeBatch, RaftMessage};
use wire::frame::{Lane, NODE_BYTES_MAX, NODE_URGENT_BYTES_MAX};

/// A message with more is bulk: a follower to which so much goes at once is behind anyway.
const URGENT_MESSAGE_BYTES_MAX: usize = 64 << 10;
/// Bytes of what the messages of one body carry; one that alone has more has a body of its own. A quarter is left for what is around it.
const BODY_BYTES_MAX: usize = NODE_URGENT_BYTES_MAX / 4 * 3;
/// What a message takes beside what it carries, and an entry, at most.
const MESSAGE_BYTES: usize = 256;
const ENTRY_BYTES: usize = 64;
const _: () =
    assert!(crate::log::RECORD_BODY_BYTES_MAX + super::group::MESSAGE_BYTES_MAX as usize <= NODE_BYTES_MAX / 2, "one message fits a frame");

impl NodeBatch {
    /// The bodies to send, each with its lane, in the order of the messages of a lane.
    #[must_use]
    pub fn frames(self) -> Vec<(Lane, Vec<u8>)> {
        let Self { incarnation, wall_ms, messages } = self;
        let (mut urgent, mut bulk) = (Gathered::default(), Gathered::default());
        let mut frames = Vec::new();
        for message in messages {
            let bytes = bytes_of(&message);
            let is_urgent = bytes <= URGENT_MESSAGE_BYTES_MAX && !matches!(message.body, Body::Part(_));
            let (lane, gathered) = if is_urgent { (Lane::Urgent, &mut urgent) } else { (Lane::Bulk, &mut bulk) };
            if gathered.is_full(bytes) {
                frames.push((lane, encode(incarnation, wall_ms, std::mem::take(gathered))));
            }
            gathered.bytes += bytes;
            gathered.messages.push(message);
        }
        for (lane, gathered) in [(Lane::Urgent, urgent), (Lane::Bulk, bulk)] {
            if !gathered.messages.is_empty() {
                frames.push((lane, encode(incarnation, wall_ms, gathered)));
            }
        }
        frames
    }
}

#[derive(Default)]
struct Gathered {
    messages: Vec<GroupMessage>,
    bytes: usize,
}

impl Gathered {
    fn is_full(&self, more: usize) -> bool {
        !self.messages.is_empty() && (self.bytes + more > BODY_BYTES_MAX || self.messages.len() == MESSAGES_MAX)
    }
}

fn encode(incarnation: u64, wall_ms: u64, gathered: Gathered) -> Vec<u8> {
    NodeBatch { incarnation, wall_ms, messages: gathered.messages }.encode()
}

/// What it takes, roughly and not less.
fn bytes_of(message: &GroupMessage) -> usize {
    let raft = |raft: &RaftMessage| raft.context.len() + raft.entries.iter().map(|entry| entry.body.len() + ENTRY_BYTES).sum::<usize>();
    MESSAGE_BYTES
        + match &message.body {
            Body::Raft(message) => raft(message),
            Body::Part(part) => part.bytes.len() + raft(&part.message),
            Body::Ask { question, .. } => question.len(),
            Body::Answer { answer, .. } => answer.len(),
            Body::Lost { .. } | Body::Fence { .. } | Body::Stands { .. } | Body::Taken { .. } => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::Place;
    use bytes::Bytes;

    fn ask(id: u64, bytes: usize) -> GroupMessage {
        GroupMessage { group: 1, body: Body::Ask { id, shard: 0, question: Bytes::from(vec![7; bytes]) } }
    }

    fn ids(body: &[u8]) -> Vec<u64> {
        let batch = NodeBatch::decode(body).expect("reads");
        assert_eq!((batch.incarnation, batch.wall_ms), (3, 9));
        let id = |message: &GroupMessage| match &message.body {
            Body::Ask { id, .. } => *id,
            _ => 0,
        };
        batch.messages.iter().map(id).collect()
    }

    fn frames(messages: Vec<GroupMessage>) -> Vec<(Lane, Vec<u8>)> {
        NodeBatch { incarnation: 3, wall_ms: 9, messages }.frames()
    }

    #[test]
    fn what_is_long_does_not_hold_up_what_is_urgent() {
        let lost = GroupMessage { group: 1, body: Body::Lost { last: Place { term: 1, index: 1 }, term: 1 } };
        let frames = frames(vec![ask(1, 10), ask(2, 1 << 20), lost, ask(3, 10), ask(4, 3 << 20)]);
        let all: Vec<(Lane, Vec<u64>)> = frames.iter().map(|(lane, body)| (*lane, ids(body))).collect();
        assert_eq!(all, [(Lane::Bulk, vec![2]), (Lane::Urgent, vec![1, 0, 3]), (Lane::Bulk, vec![4])]);
    }

    #[test]
    fn no_body_is_longer_than_its_lane_takes() {
        let many = (0..400).map(|id| ask(id + 1, 50_000)).chain((0..40_000).map(|id| ask(1_000 + id, 0))).collect();
        let (mut next, frames) = (0, frames(many));
        assert!(frames.len() > 20);
        for (lane, body) in frames {
            assert!(lane == Lane::Urgent && body.len() <= NODE_URGENT_BYTES_MAX, "{} bytes", body.len());
            for id in ids(&body) {
                assert!(id > next, "in order");
                next = id;
            }
        }
    }
}
