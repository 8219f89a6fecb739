//! Carts.

use super::{Money, MoneyBody, Shown, Time, check::Checks, stock::Availability};
use crate::http::{problem::Problem, reference};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::{CartId, CartStatus, Currency, CustomerId, LineId, PaymentMethod, ProductId, SkuId, SkuRef, limits};

/// Where to send it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Address {
    /// Recipient.
    name: String,
    /// Street and number.
    line1: String,
    /// Flat, floor, building.
    line2: Option<String>,
    /// Town.
    city: String,
    /// State or province.
    region: Option<String>,
    /// As the country writes it.
    postal_code: String,
    /// ISO 3166-1 alpha-2.
    country: String,
    /// For the carrier.
    phone: Option<String>,
}

impl From<wire::Address> for Address {
    fn from(it: wire::Address) -> Self {
        let wire::Address { name, line1, line2, city, region, postal_code, country, phone } = it;
        Self { name, line1, line2, city, region, postal_code, country, phone }
    }
}

/// Sums.
#[derive(Debug, Serialize, ToSchema)]
pub struct Totals {
    /// Lines before discounts.
    subtotal: Money,
    /// Off it.
    discount: Money,
    /// Delivery.
    shipping: Money,
    /// Tax.
    tax: Money,
    /// To pay.
    total: Money,
}

impl From<wire::Totals> for Totals {
    fn from(it: wire::Totals) -> Self {
        Self {
            subtotal: it.subtotal.into(),
            discount: it.discount.into(),
            shipping: it.shipping.into(),
            tax: it.tax.into(),
            total: it.total.into(),
        }
    }
}

/// The product of a line.
#[derive(Debug, Serialize, ToSchema)]
pub struct LineProduct {
    /// `prod_…`
    #[schema(value_type = String)]
    id: Shown<ProductId>,
    /// The merchant's key.
    key: String,
    /// Name.
    title: String,
    /// First picture.
    image: Option<String>,
}

/// A line of a cart, priced as of now.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartLine {
    /// `line_…`
    #[schema(value_type = String)]
    id: Shown<LineId>,
    /// `sku_…`
    #[schema(value_type = String)]
    sku: Shown<SkuId>,
    /// What it is.
    product: LineProduct,
    /// Units.
    quantity: u32,
    /// For one.
    unit_price: Money,
    /// Off the line.
    discount: Money,
    /// On the line.
    tax: Money,
    /// Line in all.
    total: Money,
    /// Live.
    availability: Availability,
}

/// Something that will stop the checkout.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartProblem {
    /// `insufficient_stock` or `not_for_sale`.
    #[schema(value_type = String)]
    code: &'static str,
    /// `line_…`
    #[schema(value_type = String)]
    line: Shown<LineId>,
    /// Units that can be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u32>,
}

/// A cart, priced as of now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cart {
    /// `cart_…`
    #[schema(value_type = String)]
    id: Shown<CartId>,
    /// Rises with each change.
    version: u64,
    /// `open`, `checking_out`, `ordered` or `abandoned`.
    #[schema(value_type = String, example = "open")]
    status: &'static str,
    /// Of all its money.
    #[schema(value_type = String, example = "USD")]
    currency: Shown<Currency>,
    /// Null for a guest.
    #[schema(value_type = Option<String>)]
    customer: Option<Shown<CustomerId>>,
    /// Known after checkout.
    email: Option<String>,
    /// In the order added.
    lines: Vec<CartLine>,
    /// None yet.
    coupons: [String; 0],
    /// Where to send it.
    address: Option<Address>,
    /// Null: shipping is free.
    #[schema(value_type = Option<String>)]
    shipping: (),
    /// Sums.
    totals: Totals,
    /// What will stop the checkout.
    problems: Vec<CartProblem>,
    /// When it is swept if left alone.
    #[schema(value_type = String)]
    expires_at: Time,
}

const fn status(status: CartStatus) -> &'static str {
    match status {
        CartStatus::Open => "open",
        CartStatus::CheckingOut => "checking_out",
        CartStatus::Ordered => "ordered",
        CartStatus::Abandoned => "abandoned",
    }
}

impl From<wire::CartLineView> for CartLine {
    fn from(line: wire::CartLineView) -> Self {
        Self {
            id: Shown(line.id),
            sku: Shown(line.sku),
            product: LineProduct { id: Shown(line.product), key: line.product_key, title: line.title, image: line.image },
            quantity: line.quantity,
            unit_price: line.unit_price.into(),
            discount: line.discount.into(),
            tax: line.tax.into(),
            total: line.total.into(),
            availability: line.availability.into(),
        }
    }
}

impl From<wire::CartProblem> for CartProblem {
    fn from(problem: wire::CartProblem) -> Self {
        match problem {
            wire::CartProblem::InsufficientStock { line, available } => {
                Self { code: "insufficient_stock", line: Shown(line), available: Some(available) }
            }
            wire::CartProblem::NotForSale { line } => Self { code: "not_for_sale", line: Shown(line), available: None },
        }
    }
}

impl From<wire::CartView> for Cart {
    fn from(view: wire::CartView) -> Self {
        Self {
            id: Shown(view.id),
            version: view.version,
            status: status(view.status),
            currency: Shown(view.currency),
            customer: view.customer.map(Shown),
            email: view.email,
            lines: view.lines.into_iter().map(Into::into).collect(),
            coupons: [],
            address: view.address.map(Into::into),
            shipping: (),
            totals: view.totals.into(),
            problems: view.problems.into_iter().map(Into::into).collect(),
            expires_at: Time(view.expires_at),
        }
    }
}

/// A new cart and what opens it.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewCart {
    /// The cart.
    pub cart: Cart,
    /// Send it as `Cart-Token`.
    pub cart_token: String,
}

/// Ways to ship; none unless shipping rates are set up, and then shipping is free.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ShippingOptions {
    /// None.
    items: [String; 0],
    /// Always null: this list has one page.
    #[schema(value_type = Option<String>)]
    next: (),
}

/// A new cart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CartBody {
    /// ISO 4217; US dollars unless it says otherwise.
    #[schema(example = "USD")]
    pub currency: Option<String>,
}

impl CartBody {
    /// The currency.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn check(self) -> Result<Currency, Problem> {
        let parse =
            |text: String| text.parse().map_err(|e: wire::CurrencyError| Problem::field("/currency", "unknown_value", e.to_string()));
        self.currency.map_or(Ok(Currency::USD), parse)
    }
}

/// A line to add; it sums into the line that has the SKU.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    /// `sku_…`, or `key=` and the merchant's key.
    pub sku: String,
    /// At least 1.
    pub quantity: u32,
}

impl LineBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<(SkuRef, u32), Problem> {
        let mut checks = Checks::default();
        let sku = reference::sku(&self.sku).unwrap_or_else(|| {
            checks.wrong("/sku", "unknown_value", "sku_… or key=MERCHANT-KEY");
            SkuRef::Key(String::new())
        });
        let quantity = checks.number("/quantity", self.quantity, 1, limits::LINE_QUANTITY_MAX);
        checks.end((sku, quantity))
    }
}

/// How many a line has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuantityBody {
    /// 0 removes the line.
    pub quantity: u32,
}

impl QuantityBody {
    /// The quantity.
    ///
    /// # Errors
    /// Out of bounds.
    pub(crate) fn check(self) -> Result<u32, Problem> {
        let mut checks = Checks::default();
        let quantity = checks.number("/quantity", self.quantity, 0, limits::LINE_QUANTITY_MAX);
        checks.end(quantity)
    }
}

/// Where to send it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressBody {
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
    #[schema(example = "US")]
    pub country: String,
    /// For the carrier.
    pub phone: Option<String>,
}

impl AddressBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<wire::Address, Problem> {
        const MAX: usize = limits::ADDRESS_FIELD_BYTES_MAX;
        let mut checks = Checks::default();
        if self.country.len() != 2 || !self.country.bytes().all(|letter| letter.is_ascii_uppercase()) {
            checks.wrong("/country", "unknown_value", "two capital letters, such as US");
        }
        let address = wire::Address {
            name: checks.text("/name", self.name, 1, MAX),
            line1: checks.text("/line1", self.line1, 1, MAX),
            line2: checks.option("/line2", self.line2, MAX),
            city: checks.text("/city", self.city, 1, MAX),
            region: checks.option("/region", self.region, MAX),
            postal_code: checks.text("/postal_code", self.postal_code, 0, MAX),
            country: self.country,
            phone: checks.option("/phone", self.phone, MAX),
        };
        checks.end(address)
    }
}

/// How to pay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentBody {
    /// Name of the provider, such as `sandbox`.
    #[schema(example = "sandbox")]
    pub provider: String,
    /// The provider's token; never a card number.
    #[schema(example = "pm_card_visa")]
    pub token: String,
}

/// A checkout.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutBody {
    /// Buyer's address.
    pub email: String,
    /// How to pay.
    pub payment: PaymentBody,
    /// What the buyer agreed to pay: the cart's `totals.total`.
    pub accept_total: MoneyBody,
    /// How long to wait for the outcome, at most 30000.
    #[serde(default = "wait_ms")]
    #[schema(default = 10_000)]
    pub wait_ms: u32,
}

const fn wait_ms() -> u32 {
    10_000
}

/// What a checkout asks for, checked.
pub struct Checkout {
    pub(crate) email: String,
    pub(crate) payment: PaymentMethod,
    pub(crate) accept_total: wire::Money,
    pub(crate) wait_ms: u32,
}

impl CheckoutBody {
    /// The wire form.
    ///
    /// # Errors
    /// Fields out of bounds.
    pub(crate) fn check(self) -> Result<Checkout, Problem> {
        let mut checks = Checks::default();
        let email = checks.text("/email", self.email, 3, limits::EMAIL_BYTES_MAX);
        let parts = email.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
        if parts.is_none() || email.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            checks.wrong("/email", "unknown_value", "an email address");
        }
        let checkout = Checkout {
            email,
            payment: PaymentMethod {
                provider: checks.key("/payment/provider", self.payment.provider),
                token: checks.text("/payment/token", self.payment.token, 1, limits::PAYMENT_TOKEN_BYTES_MAX),
            },
            accept_total: checks.money("/accept_total", &self.accept_total),
            wait_ms: checks.number("/wait_ms", self.wait_ms, 0, limits::CHECKOUT_WAIT_MS_MAX),
        };
        checks.end(checkout)
    }
}
