//! What a browser holds, and how its requests reach the engine.
//!
//! Path: `Cookie` → [`Session`], of tokens that prove true → [`Visitor::ask`] on behalf of one of its carts → `Set-Cookie`.
//!
//! Cookie: `CURRENT ~ RECENT ~ …`, each a cart token, or `TOKEN!ORDER` once it was checked out; `CURRENT` is empty when no cart is
//! open. The same tokens that the HTTP contract hands out; nothing is kept here.

use crate::{
    App,
    auth::cart_token::CartTokens,
    http::{RequestId, problem::Problem},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use wire::{Body, CartId, Failure, Idempotency, Op, OrderId, Principal, Refusal, Request, Response};

/// Only ever sent over TLS to this very host.
const COOKIE: &str = "__Host-emporion";
/// Carts remembered beside the current one; the oldest is forgotten, and with it the way to its order.
pub(super) const RECENT_MAX: usize = 5;
/// Seconds the browser keeps the cookie after the last change.
const COOKIE_AGE_S: u32 = 90 * 24 * 3600;
/// How often a form that was sent twice asks for the outcome of the first, and how long it waits in between.
const REPEATS_MAX: u32 = 60;
const REPEAT_EVERY: Duration = Duration::from_millis(250);

/// A cart this browser holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    cart: CartId,
    order: Option<OrderId>,
}

/// The carts of a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Session {
    current: Option<Held>,
    recent: Vec<Held>,
}

impl Session {
    /// Reads the cookie. What does not prove true is as if it were not there.
    fn read(headers: &HeaderMap, tokens: &CartTokens) -> Self {
        let crumbs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(';'));
        let mut values = crumbs.filter_map(|crumb| crumb.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        let held = |text: &str| {
            let (token, order) = text.split_once('!').map_or((text, None), |(token, order)| (token, order.parse().ok()));
            tokens.verify(token).map(|cart| Held { cart, order })
        };
        let mut parts = values.next().unwrap_or("").split('~');
        let current = parts.next().and_then(held);
        Self { current, recent: parts.take(RECENT_MAX).filter_map(held).collect() }
    }

    /// The value of `Set-Cookie`.
    pub(super) fn cookie(&self, tokens: &CartTokens) -> String {
        let spell = |held: &Held| {
            let order = held.order.map(|order| format!("!{order}")).unwrap_or_default();
            format!("{}{order}", tokens.issue(held.cart))
        };
        let mut value = self.current.as_ref().map(spell).unwrap_or_default();
        for held in &self.recent {
            value.push('~');
            value.push_str(&spell(held));
        }
        format!("{COOKIE}={value}; Path=/; Max-Age={COOKIE_AGE_S}; Secure; HttpOnly; SameSite=Lax")
    }

    /// The cart that things go into.
    pub(super) fn cart(&self) -> Option<CartId> {
        self.current.map(|held| held.cart)
    }

    /// The order this browser placed last, as far as it remembers.
    pub(super) fn last_order(&self) -> Option<OrderId> {
        self.current.iter().chain(&self.recent).find_map(|held| held.order)
    }

    /// A new cart takes the place of the current one, which stays at hand for its order.
    pub(super) fn open(&mut self, cart: CartId) {
        if let Some(old) = self.current.replace(Held { cart, order: None }) {
            self.recent.insert(0, old);
            self.recent.truncate(RECENT_MAX);
        }
    }

    /// The current cart was checked out.
    pub(super) fn ordered(&mut self, order: OrderId) {
        if let Some(held) = &mut self.current {
            held.order = Some(order);
        }
    }

    /// The order came to nothing.
    pub(super) fn forget(&mut self, order: OrderId) {
        for held in self.current.iter_mut().chain(&mut self.recent) {
            held.order = held.order.filter(|known| *known != order);
        }
    }

    /// The carts that `order` may be of, likeliest first.
    pub(super) fn holders(&self, order: OrderId) -> Vec<CartId> {
        let mut held: Vec<&Held> = self.current.iter().chain(&self.recent).collect();
        held.sort_by_key(|held| held.order != Some(order));
        held.into_iter().map(|held| held.cart).collect()
    }
}

/// Who looks at a page.
pub(super) struct Visitor {
    pub(super) session: Session,
    pub(super) raw_query: Option<String>,
    pub(super) none_match: Option<String>,
    /// Host and port of the address that the visitor sees.
    pub(super) host: Option<String>,
    id: RequestId,
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let none_match = parts.headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Self {
            session: Session::read(&parts.headers, &app.carts),
            raw_query: parts.uri.query().map(str::to_owned),
            none_match,
            host: super::form::host(parts).map(super::form::authority),
            id: parts.extensions.get::<RequestId>().copied().unwrap_or_else(RequestId::random),
        })
    }
}

/// Why the engine did not answer with what was asked.
#[derive(Debug)]
pub(super) enum No {
    /// The shop says no, and why.
    Refused(Refusal),
    /// Something is wrong with the shop.
    Failed(Problem),
}

impl From<Problem> for No {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

/// The engine answered something else than was asked: a fault of ours.
pub(super) fn unexpected() -> No {
    No::Failed(Problem::fault("the engine answered another kind of body to a page"))
}

impl Visitor {
    /// Random bits of this request.
    pub(super) fn draw(&self) -> u128 {
        self.id.0
    }

    /// Asks the engine; waits a second longer than it should take.
    pub(super) async fn ask(
        &self,
        app: &App,
        principal: Principal,
        idempotency: Option<Idempotency>,
        timeout_ms: u32,
        op: Op,
    ) -> Result<Body, No> {
        let request = Request { principal, timeout_ms, trace: self.id.0, idempotency, if_match: None, at_least: Vec::new(), op };
        let patience = Duration::from_millis(u64::from(timeout_ms) + 1_000);
        let answered = tokio::time::timeout(patience, app.client.call(request)).await;
        let Ok(answered) = answered else { return Err(No::Failed(Failure::DeadlineExceeded.into())) };
        let Response { positions: _, replayed: _, result } = answered.map_err(Problem::from)?;
        result.map_err(|failure| match failure {
            Failure::Refused(refusal) => No::Refused(refusal),
            other => No::Failed(other.into()),
        })
    }

    /// Asks with a form's key. A second click finds the first still running: it waits for that outcome, since it is the second
    /// whose answer the browser shows.
    pub(super) async fn ask_once(
        &self,
        app: &App,
        principal: Principal,
        idempotency: Option<Idempotency>,
        timeout_ms: u32,
        op: Op,
    ) -> Result<Body, No> {
        for _ in 0..REPEATS_MAX {
            match self.ask(app, principal, idempotency, timeout_ms, op.clone()).await {
                Err(No::Refused(Refusal::IdempotencyKeyInUse)) => tokio::time::sleep(REPEAT_EVERY).await,
                answer => return answer,
            }
        }
        Err(No::Refused(Refusal::IdempotencyKeyInUse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::cart_token::CartSecret;
    use wire::RawId;

    fn tokens() -> CartTokens {
        CartTokens::new(&CartSecret([7; 32]))
    }

    /// What a browser that got `session`'s cookie sends back.
    fn returned(session: &Session) -> HeaderMap {
        let cookie = session.cookie(&tokens());
        let value = cookie.split(';').next().expect("a value");
        HeaderMap::from_iter([(header::COOKIE, format!("a=b; {value}; c=d").parse().expect("a header"))])
    }

    #[test]
    fn carts_come_back_and_the_oldest_are_forgotten() {
        let mut session = Session::default();
        assert_eq!(Session::read(&returned(&session), &tokens()), session, "empty");
        for n in 1..=10u128 {
            session.open(CartId(RawId(n)));
            session.ordered(OrderId(RawId(100 + n)));
        }
        let again = Session::read(&returned(&session), &tokens());
        assert_eq!(again, session);
        assert_eq!(again.cart(), Some(CartId(RawId(10))));
        assert_eq!(again.last_order(), Some(OrderId(RawId(110))));
        assert_eq!(again.recent.len(), RECENT_MAX);
        assert_eq!(again.holders(OrderId(RawId(107))).first(), Some(&CartId(RawId(7))));
        assert_eq!(again.holders(OrderId(RawId(1))).len(), RECENT_MAX + 1, "an unknown order may be of any cart");
        assert!(session.cookie(&tokens()).len() < 1_024, "well below what browsers keep");
        let mut without = again;
        without.forget(OrderId(RawId(110)));
        assert_eq!(without.last_order(), Some(OrderId(RawId(109))));
    }

    #[test]
    fn forged_carts_are_not_there() {
        let cart = CartId(RawId(1));
        let foreign = CartTokens::new(&CartSecret([8; 32])).issue(cart);
        for value in ["", "~", "x", &foreign, &format!("{foreign}~{foreign}!ord_1"), &cart.to_string()] {
            let headers = HeaderMap::from_iter([(header::COOKIE, format!("{COOKIE}={value}").parse().expect("a header"))]);
            assert_eq!(Session::read(&headers, &tokens()), Session::default(), "{value}");
        }
    }

    #[test]
    fn the_cookie_stays_with_this_host() {
        let cookie = Session::default().cookie(&tokens());
        assert!(cookie.starts_with("__Host-emporion="), "{cookie}");
        for attribute in ["Secure", "HttpOnly", "Path=/", "SameSite=Lax"] {
            assert!(cookie.split("; ").any(|part| part == attribute), "{attribute} in {cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
}
