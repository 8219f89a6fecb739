//! Sourcing: which locations an order's units come from.
//!
//! Path: a cart's lines, and the [`Supply`] that all shards told → the ledger's own rule of the fewest parcels (`inventory_ledger::source`) →
//! [`Sourcing`], by location. Read first: [`plan`].
//! Bounds: the rule looks at [`CANDIDATES_MAX`] locations at once; more are offered to it in turns, those that can give most first, and a plan is then no
//! longer known to be the smallest. An order takes from `SOURCES_MAX` locations; a plan of more is refused where it is applied.

use crate::{
    record::v1::{HoldLine, ShortLine, Sourcing},
    shard::core::peer::Supply,
};
use inventory_ledger as ledger;
use ledger::{Candidate, LINES_MAX, LOCATIONS_MAX as CANDIDATES_MAX, Location, Rule, Sku, SourcingRefused, Split, Units, Wanted};
use std::collections::BTreeMap;
use wire::{PartitionId, RawId, SkuId, limits::CART_LINES_MAX};

const _: () = assert!(CART_LINES_MAX <= LINES_MAX, "a cart is one question to the rule");

/// Where the units come from: the first location by code that has everything, else as few locations as can be, those first by code. Units that orders
/// in doubt hold are counted only where the others do not suffice; what is too little even with them is short.
///
/// Deterministic: the same supply, in any order, gives the same plan. Time: that of the rule, and O(supply × log supply).
pub(crate) fn plan(wanted: &[HoldLine], supply: &[Supply]) -> Sourcing {
    match with(wanted, supply, |at| at.available) {
        Sourcing::From(sources) => Sourcing::From(sources),
        // What is told is what can be had at once.
        Sourcing::Short(short) => match with(wanted, supply, |at| at.available.saturating_add(at.in_doubt)) {
            Sourcing::From(sources) => Sourcing::From(sources),
            Sourcing::Short(_) => Sourcing::Short(short),
        },
    }
}

/// A location, by its code.
struct At<'s> {
    partition: PartitionId,
    units: BTreeMap<SkuId, u32>,
    code: &'s str,
}

impl At<'_> {
    /// Units it could give of what is missing.
    fn could_give(&self, missing: &BTreeMap<SkuId, u32>) -> u64 {
        missing.iter().map(|(sku, missing)| u64::from(self.units_of(*sku).min(*missing))).sum()
    }

    fn units_of(&self, sku: SkuId) -> u32 {
        self.units.get(&sku).copied().unwrap_or(0)
    }
}

fn with(wanted: &[HoldLine], supply: &[Supply], units: impl Fn(&Supply) -> u32) -> Sourcing {
    let mut missing: BTreeMap<SkuId, u32> = BTreeMap::new();
    for line in wanted {
        let sum = missing.entry(line.sku).or_default();
        *sum = sum.saturating_add(line.quantity);
    }
    let requested = missing.clone();
    let mut by_code: BTreeMap<&str, At<'_>> = BTreeMap::new();
    for at in supply {
        let new = || At { partition: at.partition, units: BTreeMap::new(), code: &at.location };
        by_code.entry(&at.location).or_insert_with(new).units.insert(at.sku, units(at));
    }
    let locations: Vec<At<'_>> = by_code.into_values().collect();

    let mut takes: BTreeMap<usize, Vec<HoldLine>> = BTreeMap::new();
    let mut left: Vec<usize> = (0..locations.len()).collect();
    while !missing.is_empty() {
        left.retain(|at| locations[*at].could_give(&missing) > 0);
        if left.is_empty() {
            let short = |(sku, missing): (SkuId, u32)| {
                let requested = requested[&sku];
                ShortLine { sku, requested, available: requested - missing }
            };
            return Sourcing::Short(missing.into_iter().map(short).collect());
        }
        if left.len() > CANDIDATES_MAX {
            left.sort_by_key(|at| (std::cmp::Reverse(locations[*at].could_give(&missing)), *at));
        }
        let candidates: Vec<usize> = left.drain(..left.len().min(CANDIDATES_MAX)).collect();
        for (at, line) in take(&missing, &locations, &candidates) {
            if let Some(missing) = missing.get_mut(&line.sku) {
                *missing -= line.quantity;
            }
            takes.entry(at).or_default().push(line);
        }
        missing.retain(|_, missing| *missing > 0);
    }
    let source = |(at, lines): (usize, Vec<HoldLine>)| {
        let At { partition, code, .. } = locations[at];
        crate::record::v1::Source { location: code.to_owned(), partition, lines }
    };
    Sourcing::From(takes.into_iter().map(source).collect())
}

/// What the rule takes from these locations: all that is missing, or as much of each SKU as they have together. Their numbers are their order by code.
fn take(missing: &BTreeMap<SkuId, u32>, locations: &[At<'_>], candidates: &[usize]) -> Vec<(usize, HoldLine)> {
    let place = |location: Location| usize::try_from(location.0).unwrap_or(usize::MAX);
    let candidates: Vec<Candidate> =
        candidates.iter().map(|at| Candidate { location: Location(*at as u64), priority: 0, distance: 0 }).collect();
    let available = |sku: Sku, location: Location| {
        let units = locations.get(place(location)).map_or(0, |at| at.units_of(SkuId(RawId(sku.0))));
        Units(units)
    };
    let source = |wanted: &[Wanted]| ledger::source(wanted, &candidates, Rule::FewestParcels, Split::Allowed, available);
    let mut wanted: Vec<Wanted> = missing.iter().map(|(sku, units)| Wanted { sku: Sku(sku.0.0), quantity: Units(*units) }).collect();
    let planned = match source(&wanted) {
        Err(SourcingRefused::Short { lines }) => {
            for short in &lines {
                wanted[usize::from(short.line)].quantity = short.available;
            }
            wanted.retain(|line| line.quantity > Units(0));
            source(&wanted)
        }
        planned => planned,
    };
    let plan = planned.expect("some of it is there, each SKU is asked for once, and the bounds are kept");
    let line = |from: &ledger::Allocation| (place(from.location), HoldLine { sku: SkuId(RawId(from.sku.0)), quantity: from.quantity.0 });
    plan.allocations().iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(sku: u128, location: &str, available: u32, in_doubt: u32) -> Supply {
        let partition = PartitionId(location.len() as u16);
        Supply { sku: SkuId(RawId(sku)), location: location.to_owned(), partition, available, in_doubt }
    }

    /// `sku:quantity` pairs as a plan or shortage, in one line of text.
    fn planned(wanted: &[(u128, u32)], supply: &[Supply]) -> String {
        let wanted: Vec<HoldLine> =
            wanted.iter().map(|(sku, quantity)| HoldLine { sku: SkuId(RawId(*sku)), quantity: *quantity }).collect();
        match plan(&wanted, supply) {
            Sourcing::Short(lines) => {
                lines.iter().map(|l| format!("short {}:{}<{}", l.sku.0.0, l.available, l.requested)).collect::<Vec<_>>().join(" ")
            }
            Sourcing::From(sources) => {
                let lines =
                    |lines: &[HoldLine]| lines.iter().map(|l| format!("{}:{}", l.sku.0.0, l.quantity)).collect::<Vec<_>>().join(",");
                sources.iter().map(|s| format!("{}={}", s.location, lines(&s.lines))).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test] // Each row: what is wanted, what there is, the plan.
    fn plans_take_one_location_when_one_has_everything() {
        let supply = [at(1, "berlin", 2, 0), at(2, "berlin", 9, 0), at(1, "paris", 5, 0), at(2, "paris", 1, 0), at(3, "rome", 1, 0)];
        for (wanted, plan) in [
            (&[(1, 2), (2, 9)][..], "berlin=1:2,2:9"),
            (&[(1, 3), (2, 1)], "paris=1:3,2:1"),
            (&[(1, 3), (2, 2)], "berlin=2:2 paris=1:3"), // a line comes whole where it can
            (&[(1, 1), (1, 1)], "berlin=1:2"),
            (&[(1, 6)], "berlin=1:2 paris=1:4"),
            (&[(1, 1), (3, 1)], "berlin=1:1 rome=3:1"),
            (&[(1, 8)], "short 1:7<8"),
            (&[(4, 1), (1, 1)], "short 4:0<1"),
        ] {
            assert_eq!(planned(wanted, &supply), plan, "{wanted:?}");
            let turned: Vec<Supply> = supply.iter().rev().cloned().collect();
            assert_eq!(planned(wanted, &turned), plan, "in another order: {wanted:?}");
        }
    }

    #[test] // By code alone it would be `a`, `b` and `c`.
    fn parcels_are_as_few_as_can_be() {
        let supply = [at(1, "a", 2, 0), at(2, "a", 1, 0), at(1, "b", 3, 0), at(3, "b", 4, 0), at(2, "c", 4, 0), at(3, "c", 1, 0)];
        assert_eq!(planned(&[(1, 3), (2, 4), (3, 4)], &supply), "b=1:3,3:4 c=2:4");
    }

    #[test] // Each row: what is wanted of one SKU, the plan. There are 2 in berlin, 1 more of them in doubt, and all 3 of paris.
    fn units_in_doubt_are_counted_when_the_others_do_not_suffice() {
        let supply = [at(1, "berlin", 2, 1), at(1, "paris", 0, 3)];
        for (wanted, plan) in
            [(2, "berlin=1:2"), (3, "berlin=1:3"), (4, "berlin=1:3 paris=1:1"), (6, "berlin=1:3 paris=1:3"), (7, "short 1:2<7")]
        {
            assert_eq!(planned(&[(1, wanted)], &supply), plan, "{wanted}");
        }
    }

    #[test] // More than the rule looks at: the many that have one unit, and the few that have more.
    fn many_locations_are_looked_at_in_turns() {
        let one = |number: usize| at(1, &format!("shop-{number:03}"), 1, 0);
        let mut supply: Vec<Supply> = (0..2 * CANDIDATES_MAX + 10).map(one).collect();
        supply.push(at(1, "warehouse", 9, 0));
        supply.push(at(2, "workshop", 1, 0));
        assert_eq!(planned(&[(1, 9), (2, 1)], &supply), "warehouse=1:9 workshop=2:1");
        let all = 2 * CANDIDATES_MAX as u32 + 19;
        let Sourcing::From(sources) = plan(&[HoldLine { sku: SkuId(RawId(1)), quantity: all }], &supply) else { panic!("a plan") };
        assert_eq!(sources.len(), supply.len() - 1);
        assert!(sources.is_sorted_by_key(|source| source.location.as_str()));
        assert_eq!(planned(&[(1, all + 1)], &supply), format!("short 1:{all}<{}", all + 1));
    }

    proptest! {
        #[test]
        fn a_plan_serves_exactly_what_is_wanted_or_there_is_too_little(
            wanted in proptest::collection::vec((0u128..4, 1u32..6), 1..6),
            supply in proptest::collection::vec((0u128..4, 0u32..90, 0u32..5), 0..120),
        ) {
            let supply: BTreeMap<(u128, u32), u32> = supply.into_iter().map(|(sku, location, units)| ((sku, location), units)).collect();
            let told: Vec<Supply> = supply.iter().map(|((sku, location), units)| at(*sku, &format!("{location:02}"), *units, 0)).collect();
            let lines: Vec<HoldLine> = wanted.iter().map(|(sku, quantity)| HoldLine { sku: SkuId(RawId(*sku)), quantity: *quantity }).collect();
            let sum = |sku: u128| wanted.iter().filter(|(other, _)| *other == sku).map(|(_, quantity)| quantity).sum::<u32>();
            let there = |sku: u128| supply.iter().filter(|((other, _), _)| *other == sku).map(|(_, units)| units).sum::<u32>();
            match plan(&lines, &told) {
                Sourcing::Short(short) => {
                    let wanted: Vec<ShortLine> = (0..4).filter(|sku| there(*sku) < sum(*sku))
                        .map(|sku| ShortLine { sku: SkuId(RawId(sku)), requested: sum(sku), available: there(sku) }).collect();
                    prop_assert!(!short.is_empty());
                    prop_assert_eq!(short, wanted);
                }
                Sourcing::From(sources) => {
                    for sku in 0..4 {
                        let of_sku = sources.iter().flat_map(|source| &source.lines).filter(|line| line.sku.0.0 == sku);
                        prop_assert_eq!(of_sku.map(|line| line.quantity).sum::<u32>(), sum(sku));
                    }
                    for source in &sources {
                        for line in &source.lines {
                            let location: u32 = source.location.parse().expect("a number");
                            prop_assert!(line.quantity > 0 && line.quantity <= supply[&(line.sku.0.0, location)]);
                        }
                    }
                    let has_all = |location: &u32| (0..4).all(|sku| supply.get(&(sku, *location)).copied().unwrap_or(0) >= sum(sku));
                    match (0..90).find(has_all) {
                        Some(first) => prop_assert_eq!(&sources[0].location, &format!("{first:02}")),
                        None => prop_assert!(sources.len() > 1),
                    }
                }
            }
        }
    }
}
