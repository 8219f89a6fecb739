//! What benches share: cases and how they are printed.

pub mod report;
