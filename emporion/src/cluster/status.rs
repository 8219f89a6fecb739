//! `emporion cluster status`: the nodes, whether they run, and who leads what, as one of them sees it.

use super::{args::StatusArgs, operator::Operator};
use crate::fail::Fail;
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::{Write as _, stdout},
};
use wire::{ClusterMap, NodeState, PartitionId};

/// Prints it. Fails, with everything said already, when a node is down or a partition has no leader.
pub(crate) fn run(args: &StatusArgs) -> Result<(), Fail> {
    let map = super::runtime()?.block_on(async { Operator::of_folder(&args.data).await?.map().await })?;
    let status = Status::of(&map);
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Up,
    Draining,
    Down,
}

impl Status {
    fn of(map: &ClusterMap) -> Self {
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
        });
        let is_led =
            |partition: u16| map.leader(PartitionId(partition)).is_some_and(|leader| map.nodes.iter().any(|node| node.id == leader));
        let without_leader = (0..map.partitions).filter(|partition| !is_led(*partition)).collect();
        Self { partitions: map.partitions, nodes: nodes.collect(), without_leader }
    }

    fn is_well(&self) -> bool {
        self.without_leader.is_empty() && self.nodes.iter().all(|node| node.state != State::Down)
    }

    fn table(&self) -> String {
        let mut rows = vec![["ID", "NAME", "ADDRESS", "ZONE", "REGION", "SHARDS", "STATE", "LEADS"].map(str::to_owned)];
        rows.extend(self.nodes.iter().map(|node| {
            let state = match node.state {
                State::Up => "up",
                State::Draining => "draining",
                State::Down => "down",
            };
            let Node { id, name, address, zone, region, shards, leads, state: _ } = node;
            [
                id.to_string(),
                name.clone(),
                address.clone(),
                zone.clone(),
                region.clone(),
                shards.to_string(),
                state.into(),
                leads.to_string(),
            ]
        }));
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        let mut text = String::new();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        // Writing into a text never fails.
        let _ = match self.without_leader.as_slice() {
            [] => writeln!(text, "\nall {} partitions are led", self.partitions),
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

    #[test] // Each row: states of nodes, who leads, whether all is well, and the last line.
    fn what_is_wrong_is_told() {
        use NodeState::{Down, Draining, Up};
        for (states, leaders, well, last) in [
            (&[Up, Up][..], &[Some(1), Some(2), Some(1)][..], true, "all 3 partitions are led"),
            (&[Up, Draining], &[Some(1)], true, "all 1 partitions are led"),
            (&[Up, Down], &[Some(1)], false, "all 1 partitions are led"),
            (&[Up, Up], &[None, Some(1), None], false, "2 of 3 partitions have no leader: 0, 2"),
            // It was removed since.
            (&[Up], &[Some(9)], false, "1 of 1 partitions have no leader: 0"),
        ] {
            let status = Status::of(&map(states, leaders));
            assert_eq!((status.is_well(), status.table().lines().last()), (well, Some(last)));
        }
    }

    #[test]
    fn nodes_are_a_table() {
        let table = Status::of(&map(&[NodeState::Up, NodeState::Down], &[Some(1), Some(1)])).table();
        assert_eq!(
            table,
            "ID  NAME    ADDRESS        ZONE  REGION  SHARDS  STATE  LEADS\n\
             1   node-1  10.0.0.1:7443  z     eu      2       up     2\n\
             2   node-2  10.0.0.2:7443  z     eu      2       down   0\n\
             \n\
             all 2 partitions are led\n"
        );
    }
}
