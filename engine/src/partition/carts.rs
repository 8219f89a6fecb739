//! Carts of a partition: the table, and the commands that change it.

use super::{ApplyContext, Digest, Outcome};
use crate::{
    domain::cart::Cart,
    record::v1::Address,
    seal::Sealed,
};
use std::collections::BTreeMap;
use wire::{CartId, Currency, LineId, Millis, ProductId, Refusal, SkuId};

/// All carts, by id.
#[derive(Debug, Default)]
pub struct Carts {
    table: BTreeMap<CartId, Cart>,
}

impl Carts {
    pub(super) fn get(&self, id: CartId) -> Option<&Cart> {
        self.table.get(&id)
    }

    pub(super) fn apply_create(&mut self, _ctx: &mut ApplyContext<'_>, _currency: Currency) -> Outcome {
        Err(Refusal::NotFound)
    }

    pub(super) fn add_line(&mut self, _ctx: &mut ApplyContext<'_>, _cart: CartId, _sku: SkuId, _product: ProductId, _quantity: u32) -> Outcome {
        Err(Refusal::NotFound)
    }

    pub(super) fn set_line_quantity(&mut self, _ctx: &mut ApplyContext<'_>, _cart: CartId, _line: LineId, _quantity: u32) -> Outcome {
        Err(Refusal::NotFound)
    }

    pub(super) fn set_address(&mut self, _ctx: &mut ApplyContext<'_>, _cart: CartId, _address: &Sealed<Address>) -> Outcome {
        Err(Refusal::NotFound)
    }

    /// Ends what is due, at most `budget` carts; returns how many.
    pub(super) fn run_timers(&mut self, _ctx: &mut ApplyContext<'_>, _budget: usize) -> usize {
        0
    }

    pub(super) fn next_timer(&self) -> Option<Millis> {
        None
    }

    pub(super) fn check(&self) -> Result<(), String> {
        Ok(())
    }

    pub(super) fn digest(&self, digest: &mut Digest) {
        digest.section("carts");
    }
}
