//! `/checkout`: where to, who pays, and the order is placed.
//!
//! Path: form, shown with a key drawn for it → the same form back → fields checked as the HTTP contract checks them → the cart's
//! address → checkout, both under the form's key, so that two clicks buy once → the order's page. What the shop says no to comes back
//! as the form again, with the reason, and the cart as it was.

use super::{
    cart::{current, sums},
    countries::COUNTRIES,
    form::Form,
    order::{WAIT_MS, placed},
    session::{No, Session, Visitor, unexpected},
    view::{Failed, Shell, Way, guest, money, personal, plain, see_other, status_of},
};
use crate::{
    App,
    dto::{
        MoneyBody,
        cart::{AddressBody, Checkout as Asked, CheckoutBody, PaymentBody},
    },
    http::{
        RequestId,
        caller::{CALL_MS, CHECKOUT_EXTRA_MS},
        card,
        problem::Problem,
        reply::Reply,
    },
};
use askama::Template;
use axum::{extract::State, http::StatusCode};
use std::sync::Arc;
use wire::{Address, Body, CartId, CartStatus, CartView, Op, OrderId, Refusal, limits};

const PROVIDER: &str = "sandbox";

/// What the sandbox's bank is to say: its token, and the label.
const TEST_PAYMENTS: [(&str, &str); 4] = [
    ("pm_card_visa", "Succeeds"),
    ("pm_card_chargeDeclined", "Declined"),
    ("pm_card_chargeDeclinedInsufficientFunds", "Declined: insufficient funds"),
    ("pm_card_authenticationRequired", "Asks for confirmation (3-D Secure)"),
];

/// A field of the form: name, label, what browsers fill in, input type, must it be filled in, bytes.
struct Spec {
    name: &'static str,
    label: &'static str,
    autocomplete: &'static str,
    kind: &'static str,
    required: bool,
    max: usize,
}

const fn field(name: &'static str, label: &'static str, autocomplete: &'static str, required: bool) -> Spec {
    Spec { name, label, autocomplete, kind: "text", required, max: limits::ADDRESS_FIELD_BYTES_MAX }
}

const CONTACT: [Spec; 2] = [
    Spec { name: "email", label: "Email", autocomplete: "email", kind: "email", required: true, max: limits::EMAIL_BYTES_MAX },
    Spec { name: "phone", label: "Phone", autocomplete: "tel", kind: "tel", required: false, max: limits::ADDRESS_FIELD_BYTES_MAX },
];
const ADDRESS: [Spec; 7] = [
    field("name", "Full name", "shipping name", true),
    field("line1", "Street and number", "shipping address-line1", true),
    field("line2", "Flat, floor, building", "shipping address-line2", false),
    field("city", "City", "shipping address-level2", true),
    field("region", "State or region", "shipping address-level1", false),
    field("postal_code", "Postal code", "shipping postal-code", false),
    field("country", "Country", "shipping country", true),
];
const PAYMENT: Spec = field("payment", "Test payment", "off", true);

struct Choice {
    value: &'static str,
    label: &'static str,
    selected: bool,
}

/// A field as shown: one line to type in, or a list to choose from.
struct Field {
    spec: &'static Spec,
    value: String,
    error: Option<&'static str>,
    choices: Vec<Choice>,
}

struct Line {
    title: String,
    quantity: u32,
    total: String,
}

/// Why the form is shown again.
struct Alert {
    title: &'static str,
    text: String,
    items: Vec<String>,
}

#[derive(Template)]
#[template(path = "checkout.html")]
struct Checkout {
    shell: Shell,
    alert: Option<Alert>,
    errors: Vec<(&'static str, &'static str, &'static str)>,
    contact: Vec<Field>,
    address: Vec<Field>,
    payment: Field,
    lines: Vec<Line>,
    sums: Vec<(&'static str, String)>,
    total: String,
    accept_total: String,
    key: String,
}

/// Name of a field, and what is wrong with it.
type Wrong = (String, &'static str);

fn choices(spec: &Spec, value: &str) -> Vec<Choice> {
    let list = match spec.name {
        "country" => COUNTRIES,
        "payment" => &TEST_PAYMENTS[..],
        _ => &[],
    };
    list.iter().map(|(code, label)| Choice { value: code, label, selected: *code == value }).collect()
}

impl Checkout {
    fn new(cart: &CartView, session: &Session, value: impl Fn(&str) -> String, wrong: &[Wrong], alert: Option<Alert>, key: String) -> Self {
        let shown = |spec: &'static Spec| {
            let value = value(spec.name);
            let error = wrong.iter().find(|(name, _)| name == spec.name).map(|(_, what)| *what);
            Field { spec, error, choices: choices(spec, &value), value }
        };
        let (contact, address): (Vec<Field>, Vec<Field>) = (CONTACT.iter().map(shown).collect(), ADDRESS.iter().map(shown).collect());
        let payment = shown(&PAYMENT);
        let errors =
            contact.iter().chain(&address).chain([&payment]).filter_map(|it| it.error.map(|what| (it.spec.name, it.spec.label, what)));
        let total = cart.totals.total;
        Self {
            shell: Shell::of(session),
            alert,
            errors: errors.collect(),
            contact,
            address,
            payment,
            lines: cart.lines.iter().map(|it| Line { title: it.title.clone(), quantity: it.quantity, total: money(it.total) }).collect(),
            sums: sums(&cart.totals),
            total: money(total),
            accept_total: format!("{} {}", total.amount, total.currency),
            key,
        }
    }
}

/// Draws the key of a form about to be shown.
fn draw() -> String {
    RequestId::random().to_string()
}

/// The cart is being checked out already.
fn under_way(session: &Session) -> Failed {
    let failed = Failed::from(No::Refused(Refusal::CartCheckingOut)).way(Way::new("To your cart", "/cart"));
    match session.last_order() {
        Some(order) => failed.way(Way::new("To the order being placed", format!("/orders/{order}"))),
        None => failed,
    }
}

pub(super) async fn checkout(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Reply, Failed> {
    // What stands in the way is told by the cart's page.
    let Some(cart) = current(&app, &visitor).await?.filter(|cart| !cart.lines.is_empty()) else { return Ok(see_other("/cart")) };
    if cart.status == CartStatus::CheckingOut {
        return Err(under_way(&visitor.session));
    }
    if !cart.problems.is_empty() {
        return Ok(see_other("/cart"));
    }
    let known = |name: &str| {
        let address = cart.address.as_ref();
        let of = |take: fn(&Address) -> &str| address.map_or("", take).to_owned();
        match name {
            "email" => cart.email.clone().unwrap_or_default(),
            "phone" => of(|it| it.phone.as_deref().unwrap_or("")),
            "name" => of(|it| &it.name),
            "line1" => of(|it| &it.line1),
            "line2" => of(|it| it.line2.as_deref().unwrap_or("")),
            "city" => of(|it| &it.city),
            "region" => of(|it| it.region.as_deref().unwrap_or("")),
            "postal_code" => of(|it| &it.postal_code),
            "country" => of(|it| &it.country),
            _ => String::new(),
        }
    };
    personal(&Checkout::new(&cart, &visitor.session, known, &[], None, draw()))
}

/// The fields that a problem of the contract names, in words for the form.
fn wrong(problem: &Problem) -> Vec<Wrong> {
    let brief = problem.brief();
    let entries = brief["errors"].as_array().cloned().unwrap_or_default();
    let of = |entry: serde_json::Value| {
        let name = match entry["pointer"].as_str().unwrap_or("").trim_start_matches('/') {
            "payment/token" => "payment",
            name => name,
        };
        let what = match (name, entry["code"].as_str().unwrap_or("")) {
            ("country", _) => "Choose a country.",
            ("payment", _) => "Choose a payment.",
            ("email", "unknown_value" | "too_short") => "Write an address like name@example.com.",
            (_, "too_long") => "This is too long.",
            _ => "Fill this in.",
        };
        (name.to_owned(), what)
    };
    entries.into_iter().map(of).collect()
}

/// The form's fields, or those that cannot be taken.
fn read(form: &Form) -> Result<(Address, Asked), Vec<Wrong>> {
    let text = |name: &str| form.text(name).to_owned();
    let option = |name: &str| Some(text(name)).filter(|text| !text.is_empty());
    let names = CONTACT.iter().chain(&ADDRESS).map(|spec| spec.name);
    let cards: Vec<Wrong> =
        names.filter(|name| card::looks_like(form.text(name))).map(|name| (name.to_owned(), "Never write a card number here.")).collect();
    if !cards.is_empty() {
        return Err(cards);
    }
    let address = AddressBody {
        name: text("name"),
        line1: text("line1"),
        line2: option("line2"),
        city: text("city"),
        region: option("region"),
        postal_code: text("postal_code"),
        country: text("country"),
        phone: option("phone"),
    };
    // A total that does not parse is none that the buyer was shown: the engine then says what it is.
    let (amount, currency) = form.text("accept_total").split_once(' ').unwrap_or(("0", "USD"));
    let offered = TEST_PAYMENTS.iter().any(|(token, _)| *token == form.text("payment"));
    let asked = CheckoutBody {
        email: text("email"),
        payment: PaymentBody { provider: PROVIDER.to_owned(), token: if offered { text("payment") } else { String::new() } },
        accept_total: MoneyBody { amount: amount.parse().unwrap_or(0), currency: currency.to_owned() },
        wait_ms: WAIT_MS,
    };
    match (address.check(), asked.check()) {
        (Ok(address), Ok(asked)) => Ok((address, asked)),
        (address, asked) => {
            let problems = [address.err(), asked.err()];
            Err(problems.iter().flatten().flat_map(wrong).collect())
        }
    }
}

async fn buy(app: &App, visitor: &Visitor, form: &Form, cart: CartId, address: Address, asked: Asked) -> Result<OrderId, No> {
    let principal = guest(cart);
    let set = Op::SetAddress { cart, address };
    match visitor.ask_once(app, principal, form.idempotency(cart, "address"), CALL_MS, set).await {
        Ok(_) => {}
        // Perhaps by this very form, sent before: its key tells.
        Err(No::Refused(Refusal::CartClosed | Refusal::CartCheckingOut)) => {}
        Err(no) => return Err(no),
    }
    let Asked { email, payment, accept_total, wait_ms } = asked;
    let place = Op::Checkout { cart, email, payment, accept_total, wait_ms };
    match visitor.ask_once(app, principal, form.idempotency(cart, "checkout"), wait_ms + CHECKOUT_EXTRA_MS, place).await? {
        Body::Order(view) => Ok(view.id),
        _ => Err(unexpected()),
    }
}

/// The form again, as it was sent.
async fn again(
    app: &App,
    visitor: &Visitor,
    form: &Form,
    status: StatusCode,
    wrong: &[Wrong],
    alert: Option<(Alert, Option<&Refusal>)>,
    key: String,
) -> Result<Reply, Failed> {
    let closed = || Failed::from(No::Refused(Refusal::CartClosed)).way(Way::new("To your cart", "/cart"));
    let Some(cart) = current(app, visitor).await? else {
        let failed = closed();
        return Err(match visitor.session.last_order() {
            Some(order) => failed.way(Way::new("To your order", format!("/orders/{order}"))),
            None => failed,
        });
    };
    if cart.status == CartStatus::CheckingOut {
        return Err(under_way(&visitor.session));
    }
    let alert = alert.map(|(alert, refusal)| Alert { items: refusal.map_or_else(Vec::new, |refusal| items(refusal, &cart)), ..alert });
    let page = Checkout::new(&cart, &visitor.session, |name| form.text(name).to_owned(), wrong, alert, key);
    Ok(personal(&page)?.status(status))
}

/// The lines that a refusal is about.
fn items(refusal: &Refusal, cart: &CartView) -> Vec<String> {
    let title = |sku| cart.lines.iter().find(|line| line.sku == sku).map_or("A line of your cart", |line| &line.title);
    match refusal {
        Refusal::InsufficientStock(lines) => {
            lines.iter().map(|it| format!("{}: {} wanted, {} left", title(it.sku), it.requested, it.available)).collect()
        }
        Refusal::NotForSale(skus) => skus.iter().map(|sku| title(*sku).to_owned()).collect(),
        _ => Vec::new(),
    }
}

pub(super) async fn place(State(app): State<Arc<App>>, visitor: Visitor, form: Form) -> Result<Reply, Failed> {
    form.needs_key()?;
    let Some(cart) = visitor.session.cart() else { return Ok(see_other("/cart")) };
    let (address, asked) = match read(&form) {
        Ok(read) => read,
        Err(wrong) => return again(&app, &visitor, &form, StatusCode::UNPROCESSABLE_ENTITY, &wrong, None, draw()).await,
    };
    match buy(&app, &visitor, &form, cart, address, asked).await {
        Ok(order) => Ok(placed(&app, &visitor, order)),
        Err(No::Refused(refusal)) => {
            let (title, text) = plain(&refusal);
            // While the outcome is open the same key must come back; after a no it would only repeat that no.
            let key = if refusal == Refusal::IdempotencyKeyInUse { form.text("key").to_owned() } else { draw() };
            let alert = Alert { title, text, items: Vec::new() };
            again(&app, &visitor, &form, status_of(&refusal), &[], Some((alert, Some(&refusal))), key).await
        }
        Err(No::Failed(problem)) => {
            let text = if problem.is_overload() {
                "Nothing was done. Please place the order again in a moment: you will not be charged twice."
            } else {
                "It is not known whether the order was placed. Place it again to find out: you will not be charged twice."
            };
            let alert = Alert { title: problem.code.title, text: text.to_owned(), items: Vec::new() };
            let (status, key) = (problem.code.status, form.text("key").to_owned());
            again(&app, &visitor, &form, status, &[], Some((alert, None)), key).await
        }
    }
}
