//! Entities and their rules, one at a time: no tables, no other entities, no effects.
//!
//! Path: `partition` finds the entity in its table → asks it here whether and how it changes → stores it again.
//! Boundary: nothing here reads a clock or mints an id; both come as arguments.

#[allow(missing_docs, reason = "rkyv derives fields for enum variants that cannot carry docs")]
pub mod cart;
pub mod category;
pub mod cluster;
pub mod content;
pub mod order;
pub mod product;
pub mod search_settings;
pub mod totals;

use wire::FieldError;

/// Whether a text has `min..=max` bytes.
///
/// # Errors
/// `too_short` or `too_long` at `pointer`.
pub fn check_text(pointer: &str, text: &str, min: usize, max: usize) -> Result<(), FieldError> {
    let (code, wanted) = match text.len() {
        len if len < min => ("too_short", format!("at least {min} bytes")),
        len if len > max => ("too_long", format!("at most {max} bytes")),
        _ => return Ok(()),
    };
    Err(FieldError { pointer: pointer.to_owned(), code: code.to_owned(), detail: wanted })
}

/// Whether a list has `min..=max` entries.
///
/// # Errors
/// `too_few` or `too_many` at `pointer`.
pub fn check_count(pointer: &str, len: usize, min: usize, max: usize) -> Result<(), FieldError> {
    let (code, wanted) = match len {
        len if len < min => ("too_few", format!("at least {min}")),
        len if len > max => ("too_many", format!("at most {max}")),
        _ => return Ok(()),
    };
    Err(FieldError { pointer: pointer.to_owned(), code: code.to_owned(), detail: wanted })
}
