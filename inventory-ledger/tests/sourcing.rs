//! Sourcing against a dull model that tries every set of locations, and rows of decisions worth reading.

use std::collections::BTreeMap;

use inventory_ledger::{
    Candidate, EXACT_LOCATIONS_MAX, HoldId, HoldRequest, LINES_MAX, LOCATIONS_MAX, Ledger, Limits, Line, Location, Millis, MovementId,
    Owner, Plan, Rule, Sku, SourcingRefused, Split, Units, Wanted, source,
};
use proptest::{collection::vec, prelude::*, sample::subsequence};

/// A decision to make: what is wanted, of whom, and what each has, by location and line.
#[derive(Clone, Debug)]
struct Question {
    wanted: Vec<Wanted>,
    candidates: Vec<Candidate>,
    stock: BTreeMap<(Location, Sku), u32>,
}

impl Question {
    fn there(&self, location: Location, sku: Sku) -> u32 {
        self.stock.get(&(location, sku)).copied().unwrap_or(0)
    }

    fn ask(&self, rule: Rule, split: Split) -> Result<Plan, SourcingRefused> {
        source(&self.wanted, &self.candidates, rule, split, |sku, location| Units(self.there(location, sku)))
    }

    /// Locations by the rule, the best first.
    fn order(&self, rule: Rule) -> Vec<Location> {
        let mut candidates = self.candidates.clone();
        candidates.sort_by_key(|c| match rule {
            Rule::Priority | Rule::FewestParcels => (u64::from(c.priority), c.distance, c.location),
            Rule::Nearest => (c.distance, u64::from(c.priority), c.location),
        });
        candidates.iter().map(|c| c.location).collect()
    }

    /// The most of a line that a set of locations can send.
    fn could(&self, line: Wanted, set: &[Location], split: Split) -> u32 {
        let there = set.iter().map(|location| self.there(*location, line.sku).min(line.quantity.0));
        match split {
            Split::Allowed => there.sum::<u32>().min(line.quantity.0),
            Split::Never => there.max().unwrap_or(0),
        }
    }

    fn covered_by(&self, set: &[Location], split: Split) -> bool {
        self.wanted.iter().all(|line| self.could(*line, set, split) == line.quantity.0)
    }

    /// The smallest set that covers, of those the first in order; by trying all.
    fn smallest(&self, split: Split) -> Option<Vec<Location>> {
        let order = self.order(Rule::FewestParcels);
        let sets = (1_u32..1 << order.len()).map(|bits| (0..order.len()).filter(|at| bits >> at & 1 == 1).collect::<Vec<_>>());
        let named = |set: &[usize]| set.iter().map(|at| order[*at]).collect::<Vec<_>>();
        let best = sets.filter(|set| self.covered_by(&named(set), split)).min_by_key(|set| (set.len(), set.clone()));
        best.map(|set| named(&set))
    }
}

/// The model of the rules that go through locations in order: units by location and line.
fn in_order(question: &Question, rule: Rule, split: Split) -> BTreeMap<(Location, Sku), u32> {
    let mut taken = BTreeMap::new();
    for line in &question.wanted {
        let mut missing = line.quantity.0;
        for location in question.order(rule) {
            let there = question.there(location, line.sku);
            let take = if split == Split::Never && there < line.quantity.0 { 0 } else { there.min(missing) };
            missing -= take;
            if take > 0 {
                taken.insert((location, line.sku), take);
            }
        }
    }
    taken
}

fn taken(plan: &Plan) -> BTreeMap<(Location, Sku), u32> {
    plan.allocations().iter().map(|from| ((from.location, from.sku), from.quantity.0)).collect()
}

fn locations(plan: &Plan) -> Vec<Location> {
    plan.parcels().map(|(location, _)| location).collect()
}

/// What every plan promises, whatever the rule.
fn check_plan(question: &Question, rule: Rule, split: Split, plan: &Plan) {
    let order = question.order(rule);
    let ranks = locations(plan).iter().map(|at| order.iter().position(|l| l == at).expect("a candidate")).collect::<Vec<_>>();
    assert!(ranks.is_sorted_by(|one, next| one < next), "each location once, the best first: {ranks:?}");
    let mut sent = vec![0; question.wanted.len()];
    let mut pieces = vec![0; question.wanted.len()];
    for (location, parcel) in plan.parcels() {
        assert!(parcel.is_sorted_by_key(|from| from.line), "lines in order, each once");
        assert!(parcel.windows(2).all(|pair| pair[0].line != pair[1].line));
        for from in parcel {
            assert_eq!((from.location, from.sku), (location, question.wanted[usize::from(from.line)].sku));
            assert!(from.quantity > Units(0) && from.quantity.0 <= question.there(location, from.sku), "never more than is there");
            sent[usize::from(from.line)] += from.quantity.0;
            pieces[usize::from(from.line)] += 1;
        }
    }
    assert_eq!(sent, question.wanted.iter().map(|line| line.quantity.0).collect::<Vec<_>>(), "everything, and no more");
    assert!(split == Split::Allowed || pieces.iter().all(|pieces| *pieces == 1), "lines come whole: {pieces:?}");
}

/// Checks one question under every rule, both ways; `exact`: it is small enough for the model of the fewest parcels.
fn check(question: &Question, exact: bool) {
    for split in [Split::Never, Split::Allowed] {
        let all = question.order(Rule::Priority);
        for rule in [Rule::Priority, Rule::Nearest, Rule::FewestParcels] {
            match question.ask(rule, split) {
                Ok(plan) => {
                    check_plan(question, rule, split, &plan);
                    if rule == Rule::FewestParcels {
                        let set = locations(&plan);
                        if exact {
                            assert!(plan.is_fewest());
                            assert_eq!(Some(&set), question.smallest(split).as_ref(), "{split:?} {question:?}");
                        }
                        for without in 0..set.len() {
                            let fewer = [&set[..without], &set[without + 1..]].concat();
                            assert!(!question.covered_by(&fewer, split), "{:?} is needless", set[without]);
                        }
                        for line in plan.allocations() {
                            let want = question.wanted[usize::from(line.line)];
                            let whole = set.iter().find(|at| question.there(**at, want.sku) >= want.quantity.0);
                            assert!(whole.is_none_or(|at| *at == line.location && want.quantity == line.quantity), "whole where it can be");
                        }
                    } else {
                        assert_eq!(taken(&plan), in_order(question, rule, split));
                        assert_eq!(plan.is_fewest(), locations(&plan).len() == 1);
                    }
                }
                Err(SourcingRefused::Short { lines }) => {
                    let short = |(at, line): (usize, &Wanted)| {
                        let could = question.could(*line, &all, split);
                        (could < line.quantity.0).then_some((at as u16, line.sku, line.quantity, Units(could)))
                    };
                    let model = question.wanted.iter().enumerate().filter_map(short).collect::<Vec<_>>();
                    assert_eq!(lines.iter().map(|l| (l.line, l.sku, l.wanted, l.available)).collect::<Vec<_>>(), model);
                    assert!(!model.is_empty());
                    // What could be had can be had.
                    let mut less = question.clone();
                    lines.iter().for_each(|short| less.wanted[usize::from(short.line)].quantity = short.available);
                    less.wanted.retain(|line| line.quantity > Units(0));
                    if !less.wanted.is_empty() {
                        check_plan(&less, rule, split, &less.ask(rule, split).expect("as much as could be had"));
                    }
                }
                Err(refused) => panic!("a well-formed question: {refused}"),
            }
        }
    }
}

/// Questions of up to so many lines and candidates; each cell is empty half the time, else up to `units`.
fn question(lines: usize, candidates: usize, units: u32) -> impl Strategy<Value = Question> {
    let wanted = vec(1..=units, 1..=lines);
    let places = subsequence((1..=90_u64).collect::<Vec<_>>(), 0..=candidates).prop_shuffle();
    (wanted, places).prop_flat_map(move |(wanted, places)| {
        let cells = vec(prop_oneof![Just(0), 1..=units], wanted.len() * places.len());
        let ranks = vec((0..3_u32, 0..3_u64), places.len()); // few values, so that ties are common
        (Just(wanted), Just(places), ranks, cells).prop_map(|(wanted, places, ranks, cells)| {
            let wanted =
                wanted.iter().enumerate().map(|(at, n)| Wanted { sku: Sku(100 - at as u128), quantity: Units(*n) }).collect::<Vec<_>>();
            let candidates = places.iter().zip(&ranks).map(|(place, (priority, distance))| Candidate {
                location: Location(*place),
                priority: *priority,
                distance: *distance,
            });
            let pairs = places.iter().flat_map(|place| wanted.iter().map(|line| (Location(*place), line.sku)));
            let stock = pairs.zip(cells).collect();
            Question { candidates: candidates.collect(), stock, wanted }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn small_questions_are_answered_as_by_trying_everything(question in question(4, 7, 6)) {
        check(&question, true);
    }

    #[test]
    fn the_order_of_candidates_and_lines_changes_nothing((question, candidates, wanted) in question(5, 9, 5).prop_flat_map(|question| {
        let (candidates, wanted) = (question.candidates.clone(), question.wanted.clone());
        (Just(question), Just(candidates).prop_shuffle(), Just(wanted).prop_shuffle())
    })) {
        let other = Question { candidates, ..question.clone() };
        let turned = Question { wanted, ..question.clone() };
        for split in [Split::Never, Split::Allowed] {
            for rule in [Rule::Priority, Rule::Nearest, Rule::FewestParcels] {
                let answer = question.ask(rule, split);
                prop_assert_eq!(&answer, &other.ask(rule, split));
                let turned = turned.ask(rule, split);
                prop_assert_eq!(answer.is_ok(), turned.is_ok());
                if let (Ok(answer), Ok(turned)) = (answer, turned) {
                    prop_assert_eq!(taken(&answer), taken(&turned));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn as_many_locations_as_are_always_exact_are_exact(question in question(12, EXACT_LOCATIONS_MAX, 9)) {
        check(&question, true);
    }

    #[test]
    fn large_questions_keep_every_promise_but_the_smallest(question in question(40, LOCATIONS_MAX, 9)) {
        check(&question, false);
    }
}

/// Lines `sku:quantity`, candidates `location(priority,distance) sku:quantity …`, the answer `location sku:quantity …` by parcel, or `short sku:available …`.
fn decide(wanted: &str, candidates: &[&str], rule: Rule, split: Split) -> String {
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let pair = |text: &str| text.split_once(':').map(|(sku, n)| (Sku(u128::from(number(sku))), number(n))).expect("sku:quantity");
    let mut question = Question { wanted: Vec::new(), candidates: Vec::new(), stock: BTreeMap::new() };
    question.wanted.extend(wanted.split(' ').map(pair).map(|(sku, n)| Wanted { sku, quantity: Units(n) }));
    for text in candidates {
        let mut words = text.split(' ');
        let numbers =
            words.next().expect("a candidate").split(['(', ',', ')']).filter(|word| !word.is_empty()).map(number).collect::<Vec<_>>();
        let location = Location(u64::from(numbers[0]));
        question.candidates.push(Candidate { location, priority: numbers[1], distance: u64::from(numbers[2]) });
        question.stock.extend(words.map(pair).map(|(sku, n)| ((location, sku), n)));
    }
    match question.ask(rule, split) {
        Ok(plan) => {
            let parcel = |(location, lines): (Location, &[inventory_ledger::Allocation])| {
                let lines = lines.iter().map(|from| format!(" {}:{}", from.sku.0, from.quantity.0)).collect::<String>();
                format!("{}{lines}", location.0)
            };
            plan.parcels().map(parcel).collect::<Vec<_>>().join("; ")
        }
        Err(SourcingRefused::Short { lines }) => {
            "short".to_owned() + &lines.iter().map(|short| format!(" {}:{}", short.sku.0, short.available.0)).collect::<String>()
        }
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn decisions_are_as_a_merchant_expects() {
    use {Rule::*, Split::*};
    let three = ["1(2,5) 1:1 2:1", "2(1,50) 1:9", "3(1,90) 1:9 2:9"]; // a shop near by, two warehouses
    for (wanted, candidates, rule, split, answer) in [
        ("1:2 2:2", &three[..], Priority, Never, "2 1:2; 3 2:2"),
        ("1:2 2:2", &three, Nearest, Never, "2 1:2; 3 2:2"), // the shop has too little of either to send it whole
        ("1:2 2:2", &three, Nearest, Allowed, "1 1:1 2:1; 2 1:1; 3 2:1"),
        ("1:2 2:2", &three, FewestParcels, Allowed, "3 1:2 2:2"),
        ("1:1 2:1", &three, FewestParcels, Allowed, "3 1:1 2:1"), // one parcel either way: priority decides
        ("1:1 2:1", &three, Nearest, Never, "1 1:1 2:1"),
        ("1:19", &three, FewestParcels, Allowed, "2 1:9; 3 1:9; 1 1:1"),
        ("1:20 2:1", &three, Priority, Allowed, "short 1:19"),
        ("1:10 2:11", &three, Priority, Never, "short 1:9 2:9"), // the most that one location has
        ("3:1", &three, Nearest, Allowed, "short 3:0"),
        ("1:1", &[], Nearest, Allowed, "short 1:0"),
        // Ties: priority, then distance, then the location's number.
        ("1:1", &["9(1,1) 1:1", "8(1,1) 1:1", "7(1,2) 1:1", "6(2,0) 1:1"], FewestParcels, Never, "8 1:1"),
        // The best pair by its best member is 1 and 4, though 2 and 3 are better than 4.
        ("1:1 2:1", &["1(1,0) 1:1", "2(2,0) 1:1", "3(3,0) 2:1", "4(4,0) 2:1"], FewestParcels, Never, "1 1:1; 3 2:1"),
        // Always taking the one that adds most is no way to the fewest: it begins with 1 and needs three.
        (
            "1:1 2:1 3:1 4:1 5:1 6:1",
            &["1(1,0) 1:1 2:1 4:1 5:1", "2(2,0) 1:1 2:1 3:1", "3(3,0) 4:1 5:1 6:1"],
            FewestParcels,
            Never,
            "2 1:1 2:1 3:1; 3 4:1 5:1 6:1",
        ),
        // In the smallest set a line comes whole from where it is whole, though a better location has some of it.
        ("1:5 2:1", &["1(1,0) 1:2 2:1", "2(2,0) 1:5"], FewestParcels, Allowed, "1 2:1; 2 1:5"),
        ("1:1 1:1", &three, Priority, Never, "lines 0 and 1 want the same SKU"),
        ("1:1 2:0", &three, Priority, Never, "line 1 has quantity zero"),
        ("1:1", &["1(1,0)", "1(2,0)"], Priority, Never, "location Location(1) is a candidate twice"),
    ] {
        assert_eq!(decide(wanted, candidates, rule, split), answer, "{wanted} of {candidates:?} by {rule:?}, split {split:?}");
    }
}

#[test]
fn bounds_refuse() {
    let line = |sku: usize| Wanted { sku: Sku(sku as u128), quantity: Units(1) };
    let place = |at: usize| Candidate { location: Location(at as u64), priority: 0, distance: 0 };
    let ask = |lines: usize, places: usize| {
        let (lines, places) = ((0..lines).map(line).collect::<Vec<_>>(), (0..places).map(place).collect::<Vec<_>>());
        source(&lines, &places, Rule::FewestParcels, Split::Never, |_, _| Units(u32::MAX))
    };
    assert_eq!(ask(0, 1), Err(SourcingRefused::Empty));
    assert_eq!(ask(LINES_MAX + 1, 1), Err(SourcingRefused::TooManyLines { len: LINES_MAX + 1 }));
    assert_eq!(ask(1, LOCATIONS_MAX + 1), Err(SourcingRefused::TooManyLocations { len: LOCATIONS_MAX + 1 }));
    let plan = ask(LINES_MAX, LOCATIONS_MAX).expect("at the bounds");
    assert_eq!((locations(&plan), plan.allocations().len()), (vec![Location(0)], LINES_MAX));
}

/// Line `n` of a ring is at locations `n` and `n + 1`: half of them are needed, and the search has far too many sets to try. Beside it six lines of which
/// one location has four and two others three each, so that the greedy choice takes all three, of which the first is then needless.
#[test]
fn a_search_too_long_is_given_up_and_says_so() {
    let ring = LOCATIONS_MAX as u64 - 3;
    let wanted = (0..ring + 6).map(|n| Wanted { sku: Sku(n.into()), quantity: Units(1) }).collect::<Vec<_>>();
    let candidates = (0..ring + 3).map(|n| Candidate { location: Location(n), priority: 0, distance: n * 37 % ring }).collect::<Vec<_>>();
    let pairs = (0..ring).flat_map(|n| [(n, n), ((n + 1) % ring, n)]);
    let beside =
        [(0, &[0, 1, 3, 4][..]), (1, &[0, 1, 2]), (2, &[3, 4, 5])].map(|(at, lines)| lines.iter().map(move |n| (ring + at, ring + n)));
    let stock = pairs.chain(beside.into_iter().flatten()).map(|(at, line)| ((Location(at), Sku(line.into())), 1)).collect();
    let question = Question { wanted, candidates, stock };
    let plan = question.ask(Rule::FewestParcels, Split::Never).expect("every line is somewhere");
    assert!(!plan.is_fewest());
    assert!(!locations(&plan).contains(&Location(ring)), "needless");
    check(&question, false);
}

#[test]
fn quantities_at_the_end_of_their_type_do_not_overflow() {
    let wanted = [Wanted { sku: Sku(1), quantity: Units(u32::MAX) }];
    let candidates = [1, 2, 3].map(|n| Candidate { location: Location(n), priority: 0, distance: u64::MAX });
    for there in [u32::MAX, u32::MAX / 2 + 1, 1] {
        let plan = source(&wanted, &candidates, Rule::FewestParcels, Split::Allowed, |_, _| Units(there));
        let units = plan.map(|plan| plan.allocations().iter().map(|from| u64::from(from.quantity.0)).sum::<u64>());
        match there {
            1 => assert!(matches!(units, Err(SourcingRefused::Short { lines }) if lines[0].available == Units(3))),
            _ => assert_eq!(units, Ok(u64::from(u32::MAX))),
        }
    }
}

#[test]
fn a_ledger_holds_what_was_planned() {
    let mut ledger = Ledger::new(Limits::default());
    for (id, sku, at, units) in [(1, 1, 1, 2), (2, 1, 2, 2), (3, 2, 2, 7)] {
        ledger.open_row(Millis(0), MovementId(id), Sku(sku), Location(at), Units(units)).expect("room for three rows");
    }
    let wanted = [Wanted { sku: Sku(1), quantity: Units(3) }, Wanted { sku: Sku(2), quantity: Units(7) }];
    let candidates = [1, 2].map(|at| Candidate { location: Location(at), priority: at as u32, distance: 0 });
    let plan = source(&wanted, &candidates, Rule::Priority, Split::Allowed, |sku, at| ledger.available(sku, at)).expect("it is there");
    let lines = plan.lines().collect::<Vec<Line>>();
    ledger.hold(Millis(1), &HoldRequest::new(HoldId(1), Owner(1), &lines, 1_000)).expect("as it was planned");
    assert_eq!(ledger.available(Sku(1), Location(1)), Units(0));
    assert_eq!(ledger.available(Sku(1), Location(2)), Units(1));
    assert_eq!(ledger.available(Sku(2), Location(2)), Units(0));
}
