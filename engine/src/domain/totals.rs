//! Sums of lines.
