//! Carts and orders as shoppers see them.

use crate::{Availability, CartId, CustomerId, LineId, Millis, Money, OrderId, PaymentId, ProductId, SkuId};
use rkyv::{Archive, Deserialize, Serialize};

/// Where to send it. Personal: never in a log line; sealed before it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Address {
    /// Recipient.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// Flat, floor, building.
    pub line2: Option<String>,
    /// Town.
    pub city: String,
    /// State or province.
    pub region: Option<String>,
    /// As the country writes it.
    pub postal_code: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// For the carrier.
    pub phone: Option<String>,
}

/// Where a cart stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum CartStatus {
    /// Can be changed and checked out.
    Open,
    /// A checkout runs; it ends as `Ordered` or back in `Open`.
    CheckingOut,
    /// Became an order.
    Ordered,
    /// Left alone until it expired.
    Abandoned,
}

/// A line of a cart, priced as of now.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CartLineView {
    /// `line_…`
    pub id: LineId,
    /// `sku_…`
    pub sku: SkuId,
    /// `prod_…`
    pub product: ProductId,
    /// The merchant's product key.
    pub product_key: String,
    /// Name of the product.
    pub title: String,
    /// First picture.
    pub image: Option<String>,
    /// Units.
    pub quantity: u32,
    /// For one, without tax.
    pub unit_price: Money,
    /// Off the line.
    pub discount: Money,
    /// On the line.
    pub tax: Money,
    /// Line in all.
    pub total: Money,
    /// Live.
    pub availability: Availability,
}

/// Sums of a cart or an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Totals {
    /// Lines before discounts.
    pub subtotal: Money,
    /// Off it.
    pub discount: Money,
    /// Delivery.
    pub shipping: Money,
    /// Tax.
    pub tax: Money,
    /// To pay.
    pub total: Money,
}

/// Something about a cart that will stop its checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum CartProblem {
    /// Fewer can be had than the line asks for.
    InsufficientStock {
        /// The line.
        line: LineId,
        /// Units that can be had.
        available: u32,
    },
    /// The variant is gone, withdrawn, or has no price.
    NotForSale {
        /// The line.
        line: LineId,
    },
}

/// A cart, priced as of now.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct CartView {
    /// `cart_…`
    pub id: CartId,
    /// Rises with each change.
    pub version: u64,
    /// Where it stands.
    pub status: CartStatus,
    /// Currency of all its money.
    pub currency: crate::Currency,
    /// `None` for a guest.
    pub customer: Option<CustomerId>,
    /// Known after checkout.
    pub email: Option<String>,
    /// In the order added.
    pub lines: Vec<CartLineView>,
    /// Where to send it.
    pub address: Option<Address>,
    /// Sums.
    pub totals: Totals,
    /// What will stop the checkout.
    pub problems: Vec<CartProblem>,
    /// When it will be swept if left alone.
    pub expires_at: Millis,
}

/// The order itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum OrderStatus {
    /// The checkout has not settled; not listed.
    Placing,
    /// Placed.
    Open,
    /// Stopped by an operator or a check.
    OnHold,
    /// Done.
    Closed,
    /// Called off.
    Cancelled,
    /// Never settled.
    Expired,
}

/// The money of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum PaymentStatus {
    /// Nothing asked yet.
    None,
    /// Asked, not answered, or the buyer must act.
    Pending,
    /// Reserved at the provider.
    Authorised,
    /// Some of it taken.
    PartiallyCaptured,
    /// Taken.
    Captured,
    /// Some of it given back.
    PartiallyRefunded,
    /// Given back.
    Refunded,
    /// Let go without being taken.
    Voided,
    /// Declined.
    Failed,
}

/// Where the units of an order line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Archive, Serialize, Deserialize)]
pub enum LineState {
    /// Held while the order is being placed.
    Reserved,
    /// Sold beyond what was there.
    Backordered,
    /// Stock committed.
    Allocated,
    /// Taken from the shelf.
    Picked,
    /// Given to the carrier.
    Shipped,
    /// Arrived.
    Delivered,
    /// The buyer wants to send it back.
    ReturnRequested,
    /// It came back.
    ReturnReceived,
    /// It is for sale again.
    Restocked,
    /// It came back and cannot be sold.
    Scrapped,
    /// Called off before it left.
    Cancelled,
}

/// A line of an order, priced as placed.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OrderLineView {
    /// `line_…`, that of the cart.
    pub id: LineId,
    /// `sku_…`
    pub sku: SkuId,
    /// Name of the product when placed.
    pub title: String,
    /// Units.
    pub quantity: u32,
    /// For one.
    pub unit_price: Money,
    /// Line in all.
    pub total: Money,
    /// Units by state, those above zero.
    pub quantities: Vec<(LineState, u32)>,
}

/// A payment of an order.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct PaymentView {
    /// `pay_…`, our reference at the provider too.
    pub id: PaymentId,
    /// Name of the adapter.
    pub provider: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Asked for.
    pub amount: Money,
    /// Taken.
    pub captured: Money,
    /// Given back.
    pub refunded: Money,
    /// The provider's word when it declined.
    pub decline_code: Option<String>,
}

/// What the buyer must do before the order can go on.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct NextAction {
    /// Such as `three_d_secure`.
    pub kind: String,
    /// Where to do it, if it is elsewhere.
    pub url: Option<String>,
}

/// An entry of an order's history.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OrderEvent {
    /// The order's version it made.
    pub version: u64,
    /// When.
    pub at: Millis,
    /// Such as `order.placed`.
    pub kind: String,
    /// A word more, such as a decline code.
    pub detail: Option<String>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct OrderView {
    /// `ord_…`
    pub id: OrderId,
    /// For people: short, unique in the shop.
    pub number: String,
    /// Rises with each change.
    pub version: u64,
    /// The order itself.
    pub status: OrderStatus,
    /// Its money.
    pub payment_status: PaymentStatus,
    /// Buyer's address.
    pub email: String,
    /// The cart it came from.
    pub cart: CartId,
    /// In the cart's order.
    pub lines: Vec<OrderLineView>,
    /// Sums as placed.
    pub totals: Totals,
    /// Where to send it.
    pub address: Address,
    /// In the order made.
    pub payments: Vec<PaymentView>,
    /// What the buyer must do.
    pub next_action: Option<NextAction>,
    /// When the checkout began.
    pub placed_at: Millis,
    /// History, oldest first.
    pub events: Vec<OrderEvent>,
}
