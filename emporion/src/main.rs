//! emporion
fn main() {}
