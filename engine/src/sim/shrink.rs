//! Makes a failing run smaller: leaves out faults and errands, in ever smaller parts, as long as the run still fails.
//!
//! Delta debugging (Zeller and Hildebrandt 2002) over the masks. The violation may become another one: what is wanted is a small schedule that fails.
//! Bound: [`RUNS_MAX`] runs.

use super::{Masks, Seed, run, world::Report};

/// Runs tried. Past them the smallest found so far is taken.
const RUNS_MAX: u32 = 250;

/// A failing schedule.
pub(super) struct Shrunk {
    pub(super) masks: Masks,
    pub(super) report: Report,
    pub(super) runs: u32,
    /// What is left, of how many: faults, then errands.
    pub(super) faults: (usize, usize),
    pub(super) errands: (usize, usize),
}

/// One thing that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Fault(u32),
    Errand(usize, u32),
}

/// The smallest failing schedule of a seed that fails with nothing left out.
pub(super) fn shrink(seed: Seed, report: Report) -> Shrunk {
    let world = super::world::World::new(seed, Masks::default());
    let faults = u32::try_from(world.faults.len()).expect("few faults");
    let errands: Vec<Part> =
        world.clients.iter().enumerate().flat_map(|(client, of)| (0..of.errands).map(move |number| Part::Errand(client, number))).collect();
    let (fault_count, errand_count) = (faults as usize, errands.len());
    let mut search = Search { seed, report, runs: 0 };
    // Faults first: without them a run is much easier to read.
    let faults = search.fewest(&errands, (0..faults).map(Part::Fault).collect(), true);
    let errands = search.fewest(&faults, errands, false);
    let left = |kept: &[Part], number: usize| (kept.len(), number);
    let masks = search.masks(&[&faults[..], &errands[..]].concat());
    Shrunk { masks, faults: left(&faults, fault_count), errands: left(&errands, errand_count), runs: search.runs, report: search.report }
}

struct Search {
    seed: Seed,
    /// Of the last run that failed.
    report: Report,
    runs: u32,
}

impl Search {
    /// Everything left out but `kept`.
    fn masks(&self, kept: &[Part]) -> Masks {
        let world = super::world::World::new(self.seed, Masks::default());
        let mut masks = Masks::default();
        masks
            .faults
            .extend((0..u32::try_from(world.faults.len()).expect("few faults")).filter(|number| !kept.contains(&Part::Fault(*number))));
        let kept: std::collections::BTreeSet<(usize, u32)> = kept
            .iter()
            .filter_map(|part| match part {
                Part::Errand(client, number) => Some((*client, *number)),
                Part::Fault(_) => None,
            })
            .collect();
        for (client, of) in world.clients.iter().enumerate() {
            masks.errands.extend((0..of.errands).map(|number| (client, number)).filter(|errand| !kept.contains(errand)));
        }
        masks
    }

    fn fails(&mut self, kept: &[Part]) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let report = run(self.seed, &self.masks(kept));
        let failed = report.violation.is_some();
        if failed {
            self.report = report;
        }
        failed
    }

    /// The parts that cannot be left out, with `others` kept.
    fn fewest(&mut self, others: &[Part], mut parts: Vec<Part>, one_by_one: bool) -> Vec<Part> {
        let mut size = if one_by_one { 1 } else { parts.len().div_ceil(2) };
        while size > 0 && !parts.is_empty() {
            let mut at = 0;
            while at < parts.len() {
                let end = (at + size).min(parts.len());
                let mut fewer = parts.clone();
                fewer.drain(at..end);
                if self.fails(&[others, &fewer[..]].concat()) {
                    parts = fewer;
                } else {
                    at = end;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        parts
    }
}
