//! Changes of a group's members, and their bytes in an entry.
//!
//! Path: [`Change`] → [`Change::encode`] → the body of an entry of variant member or joint change → committed → [`Change::decode`] → the group's new [`Membership`].

use super::{Membership, NodeId};
use crate::log::EntryVariant;
use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState};

/// Changes in one entry; as many as a group of five needs to get five others.
pub(crate) const STEPS_MAX: usize = 16;

/// What becomes of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It votes.
    Voter(NodeId),
    /// It receives, and does not vote.
    Learner(NodeId),
    /// It is no member any more.
    Remove(NodeId),
}

/// A change of members. Several steps go through a joint configuration, which is left by itself once all of it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// What becomes of whom; empty to leave a joint configuration.
    pub(crate) steps: Vec<Step>,
}

/// The bytes are no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry about members has a body of {bytes} bytes that does not read as one")]
pub(crate) struct NoChange {
    bytes: usize,
}

impl Change {
    /// Is it one step at most, so that no joint configuration is needed?
    pub(crate) fn variant(&self) -> EntryVariant {
        if self.steps.len() == 1 { EntryVariant::MemberChange } else { EntryVariant::JointChange }
    }

    /// One byte for the number of steps; then 9 bytes each: 1 voter, 2 learner, 3 remove, and the node, little endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = vec![u8::try_from(self.steps.len()).expect("at most STEPS_MAX steps")];
        for step in &self.steps {
            let (kind, NodeId(node)) = match step {
                Step::Voter(node) => (1, node),
                Step::Learner(node) => (2, node),
                Step::Remove(node) => (3, node),
            };
            body.push(kind);
            body.extend(node.to_le_bytes());
        }
        body
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is none of [`Change::encode`].
    pub(crate) fn decode(body: &[u8]) -> Result<Self, NoChange> {
        let wrong = NoChange { bytes: body.len() };
        let (count, rest) = body.split_first().ok_or(wrong)?;
        let (steps, odd) = rest.as_chunks::<9>();
        if !odd.is_empty() || steps.len() != usize::from(*count) || steps.len() > STEPS_MAX {
            return Err(wrong);
        }
        let step = |bytes: &[u8; 9]| {
            let node = u64::from_le_bytes(bytes[1..].try_into().expect("eight of nine"));
            match (bytes[0], NodeId(node)) {
                (_, NodeId(0)) => Err(wrong),
                (1, node) => Ok(Step::Voter(node)),
                (2, node) => Ok(Step::Learner(node)),
                (3, node) => Ok(Step::Remove(node)),
                _ => Err(wrong),
            }
        };
        Ok(Self { steps: steps.iter().map(step).collect::<Result<_, _>>()? })
    }

    pub(super) fn to_raft(&self) -> ConfChangeV2 {
        let mut change = ConfChangeV2::default();
        let single = |step: &Step| {
            let (kind, NodeId(node)) = match step {
                Step::Voter(node) => (ConfChangeType::AddNode, node),
                Step::Learner(node) => (ConfChangeType::AddLearnerNode, node),
                Step::Remove(node) => (ConfChangeType::RemoveNode, node),
            };
            let mut single = ConfChangeSingle::default();
            single.set_change_type(kind);
            single.node_id = *node;
            single
        };
        change.set_transition(ConfChangeTransition::Auto);
        change.set_changes(self.steps.iter().map(single).collect::<Vec<_>>().into());
        change
    }

    pub(super) fn of_raft(change: &ConfChangeV2) -> Self {
        let step = |single: &ConfChangeSingle| match single.get_change_type() {
            ConfChangeType::AddNode => Step::Voter(NodeId(single.node_id)),
            ConfChangeType::AddLearnerNode => Step::Learner(NodeId(single.node_id)),
            ConfChangeType::RemoveNode => Step::Remove(NodeId(single.node_id)),
        };
        Self { steps: change.get_changes().iter().map(step).collect() }
    }
}

/// Members as the crate has them.
pub(super) fn to_conf_state(membership: &Membership) -> ConfState {
    let Membership { voters, voters_outgoing, learners, learners_next, auto_leave } = membership.clone();
    ConfState { voters, learners, voters_outgoing, learners_next, auto_leave, ..ConfState::default() }
}

pub(super) fn of_conf_state(state: &ConfState) -> Membership {
    // In order: the crate keeps them in hash maps, and equal logs must be equal bytes.
    let sorted = |nodes: &[u64]| {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes
    };
    Membership {
        voters: sorted(&state.voters),
        voters_outgoing: sorted(&state.voters_outgoing),
        learners: sorted(&state.learners),
        learners_next: sorted(&state.learners_next),
        auto_leave: state.auto_leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_back_and_nothing_else_reads() {
        use Step::{Learner, Remove, Voter};
        for steps in [vec![], vec![Voter(NodeId(1))], vec![Learner(NodeId(u64::MAX)), Remove(NodeId(2)), Voter(NodeId(3))]] {
            let change = Change { steps };
            assert_eq!(Change::decode(&change.encode()), Ok(change.clone()));
            assert_eq!(Change::of_raft(&change.to_raft()), change);
        }
        let good = Change { steps: vec![Voter(NodeId(1))] }.encode();
        let spoil = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for bad in [vec![], vec![1], spoil(0, 2), spoil(0, 0), spoil(1, 0), spoil(1, 4), spoil(2, 0), [good.clone(), vec![0]].concat()] {
            assert!(Change::decode(&bad).is_err(), "{bad:?}");
        }
    }
}
