//! After an attempt at a node of a cluster: is that the answer, and if not, who is asked next and when? Decisions alone, without a network or a clock.
//!
//! Path: [`Tried`] → [`verdict`] → [`Round::note`] → [`Round::pause`], then [`Round::choose`] for the next attempt.
//! Bounds: [`ATTEMPTS_MAX`] attempts, [`PAUSE_MAX`] between two rounds of them; the request's own timeout ends them all, which the caller looks after.

use super::client::{Standing, Tried};
use crate::{CallError, Failure, NodeId, NodeState, Response};
use std::time::Duration;

/// How often a request is sent at most, to all nodes together; then the last answer is given. Its timeout mostly comes first.
pub const ATTEMPTS_MAX: u32 = 64;
/// Between two rounds of attempts, at first; doubles with each.
pub const PAUSE_MIN: Duration = Duration::from_millis(20);
/// Between two rounds of attempts, at most: an election takes about a second.
pub const PAUSE_MAX: Duration = Duration::from_millis(500);

/// What an attempt says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is the answer.
    Answer,
    /// This attempt did nothing, and another node would do as little: the answer, unless an attempt before may have done something.
    Refused,
    /// Nothing was done: another node leads.
    NotLeader {
        /// This one, if it is known.
        leader: Option<NodeId>,
    },
    /// Nothing was done: the node leaves, or cannot be reached.
    Gone,
    /// It may have been done, or may yet be.
    Doubt,
}

pub(super) fn verdict(tried: &Tried) -> Verdict {
    match tried {
        Tried::NotSent(_) => Verdict::Gone,
        Tried::Failed(CallError::Unreachable(_)) => Verdict::Doubt,
        Tried::Failed(CallError::QueueFull) => Verdict::Refused,
        Tried::Failed(CallError::Protocol(_)) => Verdict::Answer,
        Tried::Answered(Response { result, .. }) => match result {
            Ok(_) | Err(Failure::Refused(_) | Failure::Internal) => Verdict::Answer,
            Err(Failure::Overloaded { .. } | Failure::StorageFull | Failure::WrongShard) => Verdict::Refused,
            Err(Failure::NotLeader { leader }) => Verdict::NotLeader { leader: *leader },
            Err(Failure::ShuttingDown) => Verdict::Gone,
            Err(Failure::Interrupted | Failure::DeadlineExceeded) => Verdict::Doubt,
        },
    }
}

/// A node that can be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) id: NodeId,
    /// As the cluster sees it.
    pub(super) state: NodeState,
    /// As this client sees it.
    pub(super) standing: Standing,
}

/// The attempts of one request.
#[derive(Debug)]
pub(super) struct Round {
    /// Where to begin among nodes that are equally good.
    turn: usize,
    attempts: u32,
    pauses: u32,
    /// Asked since all of them were.
    asked: Vec<NodeId>,
    /// Named as the leader by the node asked last.
    named: Option<NodeId>,
    /// Of the pauses' lengths: clients that failed together must not come back together.
    random: u64,
}

impl Round {
    pub(super) fn new(turn: usize, random: u64) -> Self {
        Self { turn, attempts: 0, pauses: 0, asked: Vec::new(), named: None, random: random | 1 }
    }

    /// The node to ask: who leads, as was said last; else one that was not asked yet, that is up and connected, the next in turn. `None` if there are none at all.
    pub(super) fn choose(&self, nodes: &[Candidate], leader: Option<NodeId>) -> Option<NodeId> {
        let usable = usable(nodes);
        let new = |id: &NodeId| !self.asked.contains(id);
        // Whoever names a leader has heard of it, whatever the map says.
        let named = self.named.filter(|id| new(id) && nodes.iter().any(|node| node.id == *id));
        let hinted = leader.filter(|id| new(id) && nodes.iter().any(|node| node.id == *id && usable(node)));
        named.or(hinted).or_else(|| {
            let places = 0..nodes.len();
            let ranked = places.map(|place| (&nodes[(place + self.turn) % nodes.len()], place)).filter(|(node, _)| usable(node));
            let best = ranked.min_by_key(|(node, place)| {
                let (down, leaves) = (node.standing == Standing::Down, node.state == NodeState::Draining);
                (self.asked.contains(&node.id), down, leaves, *place)
            });
            best.map(|(node, _)| node.id)
        })
    }

    /// Another than this one, to be asked beside it.
    pub(super) fn second(&self, nodes: &[Candidate], first: NodeId) -> Option<NodeId> {
        let usable = usable(nodes);
        let others: Vec<Candidate> =
            nodes.iter().filter(|node| node.id != first && usable(node) && node.standing == Standing::Up).copied().collect();
        self.choose(&others, None)
    }

    /// A node was asked and gave no answer.
    pub(super) fn note(&mut self, node: NodeId, verdict: Verdict) {
        self.attempts += 1;
        self.asked.push(node);
        self.named = match verdict {
            Verdict::NotLeader { leader } => leader,
            Verdict::Answer | Verdict::Refused | Verdict::Gone | Verdict::Doubt => None,
        };
    }

    /// No more attempts.
    pub(super) const fn is_over(&self) -> bool {
        self.attempts >= ATTEMPTS_MAX
    }

    /// How long to wait before the next attempt, if at all: not before a leader is asked that was named and not asked yet, and not while there is somebody who has
    /// not been asked; but whoever says that nobody leads is believed for a moment. To be called once after [`Self::note`].
    pub(super) fn pause(&mut self, nodes: &[Candidate], verdict: Verdict) -> Option<Duration> {
        let usable = usable(nodes);
        let others = nodes.iter().any(|node| usable(node) && !self.asked.contains(&node.id));
        let go_on = match verdict {
            Verdict::NotLeader { leader } => leader.is_some_and(|id| !self.asked.contains(&id) && nodes.iter().any(|node| node.id == id)),
            Verdict::Answer | Verdict::Refused | Verdict::Gone | Verdict::Doubt => others,
        };
        if go_on {
            return None;
        }
        // A new round, in which the last is asked last; and whoever is said to lead may do so by then.
        if !others {
            self.asked.drain(..self.asked.len().saturating_sub(1));
        }
        self.asked.retain(|id| Some(*id) != self.named);
        let longest = PAUSE_MIN.saturating_mul(1 << self.pauses.min(16)).min(PAUSE_MAX);
        self.pauses += 1;
        // Between half of it and all (xorshift, Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Some(longest / 2 + longest.mul_f64((self.random >> 11) as f64 / (1u64 << 54) as f64))
    }
}

/// Nodes that the cluster believes dead are not asked, unless there are no others.
fn usable(nodes: &[Candidate]) -> impl Fn(&Candidate) -> bool + use<> {
    let all = nodes.iter().all(|node| node.state == NodeState::Down);
    move |node| all || node.state != NodeState::Down
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Refusal};

    #[test] // Each row: what came of an attempt, and what that says.
    fn verdicts() {
        let failed = |failure| Tried::Answered(Response { positions: Vec::new(), replayed: false, result: Err(failure) });
        let gone = || CallError::Unreachable("gone".into());
        for (tried, expected) in [
            (Tried::Answered(Response { positions: Vec::new(), replayed: false, result: Ok(Body::Done) }), Verdict::Answer),
            (failed(Failure::Refused(Refusal::NotFound)), Verdict::Answer),
            (failed(Failure::Internal), Verdict::Answer),
            (failed(Failure::Overloaded { retry_after_ms: 1 }), Verdict::Refused),
            (failed(Failure::StorageFull), Verdict::Refused),
            (failed(Failure::WrongShard), Verdict::Refused),
            (failed(Failure::NotLeader { leader: Some(NodeId(3)) }), Verdict::NotLeader { leader: Some(NodeId(3)) }),
            (failed(Failure::NotLeader { leader: None }), Verdict::NotLeader { leader: None }),
            (failed(Failure::ShuttingDown), Verdict::Gone),
            (failed(Failure::Interrupted), Verdict::Doubt),
            (failed(Failure::DeadlineExceeded), Verdict::Doubt),
            (Tried::NotSent(gone()), Verdict::Gone),
            (Tried::Failed(gone()), Verdict::Doubt),
            (Tried::Failed(CallError::QueueFull), Verdict::Refused),
            (Tried::Failed(CallError::Protocol("?".into())), Verdict::Answer),
        ] {
            assert_eq!(verdict(&tried), expected, "{tried:?}");
        }
    }

    /// Nodes 1, 2, … by a letter each: `u` up, `d` draining, `x` down; a capital where its links are down.
    fn nodes(text: &str) -> Vec<Candidate> {
        let node = |(letter, id): (char, u64)| Candidate {
            id: NodeId(id),
            state: match letter.to_ascii_lowercase() {
                'u' => NodeState::Up,
                'd' => NodeState::Draining,
                _ => NodeState::Down,
            },
            standing: if letter.is_ascii_uppercase() { Standing::Down } else { Standing::Up },
        };
        text.chars().zip(1..).map(node).collect()
    }

    #[test] // Each row: nodes, the leader by the map, who was asked, whose turn it is; who is asked next.
    fn who_is_asked() {
        for (text, leader, asked, turn, next) in [
            ("uuu", Some(2), "", 0, 2),
            ("uuu", None, "", 0, 1),
            ("uuu", None, "", 4, 2),
            ("uuu", Some(2), "2", 0, 1),
            ("uuu", Some(2), "21", 0, 3),
            ("uuu", Some(9), "", 0, 1), // one that is no more
            ("duu", None, "", 0, 2),    // up before draining
            ("ddx", None, "", 2, 1),    // never one that is down
            ("duu", None, "23", 0, 1),
            ("Udu", None, "", 0, 3), // connected before not connected
            ("Udx", None, "", 0, 2), // also if it drains
            ("uux", Some(3), "", 0, 1),
            ("xxx", None, "", 1, 2), // unless there is nobody else
            ("xxx", Some(3), "", 0, 3),
            ("u", None, "1", 5, 1),
        ] {
            let mut round = Round::new(turn, 1);
            asked.chars().for_each(|id| round.asked.push(NodeId(u64::from(id.to_digit(10).expect("a digit")))));
            assert_eq!(round.choose(&nodes(text), leader.map(NodeId)), Some(NodeId(next)), "{text} {leader:?} {asked} {turn}");
        }
        assert_eq!(Round::new(0, 1).choose(&[], None), None);
    }

    #[test] // Each row: nodes, who was asked before, the last of them and what came of it; whether there is a pause, and who is next.
    fn when_to_wait() {
        let named = |id| Verdict::NotLeader { leader: Some(NodeId(id)) };
        let nobody = Verdict::NotLeader { leader: None };
        for (text, asked, verdict, waits, next) in [
            ("uuu", "1", named(3), false, 3),
            ("uux", "1", named(3), false, 3), // it is heard of, whatever the map says
            ("uuu", "31", named(3), true, 3), // two that name each other
            ("uuu", "1", named(9), true, 2),  // somebody new
            ("uuu", "1", nobody, true, 2),
            ("uuu", "12", nobody, true, 3),
            ("uuu", "13", nobody, true, 2),
            ("uuu", "123", nobody, true, 1),
            ("uuu", "213", nobody, true, 1),
            ("uuu", "1", Verdict::Gone, false, 2),
            ("uuu", "123", Verdict::Gone, true, 1),
            ("uux", "12", Verdict::Gone, true, 1),
            ("u", "1", Verdict::Gone, true, 1),
            ("uuu", "1", Verdict::Doubt, false, 2),
        ] {
            let mut round = Round::new(0, 7);
            for id in asked.chars() {
                round.note(NodeId(u64::from(id.to_digit(10).expect("a digit"))), verdict);
            }
            let pause = round.pause(&nodes(text), verdict);
            assert_eq!(pause.is_some(), waits, "{text} {asked} {verdict:?}");
            assert_eq!(round.choose(&nodes(text), None), Some(NodeId(next)), "{text} {asked} {verdict:?}");
        }
    }

    #[test]
    fn pauses_grow_to_their_bound_and_differ() {
        let lengths = |random| {
            let mut round = Round::new(0, random);
            let mut lengths = Vec::new();
            for _ in 0..ATTEMPTS_MAX {
                assert!(!round.is_over());
                round.note(NodeId(1), Verdict::Gone);
                lengths.push(round.pause(&nodes("u"), Verdict::Gone).expect("nobody else"));
            }
            assert!(round.is_over());
            lengths
        };
        let (one, other) = (lengths(1), lengths(0xdead_beef_cafe));
        assert_ne!(one, other);
        for (number, pause) in one.iter().enumerate() {
            let longest = (PAUSE_MIN * (1 << number.min(10))).min(PAUSE_MAX);
            assert!((longest / 2..=longest).contains(pause), "{number}: {pause:?}");
        }
    }
}
