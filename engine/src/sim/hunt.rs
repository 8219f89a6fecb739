//! Proves the simulator: every mutant is found, and after how many seeds.
//!
//! Path: a [`Mutant`] is set → seeds are run, each with the checks of any run, until one fails. One of them is also made smaller, to see that a
//! schedule that fails is.

use super::{
    Masks, Seed, run,
    shrink::{Shrunk, shrink},
};
use crate::mutants::{Mutant, set};
use std::ops::Range;

/// Which seed finds the mutant, and by what.
pub(super) fn hunt(mutant: Mutant, machines: u16, seeds: Range<u64>) -> Option<(u64, String)> {
    set(Some(mutant));
    let found =
        seeds.into_iter().find_map(|seed| Some((seed, run(Seed { number: seed, machines }, &Masks::default()).violation?.to_string())));
    set(None);
    found
}

/// Whose failing schedule is made smaller: it fails by what it does alone, so that most of the run has no part in it.
const SHRUNK: Mutant = Mutant::HalfBasket;

/// The smallest schedule that finds the mutant, if it fails when it is run again and has at most a tenth of the errands.
fn smallest(mutant: Mutant, seed: Seed) -> Result<Shrunk, String> {
    set(Some(mutant));
    let shrunk = shrink(seed, run(seed, &Masks::default()));
    let again = run(seed, &shrunk.masks).violation;
    set(None);
    let (left, of) = shrunk.errands;
    match again {
        Some(_) if left * 10 <= of => Ok(shrunk),
        Some(_) => Err(format!("{left} of {of} errands are left")),
        None => Err("it does not fail".to_owned()),
    }
}

/// Looks for all of them, and prints a table. False when one is not found, or its schedule does not get smaller.
pub(super) fn hunt_all(machines: u16, seeds: &Range<u64>) -> bool {
    println!("| mutant | seeds | found by |\n|---|---:|---|");
    let (mut all, mut found) = (true, Vec::new());
    let mutants = if machines == 1 { &Mutant::ALL[..] } else { &Mutant::OF_CLUSTERS[..] };
    for mutant in mutants.iter().copied() {
        match hunt(mutant, machines, seeds.clone()) {
            Some((seed, by)) => {
                println!("| {mutant:?} | {} | {} |", seed - seeds.start + 1, brief(&by));
                found.push((mutant, seed));
            }
            None => {
                all = false;
                println!("| {mutant:?} | not found in {} | |", seeds.end - seeds.start);
            }
        }
    }
    for (mutant, seed) in found.into_iter().filter(|(mutant, _)| *mutant == SHRUNK) {
        match smallest(mutant, Seed { number: seed, machines }) {
            Ok(Shrunk { faults, errands, runs, .. }) => println!(
                "\nthe smallest schedule that finds {mutant:?} has {} of {} faults and {} of {} errands, after {runs} runs",
                faults.0, faults.1, errands.0, errands.1
            ),
            Err(why) => {
                println!("\nthe schedule that finds {mutant:?} cannot be made smaller: {why}");
                all = false;
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
