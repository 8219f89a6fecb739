//! The simulator: whole machines from one seed, in one thread, with everything going wrong that its fault model knows.
//!
//! Real are the shards' cores, the partitions, the log with its recovery, saga, ledger, index and idempotency. Of the simulation's making are the disks,
//! the clocks, the queues, the network, the payment provider and the clients. It is the third driver beside those of `shard/drivers`.
//!
//! Path: `sim --seed N` → [`cli`] → [`run`] → `world.rs` → a report, or what was violated, with the smallest schedule that still shows it (`shrink.rs`).
//! Read first: `world.rs` and `machine.rs`; then `faults.rs` for what may go wrong and `checks/` for what must be true all the same.
//! With several machines there is a network between them (`network.rs`); clients ask the one that they think leads (`World::route`); and in half of the
//! runs nodes come and go (`keeper.rs`).
//! Bounds: [`Seed::machines`] of 1 to 4 shards each; some 2,000 operations and a dozen faults a seed, all in memory.

mod checks;
mod cli;
mod clients;
mod clock;
mod disk;
mod driver;
mod faults;
mod files;
#[cfg(feature = "mutants")]
mod hunt;
mod keeper;
mod machine;
mod network;
mod node;
mod provider;
mod random;
mod shrink;
#[cfg(test)]
mod tests;
mod world;

pub use cli::main;

use random::Random;
use std::collections::BTreeSet;

/// Name of the payment adapter.
const PROVIDER: &str = "bank";

/// What a run is like, but for its events.
#[derive(Clone, Debug)]
struct Settings {
    /// Those that a run begins with.
    machines: u16,
    /// Nodes come and go.
    changes: bool,
    /// A machine whose wall clock is far off, by so many milliseconds to begin with.
    wild_clock: Option<(u16, i64)>,
    partitions: u16,
    /// At each start of a machine so many, from 1.
    shards_max: u16,
    /// Every start has as many as the first.
    shards_fixed: Option<u16>,
    segment_bytes: u64,
    /// Past it the partition that keeps the log's oldest segment is snapshotted.
    log_bytes_max: u64,
    hold_ttl_ms: u64,
    decide_ms: u64,
    capture_at_once: bool,
    /// Life of the reservations that are left alone.
    reserve_ttl_ms: u64,
    locations: u64,
    products: u64,
    /// Clients of each kind, and errands of each.
    staff: (u32, u32),
    holders: (u32, u32),
    shoppers: (u32, u32),
    readers: (u32, u32),
}

impl Settings {
    fn draw(random: &mut Random) -> Self {
        let shards_max = random.between(1, 4) as u16;
        Self {
            machines: 1,
            changes: false,
            wild_clock: None,
            partitions: random.between(4, 9) as u16,
            shards_max,
            shards_fixed: random.chance(500).then_some(shards_max),
            segment_bytes: crate::log::SEGMENT_BYTES_MIN,
            log_bytes_max: random.pick(&[1, 2, 3, 1_000]) * crate::log::SEGMENT_BYTES_MIN,
            hold_ttl_ms: random.pick(&[800, 3_000, 20_000]),
            decide_ms: random.pick(&[1_500, 5_000, 60_000]),
            capture_at_once: random.chance(700),
            reserve_ttl_ms: random.pick(&[60, 300, 2_000]),
            locations: random.between(2, 5),
            products: random.between(6, 12),
            staff: (1, 160),
            holders: (8, 50),
            shoppers: (7, 18),
            readers: (3, 50),
        }
    }

    /// What a cluster has beside: drawn from a stream of its own, so that the rest is as it is for a machine alone.
    fn of_cluster(self, machines: u16, random: &mut Random) -> Self {
        let changes = machines > 2 && random.chance(500);
        let far = clock::WILD_MS_MAX;
        let wild = (random.below(u64::from(machines)) as u16, random.below(2 * far).cast_signed() - far.cast_signed());
        let wild_clock = (machines > 2 && random.chance(500)).then_some(wild);
        Self { machines, changes, wild_clock, ..self }
    }

    /// Shards of the next start.
    fn shards_at(&self, random: &mut Random) -> u16 {
        self.shards_fixed
            .unwrap_or_else(|| if random.chance(700) { self.shards_max } else { random.between(1, u64::from(self.shards_max)) as u16 })
    }
}

/// What is left out of a run: faults by number, errands by client and number.
#[derive(Clone, Debug, Default)]
struct Masks {
    faults: BTreeSet<u32>,
    errands: BTreeSet<(usize, u32)>,
}

impl Masks {
    fn fault(&self, number: u32) -> bool {
        self.faults.contains(&number)
    }

    fn errand(&self, client: usize, number: u32) -> bool {
        self.errands.contains(&(client, number))
    }
}

/// What a run is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seed {
    number: u64,
    /// Machines of the run: one alone, or a cluster.
    machines: u16,
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}

/// Runs a seed. A panic of what is run is a violation like any other.
fn run(seed: Seed, masks: &Masks) -> world::Report {
    let masks = masks.clone();
    std::panic::catch_unwind(move || world::World::new(seed, masks).run()).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = checks::Violation::new(format!("a panic: {}", text.unwrap_or_default()));
        world::Report { violation: Some(violation), ..world::Report::default() }
    })
}
