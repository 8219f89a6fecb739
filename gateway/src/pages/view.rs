//! What all pages share: the frame around them, money and refusals in plain words, headers, and pages for errors.
//!
//! Path: handler → a template (askama escapes every text put into it) → [`public`] or [`personal`] → [`Reply`]. Errors: anything that
//! goes wrong → [`Failed`] → a page with the problem's status.

use super::{
    assets,
    session::{No, Session, Visitor},
};
use crate::{
    App,
    http::{codes::Code, etag::ETag, problem::Problem, reply::Reply},
};
use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use wire::{Availability, CartId, Money, OrderId, Principal, Refusal, SearchHit};

/// Stricter than that of the rest: no scripts at all. Pictures are the merchant's, wherever they are served.
const CSP: &str = "default-src 'none'; style-src 'self'; img-src 'self' data: https:; base-uri 'none'; form-action 'self'; \
                   frame-ancestors 'none'";
/// Kept by caches, and asked for anew each time: prices and stock are live.
const REVALIDATED: &str = "public, no-cache";

/// The frame around a page.
#[derive(Debug, Default)]
pub(super) struct Shell {
    /// In the search box.
    pub(super) q: String,
    /// Shown at the foot of personal pages.
    pub(super) last_order: Option<OrderId>,
}

impl Shell {
    /// Of a page that only this visitor sees.
    pub(super) fn of(session: &Session) -> Self {
        Self { q: String::new(), last_order: session.last_order() }
    }

    /// Address of the stylesheet, with its hash.
    pub(super) fn stylesheet(&self) -> &'static str {
        &assets::STYLESHEET.url
    }
}

/// A link that a page offers as a way on.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) label: &'static str,
    pub(super) href: String,
}

impl Way {
    pub(super) fn new(label: &'static str, href: impl Into<String>) -> Self {
        Self { label, href: href.into() }
    }
}

/// Acts for the holder of `cart`.
pub(super) const fn guest(cart: CartId) -> Principal {
    Principal::Guest { cart }
}

/// Digits after the point (ISO 4217); most currencies have two.
fn decimals(currency: &str) -> usize {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND" | "VUV" | "XAF" | "XOF"
        | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// Money as people read it: `$1,234.50`, or `1,234.50 EUR`.
pub(super) fn money(money: Money) -> String {
    let currency = money.currency.as_str();
    let decimals = decimals(currency);
    let digits = format!("{:0>width$}", money.amount.unsigned_abs(), width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    let mut text = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if decimals > 0 {
        text.push('.');
        text.push_str(part);
    }
    let sign = if money.amount < 0 { "-" } else { "" };
    if currency == "USD" { format!("{sign}${text}") } else { format!("{sign}{text} {currency}") }
}

/// What a shopper is told about stock, and its class in the stylesheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stock {
    pub(super) text: String,
    pub(super) class: &'static str,
}

impl Stock {
    /// Of one SKU.
    pub(super) fn of(availability: Availability) -> Self {
        match availability {
            it if it.is_cap() => Self { text: "In stock".to_owned(), class: "in" },
            it if it.in_stock() => Self { text: format!("Only {} left", it.quantity), class: "few" },
            Availability { backorder: true, .. } => Self { text: "On order: ships later".to_owned(), class: "few" },
            _ => Self { text: "Out of stock".to_owned(), class: "out" },
        }
    }

    fn any(in_stock: bool) -> Self {
        let (text, class) = if in_stock { ("In stock", "in") } else { ("Out of stock", "out") };
        Self { text: text.to_owned(), class }
    }
}

/// A picture's address, if browsers may load it under our policy: over TLS, or of this host.
pub(super) fn picture(url: Option<&str>) -> Option<String> {
    let ours = |url: &&str| url.starts_with("https://") || (url.starts_with('/') && !url.starts_with("//"));
    url.filter(ours).map(str::to_owned)
}

/// A product in a list.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) brand: Option<String>,
    pub(super) image: Option<String>,
    pub(super) price: Option<String>,
    pub(super) stock: Stock,
}

impl From<SearchHit> for Card {
    fn from(hit: SearchHit) -> Self {
        Self {
            id: hit.product.to_string(),
            image: picture(hit.image.as_deref()),
            price: hit.price.map(money),
            stock: Stock::any(hit.in_stock),
            title: hit.title,
            brand: hit.brand,
        }
    }
}

/// The label of a category's key: `printers/ink` is a path.
pub(super) fn path_label(key: &str) -> String {
    key.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" › ")
}

/// Headline and sentence for a refusal, for a buyer.
pub(super) fn plain(refusal: &Refusal) -> (&'static str, String) {
    let say = |title, text: &str| (title, text.to_owned());
    match refusal {
        Refusal::NotFound => say("Not found", "There is no such page, or it is not yours to see."),
        Refusal::Invalid(fields) => {
            ("That cannot be taken", fields.first().map_or_else(String::new, |field| format!("Wanted: {}.", field.detail)))
        }
        Refusal::IdempotencyKeyReused => say(
            "This form was already sent",
            "It was sent before with other details, so nothing was done now. Please look it over and send it again.",
        ),
        Refusal::IdempotencyKeyInUse => say(
            "Still working on it",
            "The first of your two clicks is still being worked on. Send the form again in a moment: you will not be charged twice.",
        ),
        Refusal::LimitReached { what, max } => ("That is too much", format!("There may be at most {max} {what}.")),
        Refusal::InsufficientStock(_) => say("Not enough stock", "Some of your cart sold out in the meantime. Nothing was charged."),
        Refusal::Contended => {
            say("Others are buying the last of these", "They may yet leave some. Nothing was charged; please try again in a moment.")
        }
        Refusal::PaymentDeclined { decline_code } => {
            ("The payment was declined", format!("{} Nothing was charged, and your cart is kept.", declined(decline_code)))
        }
        Refusal::TotalChanged { total } => (
            "The total has changed",
            format!("It is {} now. Nothing was charged; please look it over and place the order again.", money(*total)),
        ),
        Refusal::CartClosed => say("This cart is closed", "It became an order, or was left alone for too long."),
        Refusal::CartCheckingOut => say("This cart is being checked out", "Wait for its order, or finish the payment, then go on."),
        Refusal::CartEmpty => say("Your cart is empty", "Add something first."),
        Refusal::AddressRequired => say("An address is needed", "Tell us where to send it."),
        Refusal::NotForSale(_) => say("Some of this is not for sale", "Remove it from your cart, then try again. Nothing was charged."),
        Refusal::UnknownProvider { .. } => say("This way to pay is not available", "Choose another one. Nothing was charged."),
        Refusal::OrderState { .. } => say("The order has moved on", "It stands otherwise by now and does not allow that any more."),
        Refusal::NoPendingAction => say("There is nothing to confirm", "The payment has been answered already."),
        Refusal::VersionMismatch { .. } => say("It changed in the meantime", "Please look it over and try again."),
        Refusal::PricesOutdated => say("The shop is busy", "Nothing was done; please try again in a moment."),
        _ => say("That is not possible", "The shop said no. Nothing was changed."),
    }
}

fn declined(code: &str) -> &'static str {
    match code {
        "insufficient_funds" => "There is not enough money on the card.",
        "authentication_required" | "authentication_failed" | "payment_intent_authentication_failure" => {
            "The bank could not confirm that it was you."
        }
        "expired_card" => "The card has expired.",
        _ => "The card's bank said no.",
    }
}

/// A page about what went wrong.
#[derive(Debug)]
pub(super) struct Failed {
    status: StatusCode,
    title: &'static str,
    text: String,
    retry_after_s: Option<u32>,
    ways: Vec<Way>,
    cookie: Option<String>,
}

impl Failed {
    pub(super) fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self { status, title, text: text.into(), retry_after_s: None, ways: vec![Way::new("To the start page", "/")], cookie: None }
    }

    pub(super) fn not_found() -> Self {
        No::Refused(Refusal::NotFound).into()
    }

    /// Offers a way on, before the others.
    pub(super) fn way(mut self, way: Way) -> Self {
        self.ways.insert(0, way);
        self
    }

    /// Changes the cookie.
    pub(super) fn cookie(mut self, session: &Session, app: &App) -> Self {
        self.cookie = Some(session.cookie(&app.carts));
        self
    }
}

/// The status that the HTTP contract gives a refusal.
pub(super) fn status_of(refusal: &Refusal) -> StatusCode {
    Problem::from(refusal.clone()).code.status
}

impl From<No> for Failed {
    fn from(no: No) -> Self {
        match no {
            No::Refused(refusal) => {
                let (title, text) = plain(&refusal);
                Self::new(status_of(&refusal), title, text)
            }
            No::Failed(problem) => problem.into(),
        }
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        let text = match problem.code {
            Code::NOT_FOUND => return Self::from(No::Refused(Refusal::NotFound)),
            Code::OVERLOADED | Code::UNAVAILABLE | Code::STORAGE_FULL => "Please try again in a moment.",
            Code::DEADLINE_EXCEEDED => "It may yet be done. See whether it was before you try again.",
            Code::INTERNAL => "It was noted, and will be looked into.",
            _ => "Go back, look it over and try again.",
        };
        Self { retry_after_s: problem.retry_after(), ..Self::new(problem.code.status, problem.code.title, text) }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    shell: Shell,
    title: &'static str,
    text: String,
    status: u16,
    ways: Vec<Way>,
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response<Body> {
        let Self { status, title, text, retry_after_s, ways, cookie } = self;
        let page = ErrorPage { shell: Shell::default(), title, text, status: status.as_u16(), ways };
        let mut reply = match page.render() {
            Ok(html) => html_reply(&html).status(status),
            Err(error) => return Problem::fault(error).into_response(),
        };
        if let Some(seconds) = retry_after_s {
            reply = reply.header(header::RETRY_AFTER, &seconds.to_string());
        }
        if let Some(cookie) = cookie {
            reply = reply.header(header::SET_COOKIE, &cookie);
        }
        reply.into_response()
    }
}

fn html_reply(html: &str) -> Reply {
    Reply::html(html).header(header::CONTENT_SECURITY_POLICY, CSP)
}

fn rendered(page: &impl Template) -> Result<String, Failed> {
    page.render().map_err(|error| Problem::fault(error).into())
}

/// A page that is the same for everyone; 304 if the visitor has it. `surrogate` names what a shared cache must drop.
pub(super) fn public(visitor: &Visitor, page: &impl Template, surrogate: &str) -> Result<Reply, Failed> {
    let html = rendered(page)?;
    let tag = ETag::live(0, html.as_bytes());
    let reply = html_reply(&html).public(surrogate).header(header::CACHE_CONTROL, REVALIDATED);
    Ok(reply.etag(&tag, visitor.none_match.as_deref()))
}

/// A page for this visitor alone, kept by no cache.
pub(super) fn personal(page: &impl Template) -> Result<Reply, Failed> {
    Ok(html_reply(&rendered(page)?))
}

/// After a change: look at `location`.
pub(super) fn see_other(location: &str) -> Reply {
    Reply::empty(StatusCode::SEE_OTHER).header(header::LOCATION, location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_well() {
        for (amount, currency, wanted) in [
            (0, "USD", "$0.00"),
            (5, "USD", "$0.05"),
            (1_999, "USD", "$19.99"),
            (123_456_789, "USD", "$1,234,567.89"),
            (-150, "USD", "-$1.50"),
            (100_000, "EUR", "1,000.00 EUR"),
            (1_234, "JPY", "1,234 JPY"),
            (1_234, "KWD", "1.234 KWD"),
            (i64::MIN, "USD", "-$92,233,720,368,547,758.08"),
        ] {
            let currency = currency.parse().expect("three capitals");
            assert_eq!(money(Money { amount, currency }), wanted);
        }
    }

    #[test]
    fn only_pictures_that_browsers_may_load_are_shown() {
        for (url, shown) in [
            ("https://img.example/a.jpg", true),
            ("/img/a.jpg", true),
            ("//img.example/a.jpg", false),
            ("http://img.example/a.jpg", false),
            ("javascript:alert(1)", false),
            ("", false),
        ] {
            assert_eq!(picture(Some(url)).is_some(), shown, "{url}");
        }
    }

    #[test]
    fn stock_is_told_in_words() {
        let of = |quantity, backorder| Stock::of(Availability { quantity, backorder }).text;
        assert_eq!(
            [of(10, false), of(2, false), of(0, true), of(0, false)],
            ["In stock", "Only 2 left", "On order: ships later", "Out of stock"]
        );
    }
}
