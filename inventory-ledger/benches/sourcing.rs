//! How long it takes to choose locations for an order, the reading of its rows included.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use inventory_ledger::{Candidate, EXACT_LOCATIONS_MAX, LOCATIONS_MAX, Location, Rule, Sku, Split, Units, Wanted, source};

/// Stock by location, then by line: as cheap to read as can be, so that the decision is what is measured.
struct Order {
    wanted: Vec<Wanted>,
    candidates: Vec<Candidate>,
    stock: Vec<Vec<u32>>,
}

impl Order {
    fn new(lines: usize, locations: usize, stock: impl Fn(usize, usize) -> u32) -> Self {
        let candidate = |at: usize| Candidate { location: Location(at as u64), priority: (at % 3) as u32, distance: (at * 37 % 64) as u64 };
        Self {
            wanted: (0..lines).map(|line| Wanted { sku: Sku(line as u128), quantity: Units(2) }).collect(),
            candidates: (0..locations).map(candidate).collect(),
            stock: (0..locations).map(|at| (0..lines).map(|line| stock(at, line)).collect()).collect(),
        }
    }

    fn parcels(&self, rule: Rule) -> usize {
        let available = |sku: Sku, at: Location| Units(self.stock[at.0 as usize][sku.0 as usize]);
        let plan = source(black_box(&self.wanted), black_box(&self.candidates), rule, Split::Allowed, available);
        plan.expect("all of it is somewhere").parcels().count()
    }
}

/// Question: what does a decision add to an order, and how bad can the search for the fewest parcels become? An everyday order (3 lines, 8 locations, each
/// line at half of them), the largest that is always exact and needs half of its locations, and the largest of all, where the search is given up.
/// Report the time of one decision.
fn decide(c: &mut Criterion) {
    let half = |at: usize, line: usize| if (at + line).is_multiple_of(2) { 3 } else { 0 };
    let ring = |locations: usize| move |at: usize, line: usize| if at == line || at == (line + 1) % locations { 2 } else { 0 };
    let (few, many) = (EXACT_LOCATIONS_MAX, LOCATIONS_MAX);
    let orders = [
        ("everyday", Order::new(3, 8, half), 2),
        ("ring of the exact", Order::new(few, few, ring(few)), few / 2),
        ("ring of all", Order::new(many, many, ring(many)), 0),
    ];
    let mut group = c.benchmark_group("sourcing");
    for (name, order, parcels) in &orders {
        for rule in [Rule::Priority, Rule::Nearest, Rule::FewestParcels] {
            let found = order.parcels(rule);
            assert!(found > 0 && (rule != Rule::FewestParcels || *parcels == 0 || found == *parcels), "{name}: {found} parcels");
            group.bench_function(BenchmarkId::new(*name, format!("{rule:?}")), |b| b.iter(|| order.parcels(rule)));
        }
    }
}

criterion_group!(benches, decide);
criterion_main!(benches);
