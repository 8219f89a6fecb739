//! `emporion cluster status`: the nodes, whether they run, and who leads what, as one of them sees it.

use super::{args::StatusArgs, operator::Operator};
use crate::fail::Fail;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{Write as _, stdout},
};
use wire::{ClusterMap, NodeId, NodeState, PartitionId, ReplicaView};

/// A replica that lacks no more entries than these keeps up.
const CLOSE_ENTRIES: u64 = 1_000;

/// Prints it. Fails, with everything said already, when a node is down or behind, or a partition has no leader.
pub(crate) fn run(args: &StatusArgs) -> Result<(), Fail> {
    let status = super::runtime()?.block_on(async {
        let operator = Operator::of_folder(&args.data).await?;
        let map = operator.map().await?;
        Ok(Status::of(&map, &operator.all_replicas(&map).await))
    })?;
    let text = if args.json {
        let json = serde_json::to_string_pretty(&status).map_err(|error| Fail::Failed(format!("the status cannot be written: {error}")))?;
        format!("{json}\n")
    } else {
        status.table()
    };
    let mut out = stdout().lock();
    // A closed standard output is the reader's wish.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if status.is_well() { Ok(()) } else { Err(Fail::Told) }
}

/// What is told, in this form with `--json`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Status {
    partitions: u16,
    nodes: Vec<Node>,
    /// Partitions that nobody is known to lead.
    without_leader: Vec<u16>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Node {
    id: u64,
    name: String,
    address: String,
    zone: String,
    region: String,
    shards: u16,
    state: State,
    /// How many partitions.
    leads: usize,
    /// In how many it has a vote.
    votes: usize,
    /// How many of its replicas are not up to date, or have no say yet after a crash: until none is, no other node should be switched off. `null` when it does not say.
    behind: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Up,
    Draining,
    Down,
}

impl Status {
    fn of(map: &ClusterMap, replicas: &BTreeMap<NodeId, Vec<ReplicaView>>) -> Self {
        // As it is told by who leads, who knows best.
        let led: BTreeMap<PartitionId, &ReplicaView> = replicas
            .iter()
            .flat_map(|(node, views)| views.iter().filter(|view| view.leader == Some(*node)))
            .map(|view| (view.partition, view))
            .collect();
        let is_behind = |view: &&ReplicaView| {
            let committed = led.get(&view.partition).map_or(view.committed, |leader| leader.committed);
            !view.counts || view.applied + CLOSE_ENTRIES < committed
        };
        let nodes = map.nodes.iter().map(|node| Node {
            id: node.id.0,
            name: node.name.clone(),
            address: node.address.clone(),
            zone: node.zone.clone(),
            region: node.region.clone(),
            shards: node.shards,
            state: match node.state {
                NodeState::Up => State::Up,
                NodeState::Draining => State::Draining,
                NodeState::Down => State::Down,
            },
            leads: map.leaders.iter().filter(|leader| **leader == Some(node.id)).count(),
            votes: led.values().filter(|view| view.voters.contains(&node.id)).count(),
            behind: replicas.get(&node.id).map(|views| views.iter().filter(is_behind).count()),
        });
        let is_led =
            |partition: u16| map.leader(PartitionId(partition)).is_some_and(|leader| map.nodes.iter().any(|node| node.id == leader));
        let without_leader = (0..map.partitions).filter(|partition| !is_led(*partition)).collect();
        Self { partitions: map.partitions, nodes: nodes.collect(), without_leader }
    }

    fn is_well(&self) -> bool {
        self.without_leader.is_empty() && self.nodes.iter().all(|node| node.state != State::Down && node.behind == Some(0))
    }

    fn table(&self) -> String {
        let mut rows = vec![["ID", "NAME", "ADDRESS", "ZONE", "REGION", "SHARDS", "STATE", "LEADS", "VOTES", "BEHIND"].map(str::to_owned)];
        rows.extend(self.nodes.iter().map(|node| {
            let state = match node.state {
                State::Up => "up",
                State::Draining => "draining",
                State::Down => "down",
            };
            let Node { id, name, address, zone, region, shards, leads, votes, behind, state: _ } = node;
            [
                id.to_string(),
                name.clone(),
                address.clone(),
                zone.clone(),
                region.clone(),
                shards.to_string(),
                state.into(),
                leads.to_string(),
                votes.to_string(),
                behind.map_or_else(|| "?".into(), |behind| behind.to_string()),
            ]
        }));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 10] = std::array::from_fn(width);
        let mut text = String::new();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        // Writing into a text never fails.
        let _ = match self.without_leader.as_slice() {
            [] if self.is_well() => writeln!(text, "\nall {} partitions are led, and every node is up to date", self.partitions),
            [] => writeln!(text, "\nall {} partitions are led; switch no other node off now", self.partitions),
            some => {
                let numbers: Vec<String> = some.iter().map(ToString::to_string).collect();
                writeln!(text, "\n{} of {} partitions have no leader: {}", some.len(), self.partitions, numbers.join(", "))
            }
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{NodeId, NodeInfo};

    fn map(states: &[NodeState], leaders: &[Option<u64>]) -> ClusterMap {
        let nodes = (1..).zip(states).map(|(id, state)| NodeInfo {
            id: NodeId(id),
            name: format!("node-{id}"),
            address: format!("10.0.0.{id}:7443"),
            shards: 2,
            zone: "z".into(),
            region: "eu".into(),
            state: *state,
        });
        let leaders: Vec<_> = leaders.iter().map(|leader| leader.map(NodeId)).collect();
        ClusterMap { epoch: 1, partitions: leaders.len() as u16, nodes: nodes.collect(), leaders }
    }

    /// Of nodes of which each says the same, but for what they lead; the last of them is behind by so many entries in the first partition.
    fn replicas(map: &ClusterMap, behind: u64) -> BTreeMap<NodeId, Vec<ReplicaView>> {
        let last = map.nodes.last().map(|node| node.id);
        let of = |node: NodeId| {
            let view = |(partition, leader): (u16, &Option<NodeId>)| ReplicaView {
                partition: PartitionId(partition),
                leader: *leader,
                term: 1,
                voters: vec![NodeId(1)],
                learners: vec![NodeId(2)],
                counts: true,
                last: 9_000,
                committed: 9_000,
                applied: 9_000 - if last == Some(node) && partition == 0 { behind } else { 0 },
            };
            (0..).zip(&map.leaders).map(view).collect()
        };
        map.nodes.iter().filter(|node| node.state != NodeState::Down).map(|node| (node.id, of(node.id))).collect()
    }

    #[test] // Each row: states of nodes, who leads, how far the last is behind, whether all is well, and the last line.
    fn what_is_wrong_is_told() {
        use NodeState::{Down, Draining, Up};
        for (states, leaders, behind, well, last) in [
            (&[Up, Up][..], &[Some(1), Some(2), Some(1)][..], 0, true, "all 3 partitions are led, and every node is up to date"),
            (&[Up, Draining], &[Some(1)], 1_000, true, "all 1 partitions are led, and every node is up to date"),
            (&[Up, Up], &[Some(1)], 1_001, false, "all 1 partitions are led; switch no other node off now"),
            (&[Up, Down], &[Some(1)], 0, false, "all 1 partitions are led; switch no other node off now"),
            (&[Up, Up], &[None, Some(1), None], 0, false, "2 of 3 partitions have no leader: 0, 2"),
            // It was removed since.
            (&[Up], &[Some(9)], 0, false, "1 of 1 partitions have no leader: 0"),
        ] {
            let map = map(states, leaders);
            let status = Status::of(&map, &replicas(&map, behind));
            assert_eq!((status.is_well(), status.table().lines().last()), (well, Some(last)));
        }
    }

    #[test]
    fn nodes_are_a_table() {
        let map = map(&[NodeState::Up, NodeState::Down], &[Some(1), Some(1)]);
        assert_eq!(
            Status::of(&map, &replicas(&map, 0)).table(),
            "ID  NAME    ADDRESS        ZONE  REGION  SHARDS  STATE  LEADS  VOTES  BEHIND\n\
             1   node-1  10.0.0.1:7443  z     eu      2       up     2      2      0\n\
             2   node-2  10.0.0.2:7443  z     eu      2       down   0      0      ?\n\
             \n\
             all 2 partitions are led; switch no other node off now\n"
        );
    }
}
