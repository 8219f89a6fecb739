//! Answers that are no errors: JSON with version, caching and position headers.

use super::etag::ETag;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use wire::Position;

/// Where a write stands.
pub(crate) const LOG_POSITION: HeaderName = HeaderName::from_static("log-position");
/// The outcome is that of an earlier request.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// What a cache must drop when it changes.
pub(crate) const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// How long shared caches may keep a public answer, in seconds: short, since availability is live.
const PUBLIC: &str = "public, max-age=5, stale-while-revalidate=30";
const PERSONAL: &str = "private, no-store";

/// An answer being put together.
pub(crate) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Names where a write stands, and that it was replayed.
pub(crate) fn written(headers: &mut HeaderMap, positions: &[Position], replayed: bool) {
    if !positions.is_empty() {
        let list: Vec<String> = positions.iter().map(ToString::to_string).collect();
        set(headers, LOG_POSITION, &list.join(", "));
    }
    if replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
}

/// Sets a header to a text that may not be one: then it is left out, as a merchant's key with line breaks would be.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

impl Reply {
    /// 200 with `value` as JSON; personal until [`Self::public`] says otherwise.
    pub(crate) fn json(value: &impl Serialize) -> Self {
        let mut reply = Self::empty(StatusCode::OK);
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply.body = serde_json::to_vec(value).unwrap_or_default();
        reply
    }

    /// 200 with a page.
    pub(crate) fn html(page: &str) -> Self {
        let mut reply = Self::empty(StatusCode::OK).media_type("text/html; charset=utf-8");
        reply.body = page.as_bytes().to_vec();
        reply
    }

    /// No body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(PERSONAL));
        Self { status, headers, body: Vec::new() }
    }

    /// Another status.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Another media type than JSON.
    pub(crate) fn media_type(self, media_type: &'static str) -> Self {
        self.header(header::CONTENT_TYPE, media_type)
    }

    /// Any header.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        set(&mut self.headers, name, value);
        self
    }

    /// The same for everyone: shared caches may keep it shortly, under `surrogate` keys. A reader that names a position asks anew.
    pub(crate) fn public(self, surrogate: &str) -> Self {
        self.header(header::CACHE_CONTROL, PUBLIC).header(header::VARY, "Accept, At-Least").header(SURROGATE_KEY, surrogate)
    }

    /// Sends `tag`, or answers 304 without a body when the caller has that already.
    pub(crate) fn etag(mut self, tag: &ETag, none_match: Option<&str>) -> Self {
        set(&mut self.headers, header::ETAG, &tag.to_string());
        if self.status == StatusCode::OK && none_match.is_some_and(|list| tag.is_in(list)) {
            self.status = StatusCode::NOT_MODIFIED;
            self.headers.remove(header::CONTENT_TYPE);
            self.body.clear();
        }
        self
    }

    /// Names where the write stands.
    pub(crate) fn written(mut self, positions: &[Position], replayed: bool) -> Self {
        written(&mut self.headers, positions, replayed);
        self
    }

    /// Names the next page.
    pub(crate) fn next_page(self, url: Option<String>) -> Self {
        match url {
            Some(url) => self.header(header::LINK, &format!("<{url}>; rel=\"next\"")),
            None => self,
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
