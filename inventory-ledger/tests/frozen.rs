//! Snapshots in steps of a ledger with thousands of rows and holds, while it goes on: long lists of the wheel, coarse ones that are dealt out bit by
//! bit, places that are used again, sweeps that overtake the walk. `tests/model` has the small histories with every operation.

use inventory_ledger::{
    HoldId, HoldRequest, IdKind, Ledger, Limits, Line, Location, Millis, MovementId, Owner, Policy, Restore, Saved, Sku, Unavailable, Units,
};

const SKUS: u64 = 3_000;
const PLACE: Location = Location(1);

/// Numbers that look random, and the same every time: xorshift64 (Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A shop at work.
struct Shop {
    ledger: Ledger,
    dice: Dice,
    now: u64,
    /// Ids of holds that were made, of which any number has ended.
    ids: Vec<HoldId>,
    made: u64,
}

impl Shop {
    fn new(seed: u64) -> Self {
        let mut ledger = Ledger::new(Limits { events_max: 300, id_window_ms: 5_000, ..Limits::default() });
        for sku in 0..SKUS {
            ledger.open_row(Millis(0), MovementId(sku.into()), Sku(sku.into()), PLACE, Units(1 + sku as u32 % 90)).expect("there is room");
            if sku % 10 == 0 {
                let (sku, policy) = (Sku(sku.into()), Policy::Backorder { limit: Units(1_000) });
                ledger.set_policy(Millis(0), sku, PLACE, policy).expect("the row is there");
                ledger.set_threshold(Millis(0), sku, PLACE, Some(Units(20))).expect("the row is there");
            }
        }
        Self { ledger, dice: Dice(seed), now: 70_000, ids: Vec::new(), made: SKUS }
    }

    fn lines(&mut self) -> Vec<Line> {
        let len = 1 + self.dice.below(20) / 5 + self.dice.below(50) / 49 * 30;
        (0..len)
            .map(|_| Line { sku: Sku(self.dice.below(SKUS).into()), location: PLACE, quantity: Units(1 + self.dice.below(3) as u32) })
            .collect()
    }

    fn hold(&mut self) {
        let (lines, now) = (self.lines(), Millis(self.now));
        self.made += 1;
        let (id, kind) = match self.dice.below(3) {
            0 => (HoldId(self.made.into()), IdKind::Opaque),
            _ => (HoldId::timed(now, self.made.into()), IdKind::Timed),
        };
        // Lives of all lengths, so that the wheel has lists on several levels, and many in one millisecond.
        let ttl_ms = [3, 50, 400, 70_000, 200_000][self.dice.below(5) as usize] + self.dice.below(3);
        let mut request = HoldRequest::new(id, Owner(1), &lines, ttl_ms);
        (request.kind, request.partial, request.in_doubt) = (kind, self.dice.below(4) == 0, self.dice.below(9) == 0);
        if self.ledger.hold(now, &request).is_ok() {
            self.ids.push(id);
        }
    }

    /// Any operation, of the kind that `times` has more of.
    fn step(&mut self) {
        self.now += self.dice.below(8) / 7 * self.dice.below(40);
        let now = Millis(self.now);
        let id = if self.ids.is_empty() { HoldId(0) } else { self.ids[self.dice.below(self.ids.len() as u64) as usize] };
        let ledger = &mut self.ledger;
        match self.dice.below(20) {
            0..8 => self.hold(),
            8 | 9 => drop(ledger.release(now, id)),
            10 => drop(ledger.pin(now, id)),
            11 => drop(ledger.extend(now, id, 90_000)),
            12 => drop(ledger.commit(now, id)),
            13 => drop(ledger.settle(now, id)),
            14 => drop(ledger.forget(now, id)),
            // Small steps leave coarse lists half dealt out.
            15 | 16 => drop(ledger.expire(now, self.dice.below(3) as usize)),
            17 => drop(ledger.sweep(now, 1 + self.dice.below(5) as usize)),
            18 => {
                self.made += 1;
                let (id, sku) = (MovementId(self.made.into()), Sku(self.dice.below(SKUS + SKUS / 50).into()));
                match self.dice.below(4) {
                    0 => drop(ledger.set_apart(now, id, sku, PLACE, Unavailable::Damaged, Units(1))),
                    1 => drop(ledger.restock(now, id, self.ids[self.dice.below(self.ids.len() as u64) as usize], None)),
                    _ => drop(ledger.adjust(now, id, sku, PLACE, 3, inventory_ledger::Reason(1))),
                }
            }
            _ => drop(ledger.fill(now, 3)),
        }
        self.ledger.drain_changes().for_each(drop);
    }
}

#[test]
fn a_big_ledger_is_saved_as_it_was_while_it_goes_on() {
    for seed in 1..=6 {
        let mut shop = Shop::new(seed);
        for _ in 0..8_000 {
            shop.step();
        }
        // From hardly anything between the steps to more than a step gives.
        for (round, busy) in [0, 5, 60, 400].into_iter().enumerate() {
            let (saved, digest): (Vec<Saved>, u64) = (shop.ledger.save().collect(), shop.ledger.digest());
            let mut got: Vec<Saved> = Vec::new();
            shop.ledger.freeze();
            if round % 2 == 1 {
                // A leap: everything that was alive is due, and a part of it ends before the walk begins.
                shop.now += 300_000;
                shop.ledger.expire(Millis(shop.now), 700);
                shop.ledger.sweep(Millis(shop.now), 100);
            }
            while shop.ledger.frozen(90, &mut |item| got.push(item)) {
                for _ in 0..busy {
                    shop.step();
                }
            }
            assert!(got.len() == saved.len() && got.iter().zip(&saved).all(|(got, saved)| got == saved), "seed {seed}, round {round}");
            let mut restore = Restore::new(shop.ledger.limits());
            got.into_iter().for_each(|item| restore.put(item).expect("it was saved"));
            assert_eq!(restore.finish().expect("it agrees").digest(), digest);
            shop.ledger.check().expect("the walk spoilt nothing");
            assert_eq!(shop.ledger.footprint().frozen, 0);
        }
        let usage = shop.ledger.usage();
        assert!(usage.live > 300 && usage.holds - usage.live > 300 && usage.backorders > 30 && usage.events == 300, "{usage:?}");
    }
}

#[test] // Given up at any point, and begun again.
fn a_snapshot_given_up_leaves_nothing() {
    let mut shop = Shop::new(9);
    for round in 0..40 {
        (0..200).for_each(|_| shop.step());
        shop.ledger.freeze();
        assert!(shop.ledger.is_frozen());
        for _ in 0..round {
            shop.ledger.frozen(200, &mut |_| ());
            (0..20).for_each(|_| shop.step());
        }
        assert!(shop.ledger.footprint().frozen > 0 || !shop.ledger.is_frozen());
        shop.ledger.thaw();
        assert!(!shop.ledger.is_frozen() && shop.ledger.footprint().frozen == 0);
        assert!(!shop.ledger.frozen(10, &mut |_| panic!("nothing is under way")));
    }
}

#[test]
#[should_panic(expected = "a snapshot is under way")]
fn one_snapshot_at_a_time() {
    let mut ledger = Ledger::new(Limits::default());
    ledger.freeze();
    ledger.freeze();
}
