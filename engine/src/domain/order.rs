//! An order.

/// An order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which.
    pub id: wire::OrderId,
}
