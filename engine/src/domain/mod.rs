//! Entities and their rules, one at a time: no tables, no other entities, no effects.
//!
//! Path: `partition` finds the entity in its table → asks it here whether and how it changes → stores it again.
//! Boundary: nothing here reads a clock or mints an id; both come as arguments.

pub mod cart;
pub mod category;
pub mod order;
pub mod product;
pub mod totals;
