//! Seeds that failed once, each with what it found; and that runs are what they are said to be.

use super::{Masks, run};

/// Seeds of failures met on the way: each must run clean.
const KEPT: [u64; 1] = [1];

#[test]
fn kept_seeds_run_clean() {
    for seed in KEPT {
        let report = run(seed, &Masks::default());
        assert_eq!(report.violation, None, "seed {seed}");
        assert!(report.operations >= 2_000, "{report:?}");
        assert!(report.faults >= 5, "{report:?}");
    }
}

#[test]
fn a_seed_is_a_run() {
    let (first, second) = (run(2, &Masks::default()), run(2, &Masks::default()));
    assert_eq!((first.trace, first.events), (second.trace, second.events));
    assert_ne!(first.trace, run(3, &Masks::default()).trace);
}
