//! A cart.

/// A cart.
#[derive(Clone, Debug)]
pub struct Cart {
    /// Which.
    pub id: wire::CartId,
}
