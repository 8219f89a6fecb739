//! A cart: what somebody means to buy, before anything is promised.
//!
//! Path: a command of the cart's guest → one of the methods here → a new version. Lines are ids and quantities; prices and titles
//! are read live when the cart is shown, and frozen by the order. Read first: [`CartState`].
//! Bounds: [`CART_LINES_MAX`] lines, [`LINE_QUANTITY_MAX`] units a line. Times are arguments; the table that sweeps is
//! `partition/carts.rs`.

use crate::record::v1::Address;
use crate::seal::Sealed;
use rkyv::{Archive, Deserialize, Serialize};
use wire::limits::{CART_LINES_MAX, LINE_QUANTITY_MAX};
use wire::{CartId, CartStatus, Currency, FieldError, LineId, Millis, OrderId, ProductId, Refusal, SkuId};

/// An empty cart is swept this long after its last change.
pub const CART_EMPTY_TTL_MS: u64 = 6 * 60 * 60 * 1_000;

/// A guest's cart with lines, or one that became an order, is swept this long after its last change.
pub const CART_GUEST_TTL_MS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// Where a cart stands. One that was left alone past its time is abandoned, and soon swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum CartState {
    /// Can be changed and checked out.
    Open,
    /// A checkout runs: only its order's saga changes the cart, and it is not swept.
    CheckingOut {
        /// The order being placed.
        order: OrderId,
    },
    /// Became an order.
    Ordered {
        /// Which.
        order: OrderId,
    },
}

/// A line: a variant and how many.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CartLine {
    /// Kept by the order's line.
    pub id: LineId,
    /// The variant; no two lines have the same.
    pub sku: SkuId,
    /// Its product.
    pub product: ProductId,
    /// Units, 1..=[`LINE_QUANTITY_MAX`].
    pub quantity: u32,
}

/// A cart. Archived in snapshots: a change of its form is a new version of its item there.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Cart {
    /// Names it; the holder of a token made from it is its guest.
    pub id: CartId,
    /// Currency of all its money.
    pub currency: Currency,
    /// 1 when made; rises with each change.
    pub version: u64,
    /// Where it stands.
    pub state: CartState,
    /// In the order added.
    pub lines: Vec<CartLine>,
    /// Where to send it, sealed.
    pub address: Option<Sealed<Address>>,
    /// When it last changed.
    pub changed_at: Millis,
}

impl Cart {
    /// An empty cart.
    #[must_use]
    pub fn new(id: CartId, currency: Currency, now: Millis) -> Self {
        Self { id, currency, version: 1, state: CartState::Open, lines: Vec::new(), address: None, changed_at: now }
    }

    /// When it is swept if left alone. A cart that is checking out waits for its order beyond that.
    #[must_use]
    pub fn expires_at(&self) -> Millis {
        let ttl_ms = if self.lines.is_empty() { CART_EMPTY_TTL_MS } else { CART_GUEST_TTL_MS };
        self.changed_at.plus(ttl_ms)
    }

    /// Where it stands at `now`, whether or not the sweep has come to it.
    #[must_use]
    pub fn status(&self, now: Millis) -> CartStatus {
        match self.state {
            CartState::Open if self.expires_at() <= now => CartStatus::Abandoned,
            CartState::Open => CartStatus::Open,
            CartState::CheckingOut { .. } => CartStatus::CheckingOut,
            CartState::Ordered { .. } => CartStatus::Ordered,
        }
    }

    /// May it be changed, given the version the caller saw?
    ///
    /// # Errors
    /// `CartClosed`, `CartCheckingOut`, then `VersionMismatch`.
    pub fn changeable(&self, now: Millis, if_match: Option<u64>) -> Result<(), Refusal> {
        match self.status(now) {
            CartStatus::Open => {}
            CartStatus::CheckingOut => return Err(Refusal::CartCheckingOut),
            CartStatus::Ordered | CartStatus::Abandoned => return Err(Refusal::CartClosed),
        }
        match if_match {
            Some(version) if version != self.version => Err(Refusal::VersionMismatch { current: self.version }),
            Some(_) | None => Ok(()),
        }
    }

    /// Adds units of a SKU: to the line that has it, or as a last line under `new_line`.
    ///
    /// # Errors
    /// `Invalid` for zero units, `LimitReached` for too many units or lines.
    pub fn add(&mut self, now: Millis, new_line: LineId, sku: SkuId, product: ProductId, quantity: u32) -> Result<(), Refusal> {
        if quantity == 0 {
            return Err(invalid_quantity("at least 1"));
        }
        if let Some(line) = self.lines.iter_mut().find(|line| line.sku == sku) {
            let sum = line.quantity.checked_add(quantity).filter(|sum| *sum <= LINE_QUANTITY_MAX);
            line.quantity = sum.ok_or_else(too_many_units)?;
        } else {
            if quantity > LINE_QUANTITY_MAX {
                return Err(too_many_units());
            }
            if self.lines.len() >= CART_LINES_MAX {
                return Err(Refusal::LimitReached { what: "lines of a cart".to_owned(), max: CART_LINES_MAX as u64 });
            }
            self.lines.push(CartLine { id: new_line, sku, product, quantity });
        }
        self.touch(now);
        Ok(())
    }

    /// Sets a line's units; zero removes the line. Setting what is there changes nothing.
    ///
    /// # Errors
    /// `NotFound` for a line it does not have, `Invalid` for too many units.
    pub fn set_quantity(&mut self, now: Millis, line: LineId, quantity: u32) -> Result<(), Refusal> {
        let at = self.lines.iter().position(|other| other.id == line).ok_or(Refusal::NotFound)?;
        if quantity > LINE_QUANTITY_MAX {
            return Err(invalid_quantity("at most 100000"));
        }
        match quantity {
            0 => {
                self.lines.remove(at);
            }
            same if same == self.lines[at].quantity => return Ok(()),
            other => self.lines[at].quantity = other,
        }
        self.touch(now);
        Ok(())
    }

    /// Sets where to send it.
    pub fn set_address(&mut self, now: Millis, address: Sealed<Address>) {
        self.address = Some(address);
        self.touch(now);
    }

    /// Moves to another state, as the order's saga says.
    pub fn move_to(&mut self, now: Millis, state: CartState) {
        self.state = state;
        self.touch(now);
    }

    fn touch(&mut self, now: Millis) {
        self.version += 1;
        self.changed_at = now;
    }
}

fn too_many_units() -> Refusal {
    Refusal::LimitReached { what: "units of a line".to_owned(), max: u64::from(LINE_QUANTITY_MAX) }
}

const _: () = assert!(LINE_QUANTITY_MAX == 100_000, "the text of the refusal names the bound");

fn invalid_quantity(detail: &str) -> Refusal {
    let error = FieldError { pointer: "/quantity".to_owned(), code: "out_of_range".to_owned(), detail: detail.to_owned() };
    Refusal::Invalid(vec![error])
}
