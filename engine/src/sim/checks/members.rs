//! Who has a say in a partition, by the committed entries alone: a twin of what the groups make of them.
//!
//! Path: a committed change of members → [`Say::change`] → [`Say::agrees`], which the shadow asks of the disks that have an entry.
//! A group counts with the members that its leader has applied, which may be those before the last change: that one is proposed when all before it are
//! applied, so there is one step at most between them ([`Says`]).

use crate::{
    log::{EntryVariant, Membership},
    replication::change::{Change, NoChange, Step},
};
use std::collections::BTreeSet;

/// The members of a partition from some entry on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sim) struct Say {
    pub(in crate::sim) voters: BTreeSet<u64>,
    /// Of the configuration being left.
    pub(in crate::sim) outgoing: BTreeSet<u64>,
    pub(in crate::sim) learners: BTreeSet<u64>,
    learners_next: BTreeSet<u64>,
}

/// More than half of them, if there are any.
fn majority(of: &BTreeSet<u64>, has: impl Fn(u64) -> bool) -> bool {
    of.iter().filter(|node| has(**node)).count() > of.len() / 2
}

impl Say {
    pub(super) fn of_voters(voters: impl Iterator<Item = u64>) -> Self {
        Self { voters: voters.collect(), ..Self::default() }
    }

    /// Is it enough that these have an entry? In a joint configuration it takes a majority of both.
    pub(in crate::sim) fn agrees(&self, has: impl Fn(u64) -> bool) -> bool {
        majority(&self.voters, &has) && (self.outgoing.is_empty() || majority(&self.outgoing, &has))
    }

    /// Both halves, of which the second may be empty.
    pub(in crate::sim) fn halves(&self) -> [&BTreeSet<u64>; 2] {
        [&self.voters, &self.outgoing]
    }

    fn step(&mut self, step: Step) {
        let (Step::Voter(id) | Step::Learner(id) | Step::Remove(id)) = step;
        let id = id.0;
        self.voters.remove(&id);
        self.learners.remove(&id);
        self.learners_next.remove(&id);
        match step {
            Step::Voter(_) => _ = self.voters.insert(id),
            // One that still votes in the configuration being left receives from then on.
            Step::Learner(_) if self.outgoing.contains(&id) => _ = self.learners_next.insert(id),
            Step::Learner(_) => _ = self.learners.insert(id),
            Step::Remove(_) => {}
        }
    }

    /// After a change; the same where it is void: one that is left before it was entered, or entered twice, or that leaves nobody.
    fn changed(&self, variant: EntryVariant, change: &Change) -> Option<Self> {
        let mut after = self.clone();
        let is_joint = !self.outgoing.is_empty();
        match (variant, &change.steps[..]) {
            (EntryVariant::JointChange, []) => {
                let next = std::mem::take(&mut after.learners_next);
                after.learners.extend(next);
                after.outgoing.clear();
                return is_joint.then_some(after);
            }
            (EntryVariant::JointChange, steps) => {
                after.outgoing = self.voters.clone();
                steps.iter().for_each(|step| after.step(*step));
            }
            (EntryVariant::MemberChange | EntryVariant::Command, steps) => {
                steps.iter().for_each(|step| after.step(*step));
                if self.voters.symmetric_difference(&after.voters).count() > 1 {
                    return None;
                }
            }
        }
        (!is_joint && !after.voters.is_empty()).then_some(after)
    }
}

/// The members by the last change, and those before it.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Says {
    pub(in crate::sim) last: Say,
    pub(in crate::sim) before: Say,
}

impl Says {
    pub(super) fn of_voters(voters: impl Iterator<Item = u64>) -> Self {
        let say = Say::of_voters(voters);
        Self { last: say.clone(), before: say }
    }

    /// A change is committed.
    pub(super) fn change(&mut self, variant: EntryVariant, body: &[u8]) -> Result<(), NoChange> {
        let last = self.last.changed(variant, &Change::decode(body)?).unwrap_or_else(|| self.last.clone());
        self.before = std::mem::replace(&mut self.last, last);
        Ok(())
    }

    /// Is it enough that these have an entry?
    pub(super) fn agree(&self, has: impl Fn(u64) -> bool) -> bool {
        self.last.agrees(&has) || self.before.agrees(&has)
    }

    /// Does a core have the same members?
    pub(in crate::sim) fn is(&self, members: &Membership) -> bool {
        let set = |nodes: &[u64]| nodes.iter().copied().collect::<BTreeSet<u64>>();
        let Say { voters, outgoing, learners, learners_next } = &self.last;
        let Membership { voters: theirs, voters_outgoing, learners: receive, learners_next: next, auto_leave: _ } = members;
        [set(theirs), set(voters_outgoing), set(receive), set(next)]
            == [voters.clone(), outgoing.clone(), learners.clone(), learners_next.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::NodeId;

    /// Changes as `+4 ~4 -4` for a voter, a learner and one that goes, joined by commas; `.` leaves a joint configuration.
    fn after(changes: &str) -> String {
        let mut says = Says::of_voters(1..=3);
        for word in changes.split_whitespace() {
            let step = |step: &str| {
                let node = NodeId(step[1..].parse().expect("a node"));
                match &step[..1] {
                    "+" => Step::Voter(node),
                    "~" => Step::Learner(node),
                    _ => Step::Remove(node),
                }
            };
            let steps = if word == "." { Vec::new() } else { word.split(',').map(step).collect() };
            let change = Change { steps };
            says.change(change.variant(), &change.encode()).expect("a change");
        }
        let list = |nodes: &BTreeSet<u64>| nodes.iter().map(ToString::to_string).collect::<String>();
        let Say { voters, outgoing, learners, learners_next } = &says.last;
        [voters, outgoing, learners, learners_next].map(list).join("|")
    }

    #[test]
    fn members_are_what_the_changes_make() {
        for (changes, members) in [
            ("", "123|||"),
            ("~4", "123||4|"),
            ("~4 +4", "1234|||"),
            ("~4 +4,~3", "124|123||3"),
            ("~4 +4,~3 .", "124||3|"),
            ("~4 +4,-3 .", "124|||"),
            ("~4 +4,-3 -2", "124|123||"), // until it is left nothing else counts
            (".", "123|||"),
            ("-1 -2 -3", "3|||"), // somebody must be left
        ] {
            assert_eq!(after(changes), members, "{changes}");
        }
    }

    #[test]
    fn a_joint_configuration_takes_both_majorities() {
        let mut says = Says::of_voters(1..=3);
        let agree = |says: &Says, nodes: &[u64]| says.agree(|node| nodes.contains(&node));
        assert!(agree(&says, &[1, 2]) && !agree(&says, &[1]) && !agree(&says, &[1, 4]));
        let joint =
            Change { steps: vec![Step::Voter(NodeId(4)), Step::Voter(NodeId(5)), Step::Remove(NodeId(3)), Step::Remove(NodeId(2))] };
        says.change(joint.variant(), &joint.encode()).expect("a change");
        assert!(agree(&says, &[1, 2]), "by the members before it");
        let leave = Change::default();
        says.change(leave.variant(), &leave.encode()).expect("a change");
        assert!(!agree(&says, &[1, 2]) && !agree(&says, &[2, 3, 4]), "two steps on");
        assert!(agree(&says, &[1, 2, 4]) && agree(&says, &[4, 5]));
    }
}
