//! What must be true of a run, while it goes on and when it is over.
//!
//! Path: the world → [`shadow`] (what is committed, by the [`machine_log`] of each machine and who has a
//! say ([`members`]), and their states against a replay of it) and [`answers`] (each
//! answer against those before it) as it goes; at the end, with all machines idle and every client content, [`stock`] and [`money`] (the books against
//! what clients and the provider were told) and [`order`] (one order of everything that happened, by position and without).

pub(super) mod answers;
pub(super) mod machine_log;
pub(super) mod members;
pub(super) mod money;
pub(super) mod order;
pub(super) mod shadow;
pub(super) mod stock;
mod times;
mod walk;

use super::machine::MachineId;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation(String);

impl Violation {
    pub(super) fn new(what: String) -> Self {
        Self(what)
    }

    /// Says of which machine it is.
    fn of(self, machine: MachineId) -> Self {
        Self(format!("machine {}: {}", machine.0, self.0))
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
