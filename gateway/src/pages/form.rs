//! Forms that come in: where they come from, then their fields.
//!
//! Path: request → [`same_origin`] → body, bounded → [`Form`]. No handler of a POST can be written around the first step, since only a
//! [`Form`] holds the fields.

use super::view::Failed;
use crate::{
    App,
    http::{body, codes::Code, problem::Problem, query},
};
use axum::{
    body::Body,
    extract::FromRequest,
    http::{HeaderMap, HeaderName, Request, StatusCode, header, request::Parts},
};
use std::sync::Arc;
use wire::{CartId, Idempotency};

/// Bytes of a form's body; a longer one is refused with 413.
const FORM_BYTES_MAX: usize = 16 * 1024;
/// Fields of a form; more are refused with 422.
const FIELDS_MAX: usize = 64;
/// Bytes of a form's key.
const KEY_BYTES_MAX: usize = 64;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// A form that one of our own pages sent.
#[derive(Debug)]
pub(super) struct Form {
    fields: Vec<(String, String)>,
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Host and port as a browser writes them, without the port that https implies.
pub(super) fn authority(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    text.strip_suffix(":443").map(str::to_owned).unwrap_or(text)
}

/// Host and port as the request names them: HTTP/2 and HTTP/3 in the address, HTTP/1.1 in a header.
pub(super) fn host(parts: &Parts) -> Option<&str> {
    parts.uri.authority().map(axum::http::uri::Authority::as_str).or_else(|| header_text(&parts.headers, &header::HOST))
}

/// Was the request made by a page of this very origin? Browsers say so in `Sec-Fetch-Site`, which scripts cannot forge; older ones
/// name the page's origin. Nothing said is a no. Source: OWASP, "Cross-Site Request Forgery Prevention", fetch metadata.
fn same_origin(parts: &Parts) -> bool {
    match header_text(&parts.headers, &FETCH_SITE) {
        Some("same-origin") => return true,
        // `none`: the buyer's own doing, such as a reload; the origin decides.
        Some("none") | None => {}
        Some(_) => return false,
    }
    let host = host(parts);
    let origin = header_text(&parts.headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix("https://"));
    matches!((origin, host), (Some(origin), Some(host)) if authority(origin) == authority(host))
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Failed;

    async fn from_request(request: Request<Body>, _: &Arc<App>) -> Result<Self, Failed> {
        let (parts, body) = request.into_parts();
        if !same_origin(&parts) {
            return Err(Failed::new(
                StatusCode::FORBIDDEN,
                "This form came from another site",
                "Nothing was changed. Open the page here in the shop and try again.",
            ));
        }
        let media = header_text(&parts.headers, &header::CONTENT_TYPE).unwrap_or("").split(';').next().unwrap_or("").trim();
        if !media.eq_ignore_ascii_case(FORM_TYPE) {
            return Err(Problem::new(Code::UNSUPPORTED_MEDIA_TYPE, "a form is wanted").into());
        }
        let declared = header_text(&parts.headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        if declared.is_some_and(|declared| declared > FORM_BYTES_MAX as u64) {
            return Err(Problem::new(Code::TOO_LARGE, "the form is too large").into());
        }
        let bytes = body::whole(body, declared).await?;
        if bytes.len() > FORM_BYTES_MAX {
            return Err(Problem::new(Code::TOO_LARGE, "the form is too large").into());
        }
        Self::parse(&bytes)
    }
}

impl Form {
    fn parse(bytes: &[u8]) -> Result<Self, Failed> {
        let broken = || Failed::new(StatusCode::BAD_REQUEST, "The form cannot be read", "Go back and try again.");
        let text = std::str::from_utf8(bytes).map_err(|_| broken())?;
        let mut fields = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (query::decode(name), query::decode(value)) else { return Err(broken()) };
            if fields.len() == FIELDS_MAX {
                return Err(broken());
            }
            fields.push((name, value));
        }
        Ok(Self { fields })
    }

    /// The first value of `name` without spaces around it; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.trim())
    }

    /// Refuses a form without a key where money or stock moves; all of ours have one.
    pub(super) fn needs_key(&self) -> Result<(), Failed> {
        let key = self.text("key");
        if !key.is_empty() && key.len() <= KEY_BYTES_MAX {
            return Ok(());
        }
        Err(Failed::new(StatusCode::BAD_REQUEST, "The form is not complete", "Open the page again and send it from there."))
    }

    /// The same form sent twice has the same key: it was drawn when the form was shown. `step` tells the commands of one form apart.
    ///
    /// `None` for a form without a key, which none of ours is.
    pub(super) fn idempotency(&self, cart: CartId, step: &str) -> Option<Idempotency> {
        let key = self.text("key");
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return None;
        }
        let key = hash128(&["page", &cart.to_string(), step, key]);
        let all: Vec<&str> = self.fields.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
        Some(Idempotency { key, fingerprint: hash128(&all) })
    }
}

/// The first 128 bits of BLAKE3 over `parts`, each with its length.
fn hash128(parts: &[&str]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // Each row: fetch metadata, origin, host, and whether the form is taken.
    fn only_our_own_pages_send_forms() {
        for (site, origin, host, taken) in [
            (Some("same-origin"), None, "shop.example", true),
            (Some("same-origin"), Some("https://shop.example"), "shop.example", true),
            (Some("same-site"), Some("https://other.shop.example"), "shop.example", false),
            (Some("cross-site"), Some("https://shop.example"), "shop.example", false),
            (Some("none"), None, "shop.example", false),
            (Some("none"), Some("https://shop.example"), "shop.example", true),
            (None, None, "shop.example", false),
            (None, Some("null"), "shop.example", false),
            (None, Some("http://shop.example"), "shop.example", false),
            (None, Some("https://shop.example.evil.example"), "shop.example", false),
            (None, Some("https://Shop.Example:443"), "shop.example", true),
            (None, Some("https://127.0.0.1:8443"), "127.0.0.1:8443", true),
            (None, Some("https://127.0.0.1:8444"), "127.0.0.1:8443", false),
        ] {
            let mut request = Request::builder().header(header::HOST, host);
            if let Some(site) = site {
                request = request.header(FETCH_SITE, site);
            }
            if let Some(origin) = origin {
                request = request.header(header::ORIGIN, origin);
            }
            let (parts, ()) = request.body(()).expect("well formed").into_parts();
            assert_eq!(same_origin(&parts), taken, "{site:?} {origin:?} {host}");
        }
        let request = Request::builder().uri("https://shop.example/cart").header(header::ORIGIN, "https://shop.example");
        let (parts, ()) = request.body(()).expect("well formed").into_parts();
        assert!(same_origin(&parts), "HTTP/2 has no Host header");
    }

    #[test]
    fn fields_are_read_and_keys_tell_forms_apart() {
        let form = |text: &str| Form::parse(text.as_bytes()).expect("well formed");
        let one = form("name=A+%26+B&key=k1");
        assert_eq!((one.text("name"), one.text("none")), ("A & B", ""));
        let (cart, other) = (CartId(wire::RawId(1)), CartId(wire::RawId(2)));
        let key = |form: &Form, cart, step| form.idempotency(cart, step).map(|it| it.key);
        assert_eq!(one.idempotency(cart, "a"), form("name=A+%26+B&key=k1").idempotency(cart, "a"));
        assert_ne!(key(&one, cart, "a"), key(&one, cart, "b"));
        assert_ne!(key(&one, cart, "a"), key(&one, other, "a"));
        assert_ne!(key(&one, cart, "a"), key(&form("name=A&key=k2"), cart, "a"));
        let edited = form("name=C&key=k1");
        assert_eq!(key(&one, cart, "a"), key(&edited, cart, "a"));
        assert_ne!(one.idempotency(cart, "a"), edited.idempotency(cart, "a"), "another body under the same key");
        assert_eq!(form("name=A").idempotency(cart, "a"), None);
        for broken in ["a=%", "a=%FF", &"a=1&".repeat(65)] {
            assert!(Form::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
