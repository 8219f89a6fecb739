//! The program: which seeds, how, and what to print.

use super::{Masks, Seed, run, shrink::shrink, world::Report};
use std::process::ExitCode;

const USAGE: &str = "\
sim --seed N           runs one seed
sim --seeds A..B       runs seeds A to B - 1, and stops at the first that fails
    --machines N       each with N machines, a cluster, instead of one
    --double           each seed twice, and compares everything that happened
    --keep-going       runs all of them, and names those that fail
    --no-shrink        does not look for the smallest schedule that fails
    --mutants          looks for each mutant in the seeds, with the feature `mutants`
    --verbose          prints what each run was made of";

/// Machines of a run.
const MACHINES_MAX: u16 = 5;

struct Asked {
    seeds: std::ops::Range<u64>,
    double: bool,
    keep_going: bool,
    shrink: bool,
    verbose: bool,
    mutants: bool,
    machines: u16,
}

fn parse(args: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked { seeds: 0..0, double: false, keep_going: false, shrink: true, verbose: false, mutants: false, machines: 1 };
    let mut args = args.peekable();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
        let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text} is no number: {error}"));
        match arg.as_str() {
            "--seed" => {
                let seed = number(&value()?)?;
                asked.seeds = seed..seed + 1;
            }
            "--seeds" => {
                let text = value()?;
                let (from, to) = text.split_once("..").ok_or_else(|| format!("{text} is no range such as 0..500"))?;
                asked.seeds = number(from)?..number(to)?;
            }
            "--machines" => {
                let machines = number(&value()?)?;
                asked.machines = u16::try_from(machines)
                    .ok()
                    .filter(|of| (1..=MACHINES_MAX).contains(of))
                    .ok_or_else(|| format!("{machines} machines: there can be 1 to {MACHINES_MAX}"))?;
            }
            "--double" => asked.double = true,
            "--keep-going" => asked.keep_going = true,
            "--no-shrink" => asked.shrink = false,
            "--mutants" => asked.mutants = true,
            "--verbose" => asked.verbose = true,
            other => return Err(format!("{other} is not known")),
        }
    }
    if asked.seeds.is_empty() { Err("no seeds are asked for".to_owned()) } else { Ok(asked) }
}

/// Runs what the command line asks for.
pub fn main() -> ExitCode {
    let asked = match parse(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if asked.mutants {
        return hunt(asked.machines, &asked.seeds);
    }
    let mut all = Report::default();
    let count = asked.seeds.end - asked.seeds.start;
    let mut failed = 0_u64;
    let began_us = cpu_us();
    for number in asked.seeds.clone() {
        let seed = Seed { number, machines: asked.machines };
        let report = run(seed, &Masks::default());
        if asked.verbose && report.violation.is_none() {
            println!("seed {seed}: trace {:016x}, {}", report.trace, told(&report));
        }
        if let Some(violation) = &report.violation {
            if asked.keep_going {
                println!("seed {seed} FAILED: {violation}");
                failed += 1;
                continue;
            }
            fail(seed, report, asked.shrink);
            return ExitCode::FAILURE;
        }
        if asked.double {
            let again = run(seed, &Masks::default());
            if again.trace != report.trace {
                println!(
                    "seed {seed} does not repeat: the traces are {:016x} and {:016x}; revision {}",
                    report.trace,
                    again.trace,
                    revision()
                );
                return ExitCode::FAILURE;
            }
        }
        add(&mut all, &report);
    }
    let us = (cpu_us() - began_us) / count.max(1);
    let clean = count - failed;
    println!("{clean} of {count} seeds from {} run clean; {us} us of CPU each\nin all: {}", asked.seeds.start, told(&all));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Looks for every mutant.
#[cfg(feature = "mutants")]
fn hunt(machines: u16, seeds: &std::ops::Range<u64>) -> ExitCode {
    // Some mutants panic, which is a way to be found.
    std::panic::set_hook(Box::new(|_| {}));
    if super::hunt::hunt_all(machines, seeds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(not(feature = "mutants"))]
fn hunt(_: u16, _: &std::ops::Range<u64>) -> ExitCode {
    eprintln!(
        "this program was built without mutants: cargo run --release -p engine --features mutants --bin sim -- --mutants --seeds 0..100"
    );
    ExitCode::from(2)
}

fn add(all: &mut Report, one: &Report) {
    all.operations += one.operations;
    all.faults += one.faults;
    all.starts += one.starts;
    all.entries += one.entries;
    all.events += one.events;
    all.digests += one.digests;
    all.detected += one.detected;
    all.survived += one.survived;
    all.virtual_us += one.virtual_us;
    for (what, count) in &one.counts {
        *all.counts.entry(what).or_default() += count;
    }
}

fn told(report: &Report) -> String {
    let Report { operations, faults, starts, entries, events, digests, detected, survived, virtual_us, .. } = report;
    let seconds = virtual_us / 1_000_000;
    let counts: Vec<String> = report.counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
    format!(
        "{operations} operations, {faults} faults, {starts} starts, {entries} entries, {events} events, {digests} digests, {detected} damages found, \
         {survived} entries survived unreported, {seconds} s of virtual time; {}",
        counts.join(", ")
    )
}

fn fail(seed: Seed, report: Report, shrinks: bool) {
    let revision = revision();
    let what = report.violation.as_ref().map(ToString::to_string).unwrap_or_default();
    println!("seed {seed} at revision {revision} FAILED: {what}\n  {}", told(&report));
    if !shrinks {
        return;
    }
    let shrunk = shrink(seed, report);
    let what = shrunk.report.violation.as_ref().map(ToString::to_string).unwrap_or_default();
    println!(
        "  the smallest schedule that fails, after {} runs: {} of {} faults, {} of {} errands: {what}\n  {}",
        shrunk.runs,
        shrunk.faults.0,
        shrunk.faults.1,
        shrunk.errands.0,
        shrunk.errands.1,
        told(&shrunk.report)
    );
    let world = super::world::World::new(seed, Masks::default());
    // They strike from the last to the first.
    for (number, (after, fault)) in world.faults.iter().enumerate().rev() {
        if !shrunk.masks.fault(u32::try_from(number).expect("few faults")) {
            println!("  fault {number}: {fault:?} after {after} errands");
        }
    }
    for (client, of) in world.clients.iter().enumerate() {
        let left: Vec<u32> = (0..of.errands).filter(|errand| !shrunk.masks.errand(client, *errand)).collect();
        if !left.is_empty() {
            println!("  client {client} ({}): errands {left:?}", of.what());
        }
    }
    let machines = if seed.machines == 1 { String::new() } else { format!(" --machines {}", seed.machines) };
    println!("  again: cargo run --release -p engine --bin sim -- --seed {seed}{machines}");
}

/// The revision of the working tree, if there is one.
fn revision() -> String {
    let git = std::process::Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let found = git.ok().filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    found.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// CPU time of this process, which has one thread, in microseconds; 0 where the system does not say.
fn cpu_us() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0) / 1_000
}
