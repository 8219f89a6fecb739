//! `/cart` and the forms that change it. The first thing added opens a cart; after an order, the next one opens another.

use super::{
    form::Form,
    session::{No, Session, Visitor, unexpected},
    view::{Failed, Shell, Stock, Way, guest, money, personal, picture, see_other},
};
use crate::{
    App,
    http::{caller::CALL_MS, reference, reply::Reply},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
};
use std::sync::Arc;
use wire::{
    Body, CartId, CartLineView, CartProblem, CartStatus, CartView, Currency, LineId, Op, OrderId, Principal, Refusal, limits, placement,
};

struct Line {
    id: String,
    title: String,
    href: String,
    image: Option<String>,
    quantity: u32,
    unit_price: String,
    total: String,
    stock: Stock,
    problem: Option<String>,
}

/// Sums, as rows of a list; those of nothing are left out.
pub(super) fn sums(totals: &wire::Totals) -> Vec<(&'static str, String)> {
    let mut rows = vec![("Subtotal", money(totals.subtotal))];
    if totals.discount.amount != 0 {
        rows.push(("Discount", format!("−{}", money(totals.discount))));
    }
    rows.push(("Shipping", if totals.shipping.amount == 0 { "Free".to_owned() } else { money(totals.shipping) }));
    if totals.tax.amount != 0 {
        rows.push(("Tax", money(totals.tax)));
    }
    rows
}

#[derive(Template)]
#[template(path = "cart.html")]
struct Cart {
    shell: Shell,
    lines: Vec<Line>,
    sums: Vec<(&'static str, String)>,
    total: String,
    units: u64,
    quantity_max: u32,
    open: bool,
    ready: bool,
    order: Option<OrderId>,
}

fn problem_of(line: LineId, problems: &[CartProblem]) -> Option<String> {
    problems.iter().find_map(|problem| match problem {
        CartProblem::InsufficientStock { line: of, available: 0 } if *of == line => Some("Sold out. Remove it to go on.".to_owned()),
        CartProblem::InsufficientStock { line: of, available } if *of == line => {
            Some(format!("Only {available} can be had. Lower the quantity to go on."))
        }
        CartProblem::NotForSale { line: of } if *of == line => Some("Not for sale any more. Remove it to go on.".to_owned()),
        CartProblem::InsufficientStock { .. } | CartProblem::NotForSale { .. } => None,
    })
}

impl Cart {
    fn new(view: CartView, session: &Session) -> Self {
        let line = |line: CartLineView| Line {
            id: line.id.to_string(),
            href: format!("/p/{}", line.product),
            image: picture(line.image.as_deref()),
            quantity: line.quantity,
            unit_price: money(line.unit_price),
            total: money(line.total),
            stock: Stock::of(line.availability),
            problem: problem_of(line.id, &view.problems),
            title: line.title,
        };
        Self {
            shell: Shell::of(session),
            units: view.lines.iter().map(|line| u64::from(line.quantity)).sum(),
            sums: sums(&view.totals),
            total: money(view.totals.total),
            open: view.status == CartStatus::Open,
            ready: view.problems.is_empty(),
            lines: view.lines.into_iter().map(line).collect(),
            order: session.last_order(),
            quantity_max: limits::LINE_QUANTITY_MAX,
        }
    }

    fn empty(session: &Session) -> Self {
        Self {
            shell: Shell::of(session),
            lines: Vec::new(),
            sums: Vec::new(),
            total: String::new(),
            units: 0,
            quantity_max: limits::LINE_QUANTITY_MAX,
            open: true,
            ready: false,
            order: None,
        }
    }
}

/// The visitor's cart, unless it is gone or became an order.
pub(super) async fn current(app: &App, visitor: &Visitor) -> Result<Option<CartView>, No> {
    let Some(cart) = visitor.session.cart() else { return Ok(None) };
    match visitor.ask(app, guest(cart), None, CALL_MS, Op::GetCart(cart)).await {
        Ok(Body::Cart(view)) => match view.status {
            CartStatus::Open | CartStatus::CheckingOut => Ok(Some(*view)),
            CartStatus::Ordered | CartStatus::Abandoned => Ok(None),
        },
        Ok(_) => Err(unexpected()),
        Err(No::Refused(Refusal::NotFound)) => Ok(None),
        Err(no) => Err(no),
    }
}

pub(super) async fn cart(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Reply, Failed> {
    let view = current(&app, &visitor).await?;
    personal(&view.map_or_else(|| Cart::empty(&visitor.session), |view| Cart::new(view, &visitor.session)))
}

async fn open(app: &App, visitor: &Visitor, currency: Currency) -> Result<CartId, No> {
    let partition = placement::partition_of(placement::Space::Cart, &visitor.draw().to_le_bytes(), app.client.topology().partitions);
    match visitor.ask(app, Principal::Anonymous, None, CALL_MS, Op::CreateCart { currency, partition }).await? {
        Body::Cart(view) => Ok(view.id),
        _ => Err(unexpected()),
    }
}

fn quantity(text: &str, least: u32) -> Result<u32, Failed> {
    text.parse().ok().filter(|n| (least..=limits::LINE_QUANTITY_MAX).contains(n)).ok_or_else(|| {
        let wanted = format!("The quantity must be a whole number from {least} to {}.", limits::LINE_QUANTITY_MAX);
        Failed::new(StatusCode::UNPROCESSABLE_ENTITY, "That is not a quantity", wanted).way(Way::new("To your cart", "/cart"))
    })
}

/// What stops a change of the cart, with ways on.
fn stopped(no: No, session: &Session) -> Failed {
    let checking_out = matches!(no, No::Refused(Refusal::CartCheckingOut));
    let failed = Failed::from(no).way(Way::new("To your cart", "/cart"));
    match session.last_order().filter(|_| checking_out) {
        Some(order) => failed.way(Way::new("To the order being placed", format!("/orders/{order}"))),
        None => failed,
    }
}

pub(super) async fn add(State(app): State<Arc<App>>, visitor: Visitor, form: Form) -> Result<Reply, Failed> {
    let missing = || Failed::new(StatusCode::UNPROCESSABLE_ENTITY, "Choose a variant", "Go back and choose which one you want.");
    let sku = reference::sku(form.text("sku")).ok_or_else(missing)?;
    let quantity = quantity(form.text("quantity"), 1)?;
    let add = |cart| visitor.ask(&app, guest(cart), None, CALL_MS, Op::AddLine { cart, sku: sku.clone(), quantity });
    if let Some(cart) = visitor.session.cart() {
        match add(cart).await {
            Ok(_) => return Ok(see_other("/cart")),
            // It became an order, or was swept: another one takes its place.
            Err(No::Refused(Refusal::CartClosed | Refusal::NotFound)) => {}
            Err(no) => return Err(stopped(no, &visitor.session)),
        }
    }
    let cart = open(&app, &visitor, form.text("currency").parse().unwrap_or(Currency::USD)).await?;
    let mut session = visitor.session.clone();
    session.open(cart);
    match add(cart).await {
        Ok(_) => Ok(see_other("/cart").header(header::SET_COOKIE, &session.cookie(&app.carts))),
        Err(no) => Err(stopped(no, &session).cookie(&session, &app)),
    }
}

pub(super) async fn set_line(State(app): State<Arc<App>>, visitor: Visitor, Path(line): Path<String>, form: Form) -> Result<Reply, Failed> {
    let line: LineId = line.parse().map_err(|_| Failed::not_found())?;
    let quantity = quantity(form.text("quantity"), 0)?;
    let cart = visitor.session.cart().ok_or_else(Failed::not_found)?;
    match visitor.ask(&app, guest(cart), None, CALL_MS, Op::SetLineQuantity { cart, line, quantity }).await {
        Ok(_) => Ok(see_other("/cart")),
        // Removed in another tab: the cart shows it.
        Err(No::Refused(Refusal::NotFound | Refusal::CartClosed)) => Ok(see_other("/cart")),
        Err(no) => Err(stopped(no, &visitor.session)),
    }
}
