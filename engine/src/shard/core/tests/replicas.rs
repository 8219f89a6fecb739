//! A core as one node of three: what it says, and that it comes to rest.

use super::{FOR_EVER, SEGMENT_BYTES, config, identity};
use crate::{
    events::Catalog,
    log::{Start, Writer},
    replication::message::{Body, GroupMessage, Kind, NodeBatch, RaftMessage},
    shard::{
        Input, Now, Output,
        core::{Builder, Cluster, Config, ShardCore},
        files::FileJob,
    },
    shared::Shared,
};
use std::{collections::VecDeque, sync::Arc};
use wire::{Millis, NodeId};

/// What the core says to other nodes; the disk does what it is told at once.
fn run(core: &mut ShardCore, now: &mut Now, input: Input) -> Vec<(NodeId, NodeBatch)> {
    let (mut inputs, mut said) = (VecDeque::from([input]), Vec::new());
    while let Some(input) = inputs.pop_front() {
        now.mono_us += 1;
        core.handle(*now, input);
        while let Some(output) = core.poll_output() {
            match output {
                Output::Write(batch) => inputs.push_back(Input::Written(batch)),
                Output::Prepare(plan) => inputs.push_back(Input::Prepared(plan)),
                Output::Files(FileJob { id, .. }) => inputs.push_back(Input::FilesDone { id, result: Ok(Vec::new()) }),
                Output::Node { to, batch } => said.push((to, batch)),
                Output::Peers(_) => {}
                Output::Reply { .. } | Output::Peer { .. } => panic!("nobody asks, and there is one shard"),
            }
        }
    }
    said
}

/// Time for a mark to be made, and far less than an election waits.
fn rest(core: &mut ShardCore, now: &mut Now) {
    for _ in 0..4 {
        now.mono_us += 5_000;
        run(core, now, Input::Tick);
    }
}

#[test] // It had waited for ever for a mark that is there already, and with it an orderly end.
fn a_vote_that_is_proven_is_the_last_word_of_a_log_at_rest() {
    let (me, other) = (NodeId(1), NodeId(2));
    let cluster = Cluster { node: me, incarnation: 1, members: [1, 2, 3].map(NodeId).to_vec(), facts: None, peers: Vec::new() };
    let config = Config { cluster: Some(cluster), events: FOR_EVER, ..config(0, 1, &Arc::new(Shared::default()), SEGMENT_BYTES) };
    let mut now = Now { wall: Millis(1_800_000_000_000), mono_us: 0 };
    let writer = Writer::new(identity(1, 0, 1), SEGMENT_BYTES, Start::fresh());
    let mut core = Builder::new(config, Arc::new(Catalog::default())).finish(writer, now, [0; 32]);
    // What it says at the start is in the log, and marked.
    rest(&mut core, &mut now);
    assert!(core.is_idle());
    let vote = RaftMessage {
        kind: Kind::Vote,
        term: 7,
        log_term: 0,
        index: 0,
        commit: 0,
        commit_term: 0,
        request_snapshot: 0,
        reject: false,
        reject_hint: 0,
        context: bytes::Bytes::new(),
        entries: Vec::new(),
        snapshot: None,
    };
    let messages = vec![GroupMessage { group: 0, body: Body::Raft(vote) }];
    let batch = NodeBatch { incarnation: 1, wall_ms: now.wall.0, messages };
    let said = run(&mut core, &mut now, Input::Node { from: other, batch });
    let is_vote = |message: &GroupMessage| matches!(&message.body, Body::Raft(raft) if raft.kind == Kind::VoteResponse && !raft.reject);
    assert!(said.iter().any(|(to, batch)| *to == other && batch.messages.iter().any(is_vote)), "{said:?}");
    rest(&mut core, &mut now);
    assert!(core.is_idle(), "nothing is left to be done");
    run(&mut core, &mut now, Input::Drain);
    rest(&mut core, &mut now);
    run(&mut core, &mut now, Input::Close);
    rest(&mut core, &mut now);
    assert!(core.is_settled());
}
