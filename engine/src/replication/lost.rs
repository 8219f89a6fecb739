//! A node whose log may lack what it acknowledged.
//!
//! A log that does not end with a mark may have lost its last batch to damage that looks like a torn write (`log/FORMAT.md` section 6). If this node had
//! acknowledged entries in it, and a leader counted on that, then its vote could make a leader of somebody who lacks a committed entry. So until it
//! knows better it says nothing, neither votes nor acknowledgements, and asks all members, again at every tick:
//! - a leader forgets what was acknowledged before ([`Body::Fence`](super::message::Body::Fence)) and says up to where entries are committed;
//! - where nobody leads, every voter says where its log ends ([`Body::Stands`](super::message::Body::Stands)). What was committed with this node's help is in the
//!   log of another one of them, so it is below the highest.
//!
//! Either gives a floor: only who has as much gets this node's vote, itself included, until its own log has come up to it. Votes and terms cannot be
//! lost this way: they count only when a later batch proves them ([`Then::must_be_proven`](super::group::Then::must_be_proven)).
//!
//! Source: the problem, and that a log must tell a torn tail from damage, is of Alagappan et al., "Protocol-Aware Recovery", FAST 2018; TigerBeetle's
//! replicas abdicate likewise while they may have lost what they promised.

use super::{NodeId, Place};
use std::collections::BTreeMap;

/// What such a node has found out.
#[derive(Debug, Default)]
pub(super) struct Lost {
    heard: BTreeMap<NodeId, Place>,
    floor: Option<Place>,
}

impl Lost {
    /// Below this nobody gets its vote; `None` while it is not known.
    pub(super) fn floor(&self) -> Option<Place> {
        self.floor
    }

    /// A leader counts nothing from before any more, and has committed up to there.
    pub(super) fn fenced(&mut self, floor: Place) {
        self.floor = Some(self.floor.map_or(floor, |known| known.max(floor)));
    }

    /// A member's log ends there. All other voters must have said so.
    pub(super) fn stands(&mut self, from: NodeId, last: Place, others: &[NodeId]) {
        let known = self.heard.entry(from).or_default();
        *known = (*known).max(last);
        if self.floor.is_none() && others.iter().all(|node| self.heard.contains_key(node)) {
            self.floor = others.iter().filter_map(|node| self.heard.get(node)).copied().max();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: what is told, as `node:term.index` or `fence:term.index`, and the floor after it. The other voters are 2 and 3.
    fn the_floor_is_a_leader_s_or_the_highest_of_all() {
        for (told, floor) in [
            ("2:1.5", None),
            ("2:1.5 2:1.6", None),
            ("2:1.5 4:9.9", None), // a learner's word is no voter's
            ("2:2.1 3:1.7", Some((2, 1))),
            ("fence:3.4", Some((3, 4))),
            ("2:2.1 3:1.7 fence:3.4", Some((3, 4))),
            ("fence:3.4 2:9.9 3:9.9", Some((3, 4))),
        ] {
            let mut lost = Lost::default();
            for word in told.split(' ') {
                let (who, place) = word.split_once(':').expect("who");
                let (term, index) = place.split_once('.').expect("where");
                let place = Place { term: term.parse().expect("a term"), index: index.parse().expect("an index") };
                match who.parse() {
                    Ok(node) => lost.stands(NodeId(node), place, &[NodeId(2), NodeId(3)]),
                    Err(_) => lost.fenced(place),
                }
            }
            assert_eq!(lost.floor(), floor.map(|(term, index)| Place { term, index }), "{told}");
        }
    }
}
