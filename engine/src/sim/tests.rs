//! Seeds that failed once, each with what it found; and that runs are what they are said to be.

use super::{Masks, Seed, run};

/// Seeds of failures met on the way, with what was wrong: each must run clean.
const KEPT: [(u64, &str); 13] = [
    (1, "a run as any other"),
    (1097, "a start relied on a snapshot whose name a killed process had not made durable; the log was cut, and a power cut took the name"),
    (2_407, "of an old hold a sale whose answer was lost was told, a moment later, that there is no such hold"),
    (3_799, "the simulator put the first block of a segment on that of another, and took what the start said of it for a mistake"),
    (4_250, "a reservation whose answer was lost was told that its id is too old, though it was there"),
    (5_569, "the same of a sale, after the clock was set"),
    (10_471, "the simulator damaged a batch that was reported before one in front of it was lost with the power"),
    (15_058, "the simulator sent its last buyer before the adapters were back, and the order expired"),
    (17_368, "the same"),
    (10_678, "the simulator counted the money while the last buyer's was being taken"),
    (21_653, "the simulator took a batch that was reported before one in front of it was lost with the process for acknowledged"),
    (
        31_892,
        "a released segment was given to a plan that was being tried without it, and forgotten; younger ones went, and the next start found a hole",
    ),
    (
        99_537,
        "the simulator's page cache kept what a killed process had written, and a power cut brought it back over what was synced there since",
    ),
];

fn alone(number: u64) -> Seed {
    Seed { number, machines: 1 }
}

#[test]
fn kept_seeds_run_clean() {
    for (seed, found) in KEPT {
        let report = run(alone(seed), &Masks::default());
        assert_eq!(report.violation, None, "seed {seed}, which once found: {found}");
        assert!(report.operations >= 2_000, "{report:?}");
        assert!(report.faults >= 5, "{report:?}");
    }
}

/// The same of clusters of three.
const KEPT_OF_CLUSTERS: [(u64, &str); 23] = [
    (1, "the crate put entries behind an empty message that went on from elsewhere"),
    (2, "a product's category was made by another node, and this one did not have it yet"),
    (475, "a leader that was new refused a checkout by what it had, and the order stood"),
    (842, "the same of one that was no leader any more"),
    (344, "a command went to the node that led by then, and its flow went on with what the one before had"),
    (684, "a leader's snapshot was in place, and the crate was not told that all below it is applied"),
    (586, "the simulator took what a log had below a snapshot that came just then for applied"),
    (675, "a damaged snapshot of a leader, whose mark the log had"),
    (691, "the simulator took a snapshot that could not be read for refused without a reason"),
    (46, "a start with another number of shards did not see that the logs before its own end without a mark, and voted after a loss"),
    (67, "the same"),
    (4, "magic or salt of the last batch were damaged behind a mark: nothing seemed to be missing"),
    (7, "a node whose clock was wrong when it started stamped by it once it led"),
    (50, "the same, with two groups that it came to lead at once"),
    (104, "what others' clocks showed was noted by a clock that was set afterwards"),
    (22, "the simulator had one node go for good while another one did not know what it had lost"),
    (266, "the simulator switched a removed node off that still counted, while another one did not know what it had lost"),
    (45, "the simulator waited for a node to come back that was replaced meanwhile"),
    (139, "one that did not know what it lost had stood for election before, and no leader of an earlier term could tell it"),
    (480, "a node that joined ended between a snapshot's file and its members in the log, and went on without members"),
    (318, "one of three was removed and cut off, another waited for its word: those who operate the cluster say that its log holds"),
    (345, "the same"),
    (74, "the simulator did not allow for one that votes alone, hears nobody yet and believes its own clock"),
];

#[test]
fn kept_clusters_run_clean() {
    for (number, found) in KEPT_OF_CLUSTERS {
        let report = run(Seed { number, machines: 3 }, &Masks::default());
        assert_eq!(report.violation, None, "seed {number} of three machines, which once found: {found}");
        assert!(report.operations >= 1_000 && report.faults >= 5, "{report:?}");
    }
}

#[test]
fn a_seed_is_a_run() {
    let (first, second) = (run(alone(2), &Masks::default()), run(alone(2), &Masks::default()));
    assert_eq!((first.trace, first.events), (second.trace, second.events));
    assert_ne!(first.trace, run(alone(3), &Masks::default()).trace);
}
