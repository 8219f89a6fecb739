//! Groups on a network and disks in memory: what each of them does by itself. Whole clusters with faults are the simulator's.

use super::{
    LogEntry, Membership, NodeId, Place,
    change::{Change, Step},
    group::{Begin, Group, NotTaken, Then},
    message::{self, Body, GroupMessage, NodeBatch},
    tail::{Snapshot, Tail},
};
use crate::log::EntryVariant;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::Millis;

/// One node: its replica, and a disk that takes what it is given at once or when it is told.
struct Node {
    group: Group,
    incarnation: u64,
    /// As durable.
    log: BTreeMap<u64, LogEntry>,
    hard: super::HardState,
    membership: (u64, Membership),
    /// Commands applied, in order.
    applied: Vec<Vec<u8>>,
    applied_index: u64,
    /// State up to an entry, as a snapshot has it.
    snapshot: Option<(Snapshot, Vec<Vec<u8>>)>,
    waiting: VecDeque<Pending>,
    reads: Vec<u64>,
    slow_disk: bool,
}

/// Records on their way to the disk.
struct Pending {
    void_from: Option<u64>,
    entries: Vec<LogEntry>,
    hard: Option<super::HardState>,
    then: Then,
}

struct Net {
    nodes: BTreeMap<u64, Node>,
    messages: VecDeque<(u64, u64, u64, GroupMessage)>,
    cut: BTreeSet<(u64, u64)>,
    down: BTreeSet<u64>,
}

fn three() -> Membership {
    Membership { voters: vec![1, 2, 3], ..Membership::default() }
}

fn begin(node: u64, incarnation: u64, tail: Tail, applied: u64, may_have_lost: bool) -> Group {
    Group::new(Begin { group: 0, node: NodeId(node), incarnation, tail, applied, may_have_lost })
}

impl Net {
    fn new(voters: &[u64], nodes: &[u64]) -> Self {
        let membership = Membership { voters: voters.to_vec(), ..Membership::default() };
        let mut net = Self { nodes: BTreeMap::new(), messages: VecDeque::new(), cut: BTreeSet::new(), down: BTreeSet::new() };
        for id in nodes {
            let known = if voters.contains(id) { membership.clone() } else { Membership::default() };
            net.nodes.insert(*id, Node::new(*id, known));
        }
        net
    }

    /// So many ticks, with everything that follows from each.
    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for (id, node) in &mut self.nodes {
                if !self.down.contains(id) {
                    node.group.tick();
                }
            }
            self.settle();
            for id in self.nodes.keys().copied().collect::<Vec<_>>() {
                if self.nodes[&id].group.tail().wanted().is_some_and(|wanted| wanted <= self.nodes[&id].applied_index) {
                    self.snapshot(id);
                }
            }
        }
    }

    fn settle(&mut self) {
        loop {
            let mut busy = false;
            let ids: Vec<u64> = self.nodes.keys().copied().filter(|id| !self.down.contains(id)).collect();
            for id in ids {
                busy |= self.work(id);
            }
            while let Some((from, incarnation, to, message)) = self.messages.pop_front() {
                busy = true;
                if self.cut.contains(&(from, to)) || self.down.contains(&to) {
                    continue;
                }
                // Over the bytes, as between processes.
                let batch = NodeBatch { incarnation, wall_ms: 7, messages: vec![message] };
                let batch = NodeBatch::decode(&batch.encode()).expect("what was encoded");
                let node = self.nodes.get_mut(&to).expect("a node");
                for message in batch.messages {
                    // The snapshot itself goes by another way: here at once.
                    node.group.step(NodeId(from), incarnation, message.body);
                }
            }
            if !busy {
                return;
            }
        }
    }

    fn work(&mut self, id: u64) -> bool {
        let states: BTreeMap<u64, (Snapshot, Vec<Vec<u8>>)> =
            self.nodes.iter().filter_map(|(id, node)| Some((*id, node.snapshot.clone()?))).collect();
        let node = self.nodes.get_mut(&id).expect("a node");
        let mut busy = false;
        while let Some(work) = node.group.work() {
            busy = true;
            let out = |(to, message): (NodeId, GroupMessage)| (id, node.incarnation, to.0, message);
            self.messages.extend(work.messages.into_iter().map(out));
            if let Some(snapshot) = work.install {
                let (_, state) = states.values().find(|(known, _)| *known == snapshot).expect("somebody has it");
                (node.applied, node.applied_index) = (state.clone(), snapshot.place.index);
                node.log.clear();
                node.membership = (snapshot.place.index, snapshot.membership.clone());
                node.snapshot = Some((snapshot, state.clone()));
            }
            node.reads.extend(work.reads.iter().map(|(mark, _)| *mark));
            node.waiting.push_back(Pending { void_from: work.void_from, entries: work.entries, hard: work.hard, then: work.then });
            for entry in work.committed {
                assert_eq!(entry.index, node.applied_index + 1, "applied in order");
                node.applied_index = entry.index;
                match entry.variant {
                    EntryVariant::Command if entry.body.is_empty() => {}
                    EntryVariant::Command => node.applied.push(entry.body.to_vec()),
                    EntryVariant::MemberChange | EntryVariant::JointChange => {
                        node.membership = (entry.index, node.group.apply_change(&entry));
                    }
                }
                node.group.applied(entry.index);
                node.group.trim(1 << 20);
            }
            if !node.slow_disk {
                self.messages.extend(node.write_all().into_iter().map(|(to, message)| (id, node.incarnation, to.0, message)));
            }
        }
        busy
    }

    fn leader(&self) -> Option<u64> {
        let mut leaders = self.nodes.iter().filter(|(id, node)| !self.down.contains(id) && node.group.leads());
        let leader = leaders.next().map(|(id, _)| *id);
        assert!(leaders.next().is_none(), "two lead");
        leader
    }

    fn propose(&mut self, id: u64, text: &str) -> Result<(), NotTaken> {
        let node = self.nodes.get_mut(&id).expect("a node");
        node.group.propose([(Millis(1), Bytes::copy_from_slice(text.as_bytes()))].into_iter()).map(|_| ())
    }

    /// Proposes words one after the other at the leader.
    fn say(&mut self, words: &str) {
        let leader = self.leader().expect("somebody leads");
        for word in words.split(' ') {
            self.propose(leader, word).expect("the leader takes it");
        }
        self.settle();
    }

    fn applied(&self, id: u64) -> String {
        self.nodes[&id].applied.iter().map(|body| String::from_utf8_lossy(body)).collect::<Vec<_>>().join(" ")
    }

    /// The process of a node ends, and what its disk has not taken is gone; of what it has, so many entries are lost to damage.
    fn restart(&mut self, id: u64, damaged: usize) {
        let node = self.nodes.get_mut(&id).expect("a node");
        node.waiting.clear();
        for _ in 0..damaged {
            node.log.pop_last();
        }
        let (membership_at, membership) = node.membership.clone();
        let base = node.snapshot.as_ref().map_or(Place::default(), |(snapshot, _)| snapshot.place);
        let mut tail = Tail::new(base, node.hard, membership.clone());
        tail.set_membership(membership_at, membership);
        node.log.values().for_each(|entry| tail.append(entry));
        if let Some((snapshot, state)) = &node.snapshot {
            (node.applied, node.applied_index) = (state.clone(), snapshot.place.index);
            tail.made_snapshot(base.index);
        } else {
            (node.applied, node.applied_index) = (Vec::new(), 0);
        }
        node.incarnation += 1;
        node.group = begin(id, node.incarnation, tail, node.applied_index, true);
        self.messages.retain(|(from, ..)| *from != id);
        self.down.remove(&id);
    }

    /// A node makes a snapshot of what it has applied, and forgets its log.
    fn snapshot(&mut self, id: u64) {
        let node = self.nodes.get_mut(&id).expect("a node");
        node.group.made_snapshot(node.applied_index);
        let snapshot = node.group.tail().snapshot().expect("just made").clone();
        node.snapshot = Some((snapshot, node.applied.clone()));
        node.log.retain(|index, _| *index > node.applied_index);
        node.group.trim(0);
    }
}

impl Node {
    fn new(id: u64, membership: Membership) -> Self {
        let tail = Tail::new(Place::default(), super::HardState::default(), membership.clone());
        Self {
            group: begin(id, 1, tail, 0, false),
            incarnation: 1,
            log: BTreeMap::new(),
            hard: super::HardState::default(),
            membership: (0, membership),
            applied: Vec::new(),
            applied_index: 0,
            snapshot: None,
            waiting: VecDeque::new(),
            reads: Vec::new(),
            slow_disk: false,
        }
    }

    fn write_all(&mut self) -> Vec<(NodeId, GroupMessage)> {
        let mut messages = Vec::new();
        while let Some(pending) = self.waiting.pop_front() {
            if let Some(from) = pending.void_from {
                self.log.retain(|index, _| *index < from);
            }
            self.log.extend(pending.entries.into_iter().map(|entry| (entry.index, entry)));
            self.hard = pending.hard.unwrap_or(self.hard);
            self.group.durable(&pending.then);
            messages.extend(pending.then.messages);
        }
        messages
    }
}

#[test]
fn three_agree_and_go_on_without_one() {
    let mut net = Net::new(&[1, 2, 3], &[1, 2, 3]);
    net.run(16);
    let first = net.leader().expect("somebody leads");
    net.say("a b c");
    net.run(3);
    for id in 1..=3 {
        assert_eq!(net.applied(id), "a b c");
    }
    net.down.insert(first);
    net.run(40);
    let second = net.leader().expect("somebody else leads");
    assert_ne!(first, second);
    net.say("d");
    net.restart(first, 0);
    net.run(6);
    assert_eq!(net.applied(first), "a b c d");
}

#[test]
fn one_that_is_cut_off_answers_no_read_and_what_it_took_is_void() {
    let mut net = Net::new(&[1, 2, 3], &[1, 2, 3]);
    net.run(16);
    let old = net.leader().expect("somebody leads");
    net.say("a");
    let others: Vec<u64> = (1..=3).filter(|id| *id != old).collect();
    net.cut.extend(others.iter().flat_map(|id| [(old, *id), (*id, old)]));
    net.propose(old, "lost").expect("it thinks that it leads");
    let mark = net.nodes.get_mut(&old).expect("a node").group.read();
    assert!(mark.is_some(), "it asks, and nobody hears it");
    net.run(22);
    assert!(net.nodes[&old].reads.is_empty(), "nobody says that it leads");
    assert!(!net.nodes[&old].group.leads(), "it steps down once it has not heard from a majority");
    assert!(matches!(net.propose(old, "x"), Err(NotTaken::NotLeader(_))));
    net.run(30);
    net.say("b");
    net.cut.clear();
    net.run(6);
    assert_eq!(net.applied(old), "a b");
    let leader = net.leader().expect("somebody leads");
    let mark = net.nodes.get_mut(&leader).expect("a node").group.read().expect("it leads");
    net.settle();
    assert_eq!(net.nodes[&leader].reads.last(), Some(&mark));
}

#[test] // The follower acknowledged `b`, a leader counted on it, and the follower's disk lost it.
fn who_lost_what_it_acknowledged_makes_nobody_leader_that_lacks_it() {
    let mut net = Net::new(&[1, 2, 3], &[1, 2, 3]);
    net.run(16);
    let leader = net.leader().expect("somebody leads");
    let [holder, lacking] = *(1..=3).filter(|id| *id != leader).collect::<Vec<_>>() else { panic!("two others") };
    net.say("a");
    net.run(3);
    net.cut.extend([(leader, lacking), (lacking, leader)]);
    net.say("b");
    assert_eq!(net.applied(leader), "a b", "committed with the holder's help");
    net.down.insert(leader);
    net.restart(holder, 1);
    net.run(200);
    assert_eq!(net.leader(), None, "it gives its vote to nobody while the one that has `b` is away");
    net.restart(leader, 0);
    net.cut.clear();
    net.run(60);
    net.say("c");
    net.run(6);
    for id in 1..=3 {
        assert_eq!(net.applied(id), "a b c", "node {id}");
    }
}

#[test] // The leader still counts on what a follower had before: it must ask again from further down.
fn a_leader_sends_again_what_a_follower_lost() {
    let mut net = Net::new(&[1, 2, 3], &[1, 2, 3]);
    net.run(16);
    net.say("a b c");
    let leader = net.leader().expect("somebody leads");
    let follower = if leader == 1 { 2 } else { 1 };
    net.restart(follower, 2);
    net.run(8);
    net.say("d");
    net.run(4);
    assert_eq!((net.leader(), net.applied(follower)), (Some(leader), "a b c d".to_owned()));
}

#[test]
fn nobody_is_acknowledged_before_its_disk_has_it() {
    let mut net = Net::new(&[1, 2, 3], &[1, 2, 3]);
    net.run(16);
    let leader = net.leader().expect("somebody leads");
    (1..=3).filter(|id| *id != leader).for_each(|id| net.nodes.get_mut(&id).expect("a node").slow_disk = true);
    net.say("a");
    assert_eq!(net.applied(leader), "", "one disk of three");
    let other = if leader == 1 { 2 } else { 1 };
    let said = net.nodes.get_mut(&other).expect("a node").write_all();
    let incarnation = net.nodes[&other].incarnation;
    net.messages.extend(said.into_iter().map(|(to, message)| (other, incarnation, to.0, message)));
    net.settle();
    assert_eq!(net.applied(leader), "a", "two of three");
}

#[test]
fn a_member_that_is_new_gets_a_snapshot_and_then_votes() {
    let mut net = Net::new(&[1], &[1, 2, 3]);
    net.run(16);
    net.say("a b");
    net.snapshot(1);
    net.say("c");
    let add = |net: &mut Net, steps: Vec<Step>| {
        net.nodes.get_mut(&1).expect("a node").group.propose_change(&Change { steps }).expect("the leader takes it");
        net.settle();
        net.run(8);
    };
    add(&mut net, vec![Step::Learner(NodeId(2))]);
    assert_eq!(net.applied(2), "a b c");
    assert_eq!(net.nodes[&2].snapshot.as_ref().map(|(snapshot, _)| snapshot.place.index), Some(5), "one in which it is a member");
    add(&mut net, vec![Step::Voter(NodeId(2)), Step::Voter(NodeId(3))]);
    assert_eq!(net.nodes[&1].membership.1, three(), "through a joint configuration and out of it by itself");
    net.down.insert(1);
    net.run(40);
    net.say("d");
    net.run(3);
    assert_eq!((net.applied(2), net.applied(3)), ("a b c d".to_owned(), "a b c d".to_owned()));
}

#[test] // Each row: who is to vote and who only to receive; then the members, however long it takes.
fn members_come_in_line_step_by_step() {
    let mut net = Net::new(&[1], &[1, 2, 3, 4]);
    net.run(16);
    net.say("a");
    for (voters, learners) in [
        (&[1, 2, 3][..], &[][..]),
        (&[1, 2, 3], &[4]),
        (&[2, 3, 4], &[1]), // whoever leads, and be it 1
        (&[2, 3, 4], &[]),
    ] {
        let set = |nodes: &[u64]| nodes.iter().copied().map(NodeId).collect();
        for _ in 0..40 {
            if let Some(leader) = net.leader() {
                let group = &mut net.nodes.get_mut(&leader).expect("a node").group;
                if let Some(change) = group.next_change(&set(voters), &set(learners)) {
                    let _ = group.propose_change(&change);
                }
            }
            net.run(4);
            let leader = net.leader().map(|leader| net.nodes[&leader].membership.1.clone());
            let joint = leader.is_some_and(|membership| membership.voters_outgoing.is_empty() && membership.voters.len().is_multiple_of(2));
            assert!(!joint, "an even number votes");
        }
        let leader = net.leader().expect("somebody leads");
        let wanted = Membership { voters: voters.to_vec(), learners: learners.to_vec(), ..Membership::default() };
        assert_eq!(net.nodes[&leader].membership.1, wanted);
    }
    net.say("b");
    net.run(3);
    assert_eq!((net.applied(2), net.applied(4)), ("a b".to_owned(), "a b".to_owned()));
}

#[test] // It would be elected first, and was away.
fn the_lead_goes_back_to_where_an_election_puts_it() {
    let mut net = Net::new(&[1, 2, 3], &[1, 2, 3]);
    net.run(16);
    let first = net.leader().expect("somebody leads");
    net.down.insert(first);
    net.run(40);
    let second = net.leader().expect("somebody else leads");
    net.restart(first, 0);
    net.run(240);
    assert_ne!(second, first);
    assert_eq!(net.leader(), Some(first));
}

#[test]
fn the_lead_is_handed_over() {
    let mut net = Net::new(&[1, 2, 3], &[1, 2, 3]);
    net.run(16);
    net.say("a");
    let leader = net.leader().expect("somebody leads");
    let next = if leader == 3 { 1 } else { 3 };
    net.nodes.get_mut(&leader).expect("a node").group.transfer(NodeId(next));
    net.settle();
    assert_eq!(net.leader(), Some(next));
    net.say("b");
    net.run(3);
    assert_eq!(net.applied(leader), "a b");
}

#[test] // Each of the five has another patience, so a first election has one candidate.
fn runs_repeat() {
    let run = || {
        let mut net = Net::new(&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5]);
        net.run(20);
        (net.leader(), net.nodes.values().map(|node| node.group.term()).collect::<Vec<_>>())
    };
    assert_eq!(run(), run());
    assert_eq!(run().1, [1; 5], "one election");
}

#[test]
fn what_is_no_message_is_refused_whole() {
    let entry = |index, variant, body: &[u8]| LogEntry { term: 1, index, variant, time: Millis(5), body: Bytes::copy_from_slice(body) };
    let append = |entries| {
        let raft = message::RaftMessage {
            kind: message::Kind::Append,
            term: 2,
            log_term: 1,
            index: 4,
            commit: 3,
            commit_term: 0,
            request_snapshot: 0,
            reject: false,
            reject_hint: 0,
            context: Bytes::new(),
            entries,
            snapshot: None,
        };
        NodeBatch { incarnation: 1, wall_ms: 2, messages: vec![GroupMessage { group: 3, body: Body::Raft(raft) }] }
    };
    let change = Change { steps: vec![Step::Learner(NodeId(4))] };
    let good = append(vec![entry(5, EntryVariant::Command, b"x"), entry(6, EntryVariant::MemberChange, &change.encode())]);
    assert_eq!(NodeBatch::decode(&good.encode()), Ok(good.clone()));
    for bad in [
        append(vec![entry(6, EntryVariant::Command, b"x")]),
        append(vec![entry(5, EntryVariant::MemberChange, b"x")]),
        append(vec![entry(5, EntryVariant::JointChange, &change.encode())]),
        append(vec![LogEntry { term: 3, ..entry(5, EntryVariant::Command, b"x") }]),
    ] {
        assert!(NodeBatch::decode(&bad.encode()).is_err(), "{bad:?}");
    }
    let bytes = good.encode();
    for end in 0..bytes.len() {
        assert_ne!(NodeBatch::decode(&bytes[..end]), Ok(good.clone()), "cut at {end}");
    }
}
