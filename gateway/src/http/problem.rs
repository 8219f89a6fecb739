//! Problem documents (RFC 9457).
//!
//! Path: a handler returns `Err(Problem)` → its response carries the problem as an extension, without a body → `edge` writes the
//! document, since only there the request id is known. So every error has one shape, those of the framework included.

use super::{RequestId, codes::Code};
use axum::{
    body::Body,
    http::{HeaderValue, Response, header},
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use wire::{FieldError, Position};

/// The media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// Entries of `errors` in one document; more are left out.
const ERRORS_MAX: usize = 100;

/// An answer that is an error. Boxed, since most calls of most functions have none.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Told>);

/// What a problem tells.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) code: Code,
    detail: String,
    errors: Vec<Value>,
    more: Map<String, Value>,
    retry_after_s: Option<u32>,
    pub(crate) positions: Vec<Position>,
    pub(crate) replayed: bool,
}

/// The document itself.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    code: &'a str,
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    errors: &'a [Value],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

impl std::ops::Deref for Problem {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.0
    }
}

impl std::ops::DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Told {
        &mut self.0
    }
}

impl Problem {
    /// A problem with a sentence for people.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Told {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            more: Map::new(),
            retry_after_s: None,
            positions: Vec::new(),
            replayed: false,
        }))
    }

    /// Missing or foreign: alike to the byte, apart from the request id.
    pub(crate) fn not_found() -> Self {
        Self::new(Code::NOT_FOUND, "There is no such thing, or it is not yours.")
    }

    /// No token, or none that proves anything. Says no more: which check failed is for the log.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(Code::UNAUTHENTICATED, "A valid access token is needed: Authorization: Bearer.")
    }

    /// A cursor that was not ours.
    pub(crate) fn bad_cursor() -> Self {
        Self::new(Code::BAD_CURSOR, "Begin again without it.").error("/after", "bad_cursor", "a cursor from this list's `next`")
    }

    /// A queue is full.
    pub(crate) fn overloaded(retry_after_ms: u32) -> Self {
        Self::new(Code::OVERLOADED, "Nothing was done; try again.").retry_after_ms(retry_after_ms)
    }

    /// A fault of ours: told to the log, not to the caller.
    pub(crate) fn fault(why: impl std::fmt::Display) -> Self {
        tracing::error!(%why, "answered 500");
        Self::new(Code::INTERNAL, "The request id names the trace of it.")
    }

    /// Fields that cannot be taken.
    pub(crate) fn invalid(fields: Vec<FieldError>) -> Self {
        let detail = fields.first().map_or_else(String::new, |first| format!("{}: {}.", first.pointer, first.detail));
        let errors = fields.into_iter().map(|f| json!({"pointer": f.pointer, "code": f.code, "detail": f.detail}));
        Self::new(Code::VALIDATION_FAILED, detail).errors(errors)
    }

    /// One field that cannot be taken.
    pub(crate) fn field(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { pointer: pointer.into(), code: code.to_owned(), detail: detail.into() }])
    }

    /// A header that cannot be taken.
    pub(crate) fn header(name: &str, wanted: &str) -> Self {
        Self::new(Code::BAD_REQUEST, format!("The header {name} must be {wanted}."))
    }

    /// Adds an entry to `errors`.
    pub(crate) fn error(self, pointer: &str, code: &str, detail: &str) -> Self {
        self.errors([json!({"pointer": pointer, "code": code, "detail": detail})])
    }

    /// Adds entries to `errors`.
    pub(crate) fn errors(mut self, errors: impl IntoIterator<Item = Value>) -> Self {
        let room = ERRORS_MAX.saturating_sub(self.errors.len());
        self.errors.extend(errors.into_iter().take(room));
        self
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Says when to try again: `Retry-After` in whole seconds, rounded up, at least 1.
    pub(crate) fn retry_after_ms(mut self, ms: u32) -> Self {
        self.retry_after_s = Some(ms.div_ceil(1_000).max(1));
        self
    }

    /// What an import line says of it: no document, only code, sentence and fields.
    pub(crate) fn brief(&self) -> Value {
        let mut brief = json!({"code": self.code.word, "detail": self.detail});
        if !self.errors.is_empty() {
            brief["errors"] = Value::Array(self.errors.clone());
        }
        brief
    }

    /// Is it worth trying again later, without having changed anything?
    pub(crate) fn is_overload(&self) -> bool {
        self.code == Code::OVERLOADED
    }

    /// When to try again, if it says so.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        self.retry_after_s
    }

    /// The document, for the request `id`.
    pub(crate) fn document(&self, id: RequestId) -> Vec<u8> {
        let document = Document {
            r#type: format!("/problems/{}", self.code.word),
            title: self.code.title,
            status: self.code.status.as_u16(),
            detail: &self.detail,
            instance: id.to_string(),
            code: self.code.word,
            errors: &self.errors,
            retry_after: self.retry_after_s,
            more: &self.more,
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.code.status;
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.code == Code::UNAUTHENTICATED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"emporion\""));
        }
        super::reply::written(headers, &self.positions, self.replayed);
        response.extensions_mut().insert(self);
        response
    }
}
