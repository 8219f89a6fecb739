//! Who asks, and under which conditions: tokens, `Idempotency-Key`, `If-Match`, `If-None-Match`, `At-Least`; and the call itself.

use super::{RequestId, codes::Code, etag, problem::Problem};
use crate::{
    App, app,
    auth::jwt::{self, Staff},
};
use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::{HeaderMap, HeaderName, header, request::Parts},
};
use std::{sync::Arc, time::Duration};
use wire::{Body, CartId, Idempotency, Op, OrderId, Position, Principal, Request, Response, Role};

/// How long an ordinary call may take in the engine, in milliseconds.
pub(crate) const CALL_MS: u32 = 10_000;
/// What a checkout may take beyond what its caller waits.
pub(crate) const CHECKOUT_EXTRA_MS: u32 = 5_000;
/// Bytes of an idempotency key.
const KEY_MAX: usize = 255;
/// The least a key must have where a guest creates something: 128 bits in base64, so that nobody else guesses it.
const GUEST_KEY_MIN: usize = 22;
/// Positions in one `At-Least`.
const POSITIONS_MAX: usize = 64;

const AT_LEAST: HeaderName = HeaderName::from_static("at-least");
const CART_TOKEN: HeaderName = HeaderName::from_static("cart-token");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Must the request be keyed?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyed {
    /// Money or stock moves: 400 without a key.
    Required,
    /// As the caller likes.
    Optional,
    /// As the caller likes, but not guessable: the outcome holds a secret.
    Unguessable,
}

/// A request's headers, understood.
pub(crate) struct Caller {
    pub(crate) id: RequestId,
    staff: Option<Staff>,
    cart: Option<CartId>,
    at_least: Vec<Position>,
    if_match: Option<u64>,
    pub(crate) none_match: Option<String>,
    key: Option<String>,
    route: String,
    path: String,
    pub(crate) raw_query: Option<String>,
}

/// What the engine answered, with where it stands.
pub(crate) struct Answer {
    pub(crate) body: Body,
    pub(crate) positions: Vec<Position>,
    pub(crate) replayed: bool,
}

/// A header's one value as text; a repeated or unreadable one is refused.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(Problem::header(name.as_str(), "given once, in visible characters")),
    }
}

fn positions(text: &str) -> Result<Vec<Position>, Problem> {
    let list: Result<Vec<Position>, _> = text.split(',').map(|position| position.trim().parse()).collect();
    list.ok()
        .filter(|list| list.len() <= POSITIONS_MAX)
        .ok_or_else(|| Problem::header("At-Least", &format!("a list of at most {POSITIONS_MAX} positions epoch.partition:seq")))
}

fn bearer(app: &App, text: &str) -> Result<Staff, Problem> {
    let token = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let token = token.ok_or_else(Problem::unauthenticated)?;
    jwt::verify(&app.staff_key, token, app::now()).map_err(|error| {
        tracing::info!(%error, "an access token was refused");
        Problem::unauthenticated()
    })
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let headers = &parts.headers;
        // A token that proves nothing is refused wherever it comes, so that nobody takes a public answer for a private one.
        let staff = one(headers, &header::AUTHORIZATION)?.map(|text| bearer(app, text)).transpose()?;
        // A wrong cart token is the same as none: what it would have opened is not found.
        let cart = one(headers, &CART_TOKEN)?.and_then(|token| app.carts.verify(token));
        let at_least = one(headers, &AT_LEAST)?.map(positions).transpose()?.unwrap_or_default();
        let if_match = one(headers, &header::IF_MATCH)?.map(etag::if_match).transpose()?.flatten();
        let none_match = one(headers, &header::IF_NONE_MATCH)?.map(str::to_owned);
        let key = one(headers, &IDEMPOTENCY_KEY)?.map(str::to_owned);
        let route = parts.extensions.get::<MatchedPath>().map_or_else(String::new, |path| path.as_str().to_owned());
        let id = parts.extensions.get::<RequestId>().copied().unwrap_or_else(RequestId::random);
        let (path, raw_query) = (parts.uri.path().to_owned(), parts.uri.query().map(str::to_owned));
        Ok(Self { id, staff, cart, at_least, if_match, none_match, key, route, path, raw_query })
    }
}

/// Shares what its bits share with anything, and nothing else: the first 128 bits of BLAKE3.
fn hash128(parts: &[&[u8]]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

impl Caller {
    /// Anyone, for public reads.
    pub(crate) fn public(&self) -> Principal {
        self.staff.as_ref().map_or(Principal::Anonymous, |staff| Principal::Staff { role: staff.role })
    }

    /// Is the answer for this caller alone?
    pub(crate) fn is_staff(&self) -> bool {
        self.staff.is_some()
    }

    /// Staff with one of `roles`, or an admin. 401 without a token, 403 with too low a role.
    pub(crate) fn staff(&self, roles: &[Role]) -> Result<Principal, Problem> {
        let staff = self.staff.as_ref().ok_or_else(Problem::unauthenticated)?;
        if staff.role == Role::Admin || roles.contains(&staff.role) {
            Ok(Principal::Staff { role: staff.role })
        } else {
            Err(Problem::new(Code::FORBIDDEN, "The token's role is not enough for this."))
        }
    }

    /// The cart `text` names, if the caller holds its token.
    pub(crate) fn cart(&self, text: &str) -> Result<(CartId, Principal), Problem> {
        let cart: CartId = text.parse().map_err(|_| Problem::not_found())?;
        if self.cart == Some(cart) { Ok((cart, Principal::Guest { cart })) } else { Err(Problem::not_found()) }
    }

    /// The order `text` names, for staff or for the holder of some cart's token; whether it is that cart's order the engine knows.
    pub(crate) fn order(&self, text: &str) -> Result<(OrderId, Principal), Problem> {
        let order: OrderId = text.parse().map_err(|_| Problem::not_found())?;
        match (&self.staff, self.cart) {
            (Some(staff), _) => Ok((order, Principal::Staff { role: staff.role })),
            (None, Some(cart)) => Ok((order, Principal::Guest { cart })),
            (None, None) => Err(Problem::not_found()),
        }
    }

    /// The idempotency key of this request with a body of `fingerprint`, on behalf of `principal`.
    pub(crate) fn idempotency(&self, principal: Principal, keyed: Keyed, fingerprint: u128) -> Result<Option<Idempotency>, Problem> {
        let Some(key) = &self.key else {
            return match keyed {
                Keyed::Required => Err(Problem::new(
                    Code::KEY_REQUIRED,
                    "Send Idempotency-Key: money or stock moves here, and a retry must not move it twice.",
                )),
                Keyed::Optional | Keyed::Unguessable => Ok(None),
            };
        };
        let least = if keyed == Keyed::Unguessable { GUEST_KEY_MIN } else { 1 };
        if !(least..=KEY_MAX).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::header("Idempotency-Key", &format!("{least} to {KEY_MAX} visible characters")));
        }
        let who = match (principal, &self.staff) {
            (Principal::Staff { .. }, Some(staff)) => format!("staff {}", staff.subject),
            (Principal::Guest { cart }, _) => format!("guest {cart}"),
            (Principal::Staff { .. } | Principal::Anonymous | Principal::System, _) => "anyone".to_owned(),
        };
        // The path holds the ids of the template, so both are in.
        let key = hash128(&[who.as_bytes(), self.route.as_bytes(), self.path.as_bytes(), key.as_bytes()]);
        Ok(Some(Idempotency { key, fingerprint }))
    }

    /// Asks the engine, with no idempotency and the ordinary deadline.
    pub(crate) async fn ask(&self, app: &App, principal: Principal, op: Op) -> Result<Answer, Problem> {
        self.call(app, principal, None, CALL_MS, op).await
    }

    /// Asks the engine.
    pub(crate) async fn call(
        &self,
        app: &App,
        principal: Principal,
        idempotency: Option<Idempotency>,
        timeout_ms: u32,
        op: Op,
    ) -> Result<Answer, Problem> {
        call(app, self.request(principal, idempotency, timeout_ms, op)).await
    }

    /// What [`Caller::call`] sends.
    pub(crate) fn request(&self, principal: Principal, idempotency: Option<Idempotency>, timeout_ms: u32, op: Op) -> Request {
        Request { principal, timeout_ms, trace: self.id.0, idempotency, if_match: self.if_match, at_least: self.at_least.clone(), op }
    }
}

/// Sends `request` and gives up a second after the engine should have.
pub(crate) async fn call(app: &App, request: Request) -> Result<Answer, Problem> {
    let patience = Duration::from_millis(u64::from(request.timeout_ms) + 1_000);
    let answered = tokio::time::timeout(patience, app.client.call(request)).await;
    let Ok(answered) = answered else { return Err(wire::Failure::DeadlineExceeded.into()) };
    let Response { positions, replayed, result } = answered?;
    match result {
        Ok(body) => Ok(Answer { body, positions, replayed }),
        Err(failure) => {
            let mut problem = Problem::from(failure);
            problem.positions = positions;
            problem.replayed = replayed;
            Err(problem)
        }
    }
}
