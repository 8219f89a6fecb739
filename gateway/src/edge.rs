//! Around every request, whichever protocol it came by: request id, rate limit, the router, problem documents, security headers,
//! counters.

use crate::{
    App,
    http::{
        RequestId,
        codes::Code,
        problem::{PROBLEM_JSON, Problem},
        rate::{RateLimit, Verdict},
    },
    metrics::Protocol,
    routes,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
    response::IntoResponse as _,
};
use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};
use tokio::time::Instant;
use tower::ServiceExt as _;

/// Bytes of path and query; more is 414.
pub(crate) const URI_BYTES_MAX: usize = 8 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const RATE_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE: HeaderName = HeaderName::from_static("ratelimit");

/// On every answer, unless the handler says otherwise (OWASP ASVS 5.0, 3.4).
const SECURITY: [(HeaderName, &str); 9] = [
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' wss:; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
];

/// The service that all protocols share.
pub(crate) struct Edge {
    pub(crate) app: Arc<App>,
    router: Router,
    rate: Option<RateLimit>,
    rate_policy: Option<HeaderValue>,
    alt_svc: Option<HeaderValue>,
}

impl Edge {
    /// `per_address` requests a second, 0 for no limit; `h3_port` is told to those who come over TCP.
    pub(crate) fn new(app: Arc<App>, per_address: u32, h3_port: Option<u16>) -> Self {
        let router = routes::router(Arc::clone(&app));
        let text = |text: String| HeaderValue::from_str(&text).ok();
        Self {
            app,
            router,
            rate: RateLimit::new(per_address),
            rate_policy: text(format!("\"default\";q={per_address};w=1")),
            alt_svc: h3_port.and_then(|port| text(format!("h3=\":{port}\"; ma=86400"))),
        }
    }

    /// Answers one request. Never fails; dropping it gives the request up.
    pub(crate) async fn answer(&self, peer: IpAddr, protocol: Protocol, mut request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        let id = RequestId::random();
        let head = request.method() == Method::HEAD;
        let verdict = self.rate.as_ref().map(|rate| rate.check(peer));
        let mut response = if let Some(Verdict::Wait { ms }) = verdict {
            self.app.metrics.rate_limited.fetch_add(1, Ordering::Relaxed);
            Problem::new(Code::RATE_LIMITED, "This address asks too often.").retry_after_ms(ms).into_response()
        } else if request.uri().path_and_query().map_or(0, |pq| pq.as_str().len()) > URI_BYTES_MAX {
            Problem::new(Code::URI_TOO_LONG, format!("Path and query may have {URI_BYTES_MAX} bytes.")).into_response()
        } else {
            request.extensions_mut().insert(id);
            match self.router.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        document(&mut response, id);
        if head {
            *response.body_mut() = Body::empty();
        }
        let headers = response.headers_mut();
        self.rate_headers(headers, verdict);
        if protocol != Protocol::H3
            && let Some(alt_svc) = &self.alt_svc
        {
            headers.insert(header::ALT_SVC, alt_svc.clone());
        }
        if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(REQUEST_ID, value);
        }
        for (name, value) in &SECURITY {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), HeaderValue::from_static(value));
            }
        }
        let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.app.metrics.answered(protocol, response.status().as_u16(), took_us);
        tracing::debug!(request_id = %id, protocol = protocol.word(), status = response.status().as_u16(), took_us, "answered");
        response
    }

    fn rate_headers(&self, headers: &mut HeaderMap, verdict: Option<Verdict>) {
        let (Some(verdict), Some(policy)) = (verdict, &self.rate_policy) else { return };
        let (remaining, reset_s) = match verdict {
            Verdict::Pass { remaining } => (remaining, 1),
            Verdict::Wait { ms } => (0, ms.div_ceil(1_000).max(1)),
        };
        headers.insert(RATE_POLICY, policy.clone());
        if let Ok(value) = HeaderValue::from_str(&format!("\"default\";r={remaining};t={reset_s}")) {
            headers.insert(RATE, value);
        }
    }
}

/// Gives an error its document: the handler's own problem, or one that fits what the framework said without a body worth keeping.
fn document(response: &mut Response<Body>, id: RequestId) {
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None => match bare(response) {
            Some(problem) => problem,
            None => return,
        },
    };
    let document = problem.document(id);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(header::CONTENT_LENGTH, document.len().into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    *response.body_mut() = Body::from(document);
}

/// The problem of an error response that is not a page or document of its own.
fn bare(response: &Response<Body>) -> Option<Problem> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let own = kind.is_some_and(|kind| !kind.starts_with(b"text/plain"));
    if own || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Problem::not_found(),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(Code::METHOD_NOT_ALLOWED, "See Allow."),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(Code::TOO_LARGE, "The body is too large."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Problem::new(Code::UNSUPPORTED_MEDIA_TYPE, "The body's type is not taken here."),
        StatusCode::REQUEST_TIMEOUT => Problem::new(Code::TIMEOUT, "The request came too slowly."),
        // The framework says so of a path that is not UTF-8 once decoded.
        StatusCode::BAD_REQUEST => Problem::new(Code::BAD_REQUEST, "The address cannot be read."),
        _ => Problem::fault(format_args!("a handler answered {status} without a problem")),
    })
}
