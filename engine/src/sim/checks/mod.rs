//! What must be true of a run, while it goes on and when it is over.
//!
//! Path: the world → [`shadow`] (state against a replay of its log) and [`answers`] (each answer against those before it) as it goes; at the end, with the
//! node idle and every client content, [`stock`] and [`money`] (the books against what clients and the provider were told) and [`order`] (one order of
//! everything that happened, by position and without).

pub(super) mod answers;
pub(super) mod money;
pub(super) mod order;
pub(super) mod shadow;
pub(super) mod stock;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation(String);

impl Violation {
    pub(super) fn new(what: String) -> Self {
        Self(what)
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses what is not so.
pub(super) fn must(is: bool, what: impl FnOnce() -> String) -> Result<(), Violation> {
    if is { Ok(()) } else { Err(Violation(what())) }
}
