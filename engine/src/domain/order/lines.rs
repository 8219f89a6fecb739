//! Lines of an order: priced as placed, with their units by state.

use rkyv::{Archive, Deserialize, Serialize};
use wire::{LineId, LineState, Money, SkuId};

/// A line. Title and prices are as placed; nothing in the catalog changes them.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OrderLine {
    /// That of the cart's line.
    pub id: LineId,
    /// The variant.
    pub sku: SkuId,
    /// Name of the product.
    pub title: String,
    /// Units in all.
    pub quantity: u32,
    /// For one.
    pub unit_price: Money,
    /// Line in all.
    pub total: Money,
    /// Units by state, those above zero, by state; they add up to `quantity`.
    quantities: Vec<(LineState, u32)>,
}

impl OrderLine {
    /// A line with all its units in [`LineState::Reserved`].
    #[must_use]
    pub fn reserved(id: LineId, sku: SkuId, title: String, quantity: u32, unit_price: Money, total: Money) -> Self {
        Self { id, sku, title, quantity, unit_price, total, quantities: vec![(LineState::Reserved, quantity)] }
    }

    /// Units by state, those above zero, in the order of the states.
    #[must_use]
    pub fn quantities(&self) -> &[(LineState, u32)] {
        &self.quantities
    }

    /// Units in one state.
    #[must_use]
    pub fn in_state(&self, state: LineState) -> u32 {
        self.quantities.iter().find(|(other, _)| *other == state).map_or(0, |(_, units)| *units)
    }

    /// Moves all units of one state to another.
    pub fn move_all(&mut self, from: LineState, to: LineState) {
        let units = self.in_state(from);
        if units == 0 || from == to {
            return;
        }
        self.quantities.retain(|(state, _)| *state != from);
        match self.quantities.binary_search_by_key(&to, |(state, _)| *state) {
            Ok(at) => self.quantities[at].1 += units,
            Err(at) => self.quantities.insert(at, (to, units)),
        }
        debug_assert_eq!(self.quantities.iter().map(|(_, units)| *units).sum::<u32>(), self.quantity, "units move; none appear");
    }
}
