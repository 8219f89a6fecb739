//! Proves the simulator: every mutant is found, and after how many seeds.
//!
//! Path: a [`Mutant`] is set → seeds are run, each with the checks of any run, until one fails.

use super::{Masks, run};
use crate::mutants::{Mutant, set};
use std::ops::Range;

/// Which seed finds the mutant, and by what.
pub(super) fn hunt(mutant: Mutant, seeds: Range<u64>) -> Option<(u64, String)> {
    set(Some(mutant));
    let found = seeds.into_iter().find_map(|seed| Some((seed, run(seed, &Masks::default()).violation?.to_string())));
    set(None);
    found
}

/// Looks for all of them, and prints a table. False when one is not found.
pub(super) fn hunt_all(seeds: &Range<u64>) -> bool {
    println!("| mutant | seeds | found by |\n|---|---:|---|");
    let mut all = true;
    for mutant in Mutant::ALL {
        match hunt(mutant, seeds.clone()) {
            Some((seed, by)) => println!("| {mutant:?} | {} | {} |", seed - seeds.start + 1, brief(&by)),
            None => {
                all = false;
                println!("| {mutant:?} | not found in {} | |", seeds.end - seeds.start);
            }
        }
    }
    all
}

/// The first words of a violation.
fn brief(text: &str) -> String {
    let text = text.replace('|', "/").replace('\n', " ");
    let mut cut: String = text.chars().take(110).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}
