//! Transfers between locations, of one partition and of two: no unit is lost or made on the way, whatever comes twice or too late.

use crate::partition::{Changes, Done, LANDING_RETRY_MS, Outcome, Partition, outbox::Target, peer_outcome};
use crate::record::v1::{Arrived, Command, Entry, HoldLine, PeerOutcome, StockChange};
use proptest::prelude::*;
use wire::{GoodsDone, Millis, PartitionId, RawId, Refusal, SkuId, TransferId, placement};

const PARTITIONS: u16 = 64;
const HERE: PartitionId = PartitionId(3);
const THERE: PartitionId = PartitionId(40);

fn sku(n: u128) -> SkuId {
    SkuId(RawId(n))
}

/// The first `place-N` that lives on a partition.
fn place(partition: PartitionId, nth: usize) -> String {
    let all = (0..).map(|n| format!("place-{n}"));
    let on = |code: &String| placement::partition_of(placement::Space::Location, code.as_bytes(), PARTITIONS) == partition;
    all.filter(on).nth(nth).expect("numbers do not end")
}

/// Two partitions, and what is said between them only when a test says so.
struct Two {
    here: Partition,
    there: Partition,
    time: u64,
    next: u128,
    lost: u64,
}

impl Two {
    fn new(on_hand: u32) -> Self {
        let partition = |id| Partition::new(id, 0, PARTITIONS);
        let mut two = Self { here: partition(HERE), there: partition(THERE), time: 1_000_000, next: 0, lost: 0 };
        for n in 1..=2 {
            let change = StockChange::Delta(i64::from(on_hand));
            let set = Command::AdjustStock { id: n, sku: sku(n), location: place(HERE, 0), change, reason: String::new() };
            two.run(HERE, set).expect("set");
        }
        two
    }

    fn run(&mut self, partition: PartitionId, command: Command) -> Outcome {
        let at = if partition == HERE { &mut self.here } else { &mut self.there };
        let outcome = at.apply(Millis(self.time), &Entry::of(command), &mut Changes::default()).outcome;
        self.here.check().expect("consistent");
        self.there.check().expect("consistent");
        outcome
    }

    fn send(&mut self, to: &str, lines: &[(u128, u32)]) -> Result<TransferId, Refusal> {
        let lines = lines.iter().map(|(n, quantity)| HoldLine { sku: sku(*n), quantity: *quantity }).collect();
        let sent = told(self.run(HERE, Command::SendStock { from: place(HERE, 0), to: to.to_owned(), lines }))?;
        Ok(sent.transfer.expect("an id"))
    }

    fn arrive(&mut self, transfer: TransferId, lines: Option<&[(u128, u32, u32, u32)]>) -> Result<GoodsDone, Refusal> {
        self.next += 1;
        let lines: Option<Vec<Arrived>> =
            lines.map(|lines| lines.iter().map(|&(n, whole, damaged, lost)| Arrived { sku: sku(n), whole, damaged, lost }).collect());
        let lost: u64 = lines.iter().flatten().map(|line| u64::from(line.lost)).sum();
        let arrived = told(self.run(HERE, Command::ArriveStock { id: self.next, transfer, lines }));
        if arrived.is_ok() {
            self.lost += lost;
        }
        arrived
    }

    /// Carries the oldest effect out `times`, and then gives its answer `answers` times.
    fn deliver(&mut self, times: usize, answers: usize) -> Option<PeerOutcome> {
        let (effect, to, command) = self.here.outbox().open.iter().find_map(|(id, effect)| match &effect.target {
            Target::Partition(to, command) => Some((*id, *to, command.clone())),
            Target::Adapter { .. } => None,
        })?;
        let mut answer = None;
        for _ in 0..times {
            answer = Some(peer_outcome(&self.run(to, command.clone())));
        }
        for _ in 0..answers {
            let answer = answer.clone().expect("delivered");
            self.run(HERE, Command::EffectAnswered { effect, answer }).expect("answers are taken");
        }
        answer
    }

    fn quiet(&mut self) {
        while self.deliver(1, 1).is_some() {}
    }

    /// On hand and in transit over both, with what was said to be lost.
    fn units(&self) -> u64 {
        let rows = [&self.here, &self.there].into_iter().flat_map(|at| (1..=2).flat_map(|n| at.stock().inventory(sku(n))));
        rows.map(|row| row.on_hand() + u64::from(row.in_transit)).sum::<u64>() + self.lost
    }

    /// Available, unavailable and in transit of the first SKU at a location, over both.
    fn row(&self, code: &str) -> (u32, u32, u32) {
        let rows = [&self.here, &self.there].into_iter().flat_map(|at| at.stock().inventory(sku(1)));
        rows.filter(|row| row.location == code)
            .fold((0, 0, 0), |sum, row| (sum.0 + row.available, sum.1 + row.unavailable, sum.2 + row.in_transit))
    }
}

fn told(outcome: Outcome) -> Result<GoodsDone, Refusal> {
    match outcome? {
        Done::Goods(goods) => Ok(goods.told),
        other => panic!("goods were expected, not {other:?}"),
    }
}

#[test]
fn within_a_partition_an_arrival_is_one_movement() {
    let mut two = Two::new(10);
    let to = place(HERE, 1);
    let transfer = two.send(&to, &[(1, 6), (2, 1)]).expect("sent");
    assert_eq!((two.row(&place(HERE, 0)), two.row(&to)), ((4, 0, 0), (0, 0, 6)));
    let done = two.arrive(transfer, Some(&[(1, 3, 1, 1)])).expect("arrived");
    assert_eq!((done.units, done.left, done.arriving), (4, 2, 0));
    assert_eq!(two.row(&to), (3, 1, 1));
    assert!(two.here.outbox().open.is_empty());
    assert!(matches!(two.arrive(transfer, Some(&[(1, 2, 0, 0)])), Err(Refusal::Invalid(_))), "more than is left");
    let done = told(two.run(HERE, Command::RecallStock { id: 1, transfer })).expect("recalled");
    assert_eq!((done.units, done.left), (2, 0));
    assert_eq!((two.row(&place(HERE, 0)), two.row(&to)), ((5, 0, 0), (3, 1, 0)));
    assert_eq!(two.arrive(transfer, None), Err(Refusal::NotFound), "it is closed");
    assert_eq!(two.units(), 20);
}

#[test]
fn across_partitions_a_unit_is_in_transit_until_its_destination_has_it() {
    let mut two = Two::new(10);
    let to = place(THERE, 0);
    let transfer = two.send(&to, &[(1, 6), (2, 2)]).expect("sent");
    assert_eq!((two.row(&to), two.here.stock_rows(sku(1)).len()), ((0, 0, 6), 1), "no row to sell from");
    let done = two.arrive(transfer, Some(&[(1, 3, 1, 1)])).expect("arrived");
    assert_eq!((done.units, done.left, done.arriving), (4, 3, 4));
    assert_eq!((two.row(&to), two.units()), ((0, 0, 6), 21), "the lost one leaves with the rest");
    assert_eq!(two.run(HERE, Command::RecallStock { id: 1, transfer }), Err(Refusal::StillArriving));
    assert!(matches!(two.arrive(transfer, Some(&[(1, 2, 0, 0)])), Err(Refusal::Invalid(_))), "what is arriving cannot arrive again");

    // Booked twice and answered twice.
    assert_eq!(two.deliver(2, 0), Some(PeerOutcome::Done));
    assert_eq!(two.row(&to), (3, 1, 6));
    assert_eq!(two.deliver(2, 2), Some(PeerOutcome::Done));
    assert_eq!(two.row(&to), (3, 1, 1));
    two.quiet();
    assert_eq!((two.units(), two.here.stock().transfer(transfer)), (20, Some((3, 0))));
    let done = two.arrive(transfer, None).expect("the rest, whole");
    assert_eq!((done.units, done.left), (3, 0));
    two.quiet();
    assert_eq!((two.row(&to), two.units(), two.here.stock().transfer(transfer)), ((4, 1, 0), 20, None));
    assert!(two.here.outbox().open.is_empty());
}

#[test] // The answer takes days: the ledger has forgotten the movement, the landing is remembered.
fn a_landing_is_remembered_until_its_transfer_knows_it() {
    let mut two = Two::new(10);
    let to = place(THERE, 0);
    let transfer = two.send(&to, &[(1, 6)]).expect("sent");
    two.arrive(transfer, None).expect("arrived");
    two.deliver(1, 0);
    two.time += 3 * 24 * 3_600_000;
    while two.run(THERE, Command::RunTimers { max: 1_000 }) == Ok(Done::Timers { more: true }) {}
    assert_eq!(two.deliver(1, 1), Some(PeerOutcome::Done));
    two.quiet();
    assert_eq!((two.row(&to), two.units()), ((6, 0, 0), 20));
}

#[test]
fn a_destination_without_room_is_asked_again() {
    let mut two = Two::new(10);
    let to = place(THERE, 0);
    for id in 1..=2 {
        let change = StockChange::Delta(1_000_000_000);
        let full = Command::AdjustStock { id, sku: sku(1), location: to.clone(), change, reason: String::new() };
        two.run(THERE, full).expect("there is room");
    }
    let change = StockChange::Delta(i64::from(i32::MAX) - 2_000_000_000 - 3);
    two.run(THERE, Command::AdjustStock { id: 3, sku: sku(1), location: to.clone(), change, reason: String::new() }).expect("nearly full");
    let before = two.units();
    let transfer = two.send(&to, &[(1, 6)]).expect("sent");
    two.arrive(transfer, None).expect("arrived");
    assert!(matches!(two.deliver(1, 1), Some(PeerOutcome::Refused { .. })));
    assert!(two.here.outbox().open.is_empty());
    assert_eq!((two.here.stock().transfer(transfer), two.units()), (Some((0, 6)), before), "still in transit");
    let change = StockChange::Delta(-100);
    two.run(THERE, Command::AdjustStock { id: 4, sku: sku(1), location: to.clone(), change, reason: String::new() }).expect("room is made");
    two.time += LANDING_RETRY_MS;
    assert_eq!(two.here.next_timer(), Some(Millis(two.time)));
    two.run(HERE, Command::RunTimers { max: 10 }).expect("timers run");
    two.quiet();
    assert_eq!((two.here.stock().transfer(transfer), two.units()), (None, before - 100));
}

#[test]
fn what_all_is_lost_asks_nobody() {
    let mut two = Two::new(10);
    let transfer = two.send(&place(THERE, 0), &[(1, 6)]).expect("sent");
    let done = two.arrive(transfer, Some(&[(1, 0, 0, 6)])).expect("lost");
    assert_eq!((done.units, done.left, done.arriving), (0, 0, 0));
    assert!(two.here.outbox().open.is_empty());
    assert_eq!((two.units(), two.here.stock().transfer(transfer)), (20, None));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut two = Two::new(10);
    let from = place(HERE, 0);
    let short = two.send(&place(THERE, 0), &[(2, 1), (1, 11)]);
    let Err(Refusal::InsufficientStock(short)) = short else { panic!("{short:?}") };
    assert_eq!((short[0].line, short[0].sku, short[0].requested, short[0].available), (1, sku(1), 11, 10));
    for (to, lines) in [(from.as_str(), &[(1, 1)][..]), ("", &[(1, 1)]), ("place-1", &[])] {
        assert!(matches!(two.send(to, lines), Err(Refusal::Invalid(_))), "{to:?} {lines:?}");
    }
    let unknown = TransferId(RawId(5));
    assert_eq!(two.arrive(unknown, None), Err(Refusal::NotFound));
    assert_eq!(two.run(HERE, Command::RecallStock { id: 1, transfer: unknown }), Err(Refusal::NotFound));
    assert_eq!(two.units(), 20);
}

proptest! {
    #[test] // Sends, arrivals, recalls, deliveries that are repeated, late or answered twice: at every quiet point the sum is what it was.
    fn units_are_conserved(steps in proptest::collection::vec((0u8..8, 0usize..4, 0u32..5, 0u32..3, 0u32..3), 0..60)) {
        let mut two = Two::new(30);
        let mut transfers = Vec::new();
        for (what, nth, a, b, c) in steps {
            let transfer = transfers.get(nth % transfers.len().max(1)).copied();
            match (what, transfer) {
                (0, _) => transfers.extend(two.send(&place(THERE, nth % 2), &[(1, a), (2, b + 1)])),
                (1, _) => transfers.extend(two.send(&place(HERE, 1 + nth % 2), &[(1, a + 1)])),
                (2 | 3, Some(transfer)) => drop(two.arrive(transfer, Some(&[(1, a, b, c)]))),
                (4, Some(transfer)) => drop(two.arrive(transfer, None)),
                (5, Some(transfer)) => {
                    two.next += 1;
                    drop(two.run(HERE, Command::RecallStock { id: two.next, transfer }));
                }
                (6, _) => drop(two.deliver(1 + nth % 2, b as usize % 3)),
                (7, _) => {
                    two.quiet();
                    prop_assert_eq!(two.units(), 60);
                }
                _ => {}
            }
        }
        two.quiet();
        prop_assert_eq!(two.units(), 60);
        for transfer in transfers {
            prop_assert_eq!(two.here.stock().transfer(transfer).map_or(0, |(_, arriving)| arriving), 0);
        }
    }
}
