//! Operations and answers as values, and how to make them up: few ids and few units, so that they collide.

use inventory_ledger::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

pub(crate) const SKUS: u128 = 3;
pub(crate) const LOCATIONS: u64 = 2;
pub(crate) const HOLDS: u128 = 12;
pub(crate) const MOVEMENTS: u128 = 60;

/// Small enough that every table is full at times, and that ids and holds grow old.
pub(crate) const LIMITS: Limits = Limits {
    rows_max: 5,
    holds_max: 9,
    tombstones_max: 2,
    movements_kept_max: 24,
    announcements_max: 2,
    shipments_max: 2,
    backorders_max: 3,
    purchase_limits_max: 2,
    purchases_max: 3,
    history_max: 90,
    events_max: 20,
    id_window_ms: 150,
    hold_life_ms_max: 250,
};

/// A hold as asked for, owned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) id: HoldId,
    pub(crate) kind: IdKind,
    pub(crate) owner: Owner,
    pub(crate) customer: Option<Customer>,
    pub(crate) lines: Vec<Line>,
    pub(crate) ttl_ms: u64,
    pub(crate) partial: bool,
    pub(crate) in_doubt: bool,
}

impl Ask {
    fn request(&self) -> HoldRequest<'_> {
        let Self { id, kind, owner, customer, ref lines, ttl_ms, partial, in_doubt } = *self;
        HoldRequest { id, kind, owner, customer, lines, ttl_ms, partial, in_doubt }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Open { id: MovementId, sku: Sku, location: Location, on_hand: Units },
    Adjust { id: MovementId, sku: Sku, location: Location, delta: i64, reason: Reason },
    Set { id: MovementId, sku: Sku, location: Location, on_hand: Units, expected: Option<Units>, reason: Reason },
    SetApart { id: MovementId, sku: Sku, location: Location, why: Unavailable, units: Units },
    PutBack { id: MovementId, sku: Sku, location: Location, why: Unavailable, units: Units },
    WriteOff { id: MovementId, sku: Sku, location: Location, why: Unavailable, units: Units },
    Receive { id: MovementId, announcement: Option<MovementId>, lines: Vec<Line> },
    Announce { id: MovementId, due: Millis, reference: Reference, lines: Vec<Line> },
    Withdraw { id: MovementId, announcement: MovementId },
    Send { id: MovementId, to: Location, lines: Vec<Line> },
    Arrive { id: MovementId, shipment: MovementId, lines: Option<Vec<Arrival>> },
    Recall { id: MovementId, shipment: MovementId },
    SetPolicy { sku: Sku, location: Location, policy: Policy },
    Fill(usize),
    SetThreshold { sku: Sku, location: Location, low: Option<Units> },
    SetLimit { sku: Sku, limit: PurchaseLimit },
    Restock { id: MovementId, hold: HoldId, lines: Option<Vec<Line>> },
    Hold(Ask),
    Pin(HoldId),
    Settle(HoldId),
    Extend(HoldId, u64),
    Commit(HoldId),
    CommitPart(HoldId, Vec<Line>),
    Release(HoldId),
    ReleaseTimed(HoldId),
    Forget(HoldId),
    Expire(usize),
    Sweep(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Moved(Result<Moved, MoveRefused>),
    Set(Result<(), UnknownRow>),
    Filled(Filled),
    Limited(Result<(), Full>),
    Goods(Result<Goods, GoodsRefused>),
    Restocked(Result<Restocked, RestockRefused>),
    Held(Result<Held, HoldRefused>),
    Pinned(Result<Pinned, PinRefused>),
    Settled(Result<Settled, PinRefused>),
    Extended(Result<Extended, PinRefused>),
    Committed(Result<Committed, CommitRefused>),
    Released(Result<Released, ReleaseRefused>),
    Forgotten(Result<Forgotten, ForgetRefused>),
    Expired(Expired),
    Swept(Swept),
}

impl Answer {
    /// The answer to the same movement, sent again.
    pub(crate) fn again(mut self) -> Self {
        match &mut self {
            Self::Moved(Ok(moved)) => moved.replayed = true,
            Self::Restocked(Ok(restocked)) => restocked.replayed = true,
            Self::Goods(Ok(goods)) => goods.replayed = true,
            _ => {}
        }
        self
    }
}

/// The one place that calls the ledger.
pub(crate) fn apply(ledger: &mut Ledger, now: Millis, op: &Op) -> Answer {
    match *op {
        Op::Open { id, sku, location, on_hand } => Answer::Moved(ledger.open_row(now, id, sku, location, on_hand)),
        Op::Adjust { id, sku, location, delta, reason } => Answer::Moved(ledger.adjust(now, id, sku, location, delta, reason)),
        Op::Set { id, sku, location, on_hand, expected, reason } => {
            Answer::Moved(ledger.set(now, id, sku, location, on_hand, expected, reason))
        }
        Op::SetApart { id, sku, location, why, units } => Answer::Moved(ledger.set_apart(now, id, sku, location, why, units)),
        Op::PutBack { id, sku, location, why, units } => Answer::Moved(ledger.put_back(now, id, sku, location, why, units)),
        Op::WriteOff { id, sku, location, why, units } => Answer::Moved(ledger.write_off(now, id, sku, location, why, units)),
        Op::Receive { id, announcement: None, ref lines } => Answer::Goods(ledger.receive(now, id, lines)),
        Op::Receive { id, announcement: Some(of), ref lines } => Answer::Goods(ledger.receive_announced(now, id, of, lines)),
        Op::Announce { id, due, reference, ref lines } => Answer::Goods(ledger.announce(now, id, due, reference, lines)),
        Op::Withdraw { id, announcement } => Answer::Goods(ledger.withdraw(now, id, announcement)),
        Op::Send { id, to, ref lines } => Answer::Goods(ledger.send(now, id, to, lines)),
        Op::Arrive { id, shipment, ref lines } => Answer::Goods(ledger.arrive(now, id, shipment, lines.as_deref())),
        Op::Recall { id, shipment } => Answer::Goods(ledger.recall(now, id, shipment)),
        Op::SetPolicy { sku, location, policy } => Answer::Set(ledger.set_policy(now, sku, location, policy)),
        Op::SetLimit { sku, limit } => Answer::Limited(ledger.set_purchase_limit(now, sku, limit)),
        Op::SetThreshold { sku, location, low } => Answer::Set(ledger.set_threshold(now, sku, location, low)),
        Op::Fill(max) => Answer::Filled(ledger.fill(now, max)),
        Op::Restock { id, hold, ref lines } => Answer::Restocked(ledger.restock(now, id, hold, lines.as_deref())),
        Op::Hold(ref ask) => Answer::Held(ledger.hold(now, &ask.request())),
        Op::Pin(id) => Answer::Pinned(ledger.pin(now, id)),
        Op::Settle(id) => Answer::Settled(ledger.settle(now, id)),
        Op::Extend(id, ttl_ms) => Answer::Extended(ledger.extend(now, id, ttl_ms)),
        Op::CommitPart(id, ref lines) => Answer::Committed(ledger.commit_part(now, id, lines)),
        Op::ReleaseTimed(id) => Answer::Released(ledger.release_timed(now, id)),
        Op::Commit(id) => Answer::Committed(ledger.commit(now, id)),
        Op::Release(id) => Answer::Released(ledger.release(now, id)),
        Op::Forget(id) => Answer::Forgotten(ledger.forget(now, id)),
        Op::Expire(max) => Answer::Expired(ledger.expire(now, max)),
        Op::Sweep(max) => Answer::Swept(ledger.sweep(now, max)),
    }
}

fn sku() -> impl Strategy<Value = Sku> {
    (0..SKUS).prop_map(Sku)
}

fn location() -> impl Strategy<Value = Location> {
    (0..LOCATIONS).prop_map(Location)
}

fn movement() -> impl Strategy<Value = MovementId> {
    (0..MOVEMENTS).prop_map(MovementId)
}

fn hold() -> impl Strategy<Value = HoldId> {
    (0..HOLDS).prop_map(HoldId)
}

/// A timed id, before it is known what time it is: its age, or how far ahead it is, and one of few numbers.
fn timed() -> impl Strategy<Value = (i64, u128)> {
    (prop_oneof![10 => 0..30_i64, 2 => 100..200_i64, 1 => -60_010..-59_990_i64], 0..3_u128)
}

fn reason() -> impl Strategy<Value = Reason> {
    (0..2_u32).prop_map(Reason)
}

fn stock() -> impl Strategy<Value = Units> {
    prop_oneof![20 => 0..30_u32, 1 => (u32::MAX / 2 - 1)..=u32::MAX].prop_map(Units)
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let quantity = prop_oneof![30 => 1..5_u32, 1 => Just(0), 1 => Just(u32::MAX)];
    let line = (sku(), location(), quantity).prop_map(|(sku, location, quantity)| Line { sku, location, quantity: Units(quantity) });
    prop_oneof![30 => vec(line, 1..5), 1 => Just(Vec::new())]
}

fn ask() -> impl Strategy<Value = Ask> {
    let owner = ((0..2_u128).prop_map(Owner), proptest::option::of((0..2_u128).prop_map(Customer)));
    let ttl_ms = prop_oneof![20 => 0..200_u64, 1 => 240..260_u64, 1 => Just(u64::MAX)];
    let options = (proptest::bool::weighted(0.3), proptest::bool::weighted(0.3), proptest::bool::weighted(0.02));
    (hold(), owner, lines(), ttl_ms, options).prop_map(|(id, (owner, customer), lines, ttl_ms, (partial, in_doubt, timed))| {
        let kind = if timed { IdKind::Timed } else { IdKind::Opaque };
        Ask { id, kind, owner, customer, lines, ttl_ms, partial, in_doubt }
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let limit = || prop_oneof![8 => 0..12_u32, 1 => Just(u32::MAX)].prop_map(Units);
    prop_oneof![
        1 => Just(Policy::Deny),
        4 => limit().prop_map(|limit| Policy::Backorder { limit }),
        2 => (limit(), (0..600_u64).prop_map(Millis)).prop_map(|(limit, until)| Policy::Preorder { limit, until }),
    ]
}

fn limit() -> impl Strategy<Value = PurchaseLimit> {
    let some = |from: u32, to: u32| proptest::option::of((from..to).prop_map(Units));
    (some(2, 12), some(2, 20)).prop_map(|(per_order, per_customer)| PurchaseLimit { per_order, per_customer })
}

fn apart() -> impl Strategy<Value = Op> {
    let why = prop_oneof![Just(Unavailable::Damaged), Just(Unavailable::Safety)];
    (movement(), sku(), location(), why, (0..6_u32).prop_map(Units), 0..5_u8).prop_map(|(id, sku, location, why, units, what)| match what {
        0 | 1 => Op::SetApart { id, sku, location, why, units },
        2 | 3 => Op::PutBack { id, sku, location, why, units },
        _ => Op::WriteOff { id, sku, location, why, units },
    })
}

fn goods() -> impl Strategy<Value = Op> {
    let few = || prop_oneof![8 => 0..4_u32, 1 => Just(u32::MAX)].prop_map(Units);
    let arrival = (sku(), few(), few(), few()).prop_map(|(sku, whole, damaged, lost)| Arrival { sku, whole, damaged, lost });
    let due = (0..3_u64).prop_map(Millis);
    let one = |from: Location, lines: Vec<Line>| lines.into_iter().map(|line| Line { location: from, ..line }).collect();
    prop_oneof![
        2 => (movement(), lines()).prop_map(|(id, lines)| Op::Receive { id, announcement: None, lines }),
        3 => (movement(), movement(), lines()).prop_map(|(id, of, lines)| Op::Receive { id, announcement: Some(of), lines }),
        3 => (movement(), due, (0..3_u128).prop_map(Reference), lines())
            .prop_map(|(id, due, reference, lines)| Op::Announce { id, due, reference, lines }),
        1 => (movement(), movement()).prop_map(|(id, announcement)| Op::Withdraw { id, announcement }),
        2 => (movement(), location(), lines()).prop_map(|(id, to, lines)| Op::Send { id, to, lines }),
        3 => (movement(), location(), lines()).prop_map(move |(id, to, lines)| Op::Send { id, to, lines: one(Location(1 - to.0), lines) }),
        4 => (movement(), movement(), proptest::option::weighted(0.7, vec(arrival, 0..3)))
            .prop_map(|(id, shipment, lines)| Op::Arrive { id, shipment, lines }),
        1 => (movement(), movement()).prop_map(|(id, shipment)| Op::Recall { id, shipment }),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let delta = prop_oneof![20 => -6..12_i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX)];
    prop_oneof![
        3 => (movement(), sku(), location(), stock())
            .prop_map(|(id, sku, location, on_hand)| Op::Open { id, sku, location, on_hand }),
        3 => (movement(), sku(), location(), delta, reason())
            .prop_map(|(id, sku, location, delta, reason)| Op::Adjust { id, sku, location, delta, reason }),
        2 => (movement(), sku(), location(), stock(), proptest::option::of((0..20_u32).prop_map(Units)), reason())
            .prop_map(|(id, sku, location, on_hand, expected, reason)| {
                Op::Set { id, sku, location, on_hand, expected, reason }
            }),
        3 => (movement(), hold(), proptest::option::weighted(0.4, lines()))
            .prop_map(|(id, hold, lines)| Op::Restock { id, hold, lines }),
        10 => ask().prop_map(Op::Hold),
        3 => apart(),
        5 => goods(),
        3 => (sku(), location(), policy()).prop_map(|(sku, location, policy)| Op::SetPolicy { sku, location, policy }),
        3 => (0..4_usize).prop_map(Op::Fill),
        2 => (sku(), location(), proptest::option::weighted(0.9, (0..12_u32).prop_map(Units)))
            .prop_map(|(sku, location, low)| Op::SetThreshold { sku, location, low }),
        3 => (sku(), limit()).prop_map(|(sku, limit)| Op::SetLimit { sku, limit }),
        2 => hold().prop_map(Op::Pin),
        2 => hold().prop_map(Op::Settle),
        2 => (hold(), 0..300_u64).prop_map(|(id, ttl_ms)| Op::Extend(id, ttl_ms)),
        4 => hold().prop_map(Op::Commit),
        3 => (hold(), lines()).prop_map(|(id, lines)| Op::CommitPart(id, lines)),
        2 => hold().prop_map(Op::Release),
        1 => hold().prop_map(Op::ReleaseTimed),
        1 => hold().prop_map(Op::Forget),
        2 => (0..4_usize).prop_map(Op::Expire),
        2 => (0..20_usize).prop_map(Op::Sweep),
    ]
}

/// What happens next.
#[derive(Clone, Debug)]
enum Next {
    New(Op),
    /// The operation, on a timed id.
    Timed(Op, (i64, u128)),
    /// The operation, but on one of the holds asked for lately: most ids drawn blindly name no hold.
    Follow(Op, Index),
    /// One of the last operations, sent again.
    Again(Index),
}

/// How far back `Follow` and `Again` look.
const LATELY: usize = 8;

/// Histories of up to 200 operations, each with its instant. Half of them begin with some stock. Time mostly creeps; at times it
/// leaps over a day or goes back.
pub(crate) fn history() -> impl Strategy<Value = Vec<(Millis, Op)>> {
    let step_ms = prop_oneof![40 => 0..8_i64, 2 => Just(60), 1 => Just(90_000_000), 1 => Just(-20)];
    let next = prop_oneof![
        3 => any_op().prop_map(Next::New),
        1 => (any_op(), timed()).prop_map(|(op, id)| Next::Timed(op, id)),
        4 => (any_op(), any::<Index>()).prop_map(|(op, which)| Next::Follow(op, which)),
        1 => any::<Index>().prop_map(Next::Again),
    ];
    (any::<bool>(), vec((step_ms, next), 1..200)).prop_map(|(stocked, steps)| {
        let mut now = 0_i64;
        let mut history = if stocked { opening() } else { Vec::new() };
        for (step_ms, next) in steps {
            now = (now + step_ms).max(0);
            let lately = &history[history.len().saturating_sub(LATELY)..];
            let op = match next {
                Next::New(op) => op,
                Next::Timed(op, (age_ms, number)) => on_timed(op, HoldId::timed(Millis((now - age_ms).max(0) as u64), number)),
                Next::Follow(op, which) => follow(op, which, lately),
                Next::Again(_) if lately.is_empty() => Op::Expire(1),
                Next::Again(which) => which.get(lately).1.clone(),
            };
            history.push((Millis(now as u64), op));
        }
        history
    })
}

fn opening() -> Vec<(Millis, Op)> {
    let row =
        |n: u128| Op::Open { id: MovementId(MOVEMENTS + n), sku: Sku(n / 2), location: Location(n as u64 % LOCATIONS), on_hand: Units(25) };
    (0..4).map(|n| (Millis(0), row(n))).collect()
}

fn on_timed(op: Op, id: HoldId) -> Op {
    match op {
        Op::Hold(ask) => Op::Hold(Ask { id, kind: IdKind::Timed, ..ask }),
        Op::Release(_) | Op::ReleaseTimed(_) => Op::ReleaseTimed(id),
        other => other,
    }
}

/// Turns an operation on any hold to one of those asked for lately; a restock or a commit in part then asks for some of that hold's
/// lines.
fn follow(op: Op, which: Index, lately: &[(Millis, Op)]) -> Op {
    let asked = |(_, op): &(Millis, Op)| match op {
        Op::Hold(ask) => Some(ask.clone()),
        _ => None,
    };
    let of_coming = |(_, lately): &(Millis, Op)| match (lately, &op) {
        (Op::Announce { id, lines, .. }, Op::Receive { .. } | Op::Withdraw { .. }) => Some((*id, lines.clone())),
        (Op::Send { id, lines, .. }, Op::Arrive { .. } | Op::Recall { .. }) => Some((*id, lines.clone())),
        _ => None,
    };
    let coming: Vec<(MovementId, Vec<Line>)> = lately.iter().filter_map(of_coming).collect();
    if !coming.is_empty() {
        let (of, asked) = which.get(&coming).clone();
        return match op {
            Op::Receive { id, mut lines, .. } => {
                lines.iter_mut().zip(&asked).for_each(|(line, asked)| (line.sku, line.location) = (asked.sku, asked.location));
                Op::Receive { id, announcement: Some(of), lines }
            }
            Op::Withdraw { id, .. } => Op::Withdraw { id, announcement: of },
            Op::Arrive { id, lines, .. } => {
                let of_it = |mut lines: Vec<Arrival>| {
                    lines.iter_mut().zip(&asked).for_each(|(line, asked)| line.sku = asked.sku);
                    lines
                };
                Op::Arrive { id, shipment: of, lines: lines.map(of_it) }
            }
            Op::Recall { id, .. } => Op::Recall { id, shipment: of },
            other => other,
        };
    }
    let holds: Vec<Ask> = lately.iter().filter_map(asked).collect();
    if holds.is_empty() {
        return op;
    }
    let Ask { id: hold, kind, lines: of_hold, .. } = which.get(&holds).clone();
    let some_of_it = |wanted: Vec<Line>| -> Vec<Line> {
        let less = |(line, wanted): (Line, Line)| Line { quantity: Units(line.quantity.0.min(wanted.quantity.0)), ..line };
        of_hold.into_iter().zip(wanted).map(less).collect()
    };
    match op {
        Op::Pin(_) => Op::Pin(hold),
        Op::Settle(_) => Op::Settle(hold),
        Op::Extend(_, ttl_ms) => Op::Extend(hold, ttl_ms),
        Op::Commit(_) => Op::Commit(hold),
        Op::CommitPart(_, lines) => Op::CommitPart(hold, some_of_it(lines)),
        Op::Release(_) | Op::ReleaseTimed(_) if kind == IdKind::Timed => Op::ReleaseTimed(hold),
        Op::Release(_) | Op::ReleaseTimed(_) => Op::Release(hold),
        Op::Forget(_) => Op::Forget(hold),
        Op::Restock { id, lines, .. } => Op::Restock { id, hold, lines: lines.map(some_of_it) },
        other => other,
    }
}
