//! Reading request bodies: bounded in size and in time, the same over all protocols.

use super::{codes::Code, problem::Problem};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes of a JSON body; one more is refused with 413.
pub(crate) const JSON_BYTES_MAX: usize = 256 * 1024;
/// How long a body may pause.
pub(crate) const BODY_IDLE: Duration = Duration::from_secs(10);
/// How long a JSON body may take in all.
const JSON_BODY: Duration = Duration::from_secs(30);

/// The client sent another number of bytes than it declared.
#[derive(Debug, thiserror::Error)]
#[error("the body is not as long as its content-length says")]
pub(crate) struct LengthMismatch;

fn slow() -> Problem {
    Problem::new(Code::TIMEOUT, format!("A body may pause for {} s.", BODY_IDLE.as_secs()))
}

/// The next piece of `body`; `None` at its end. Trailers are skipped.
pub(crate) async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    loop {
        match timeout(BODY_IDLE, body.frame()).await {
            Err(_) => return Err(slow()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a request body broke off");
                return Err(Problem::new(Code::BAD_REQUEST, "The body broke off, or is not as long as it says."));
            }
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// All of a JSON body.
pub(crate) async fn whole(mut body: Body, declared: Option<u64>) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::TOO_LARGE, format!("A JSON body may have {JSON_BYTES_MAX} bytes."));
    if declared.is_some_and(|declared| declared > JSON_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let until = Instant::now() + JSON_BODY;
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(data) = timeout_at(until, next(&mut body)).await.map_err(|_| slow())?? {
        if first.as_ref().map_or(0, Bytes::len) + all.len() + data.len() > JSON_BYTES_MAX {
            return Err(too_large());
        }
        // Most bodies come in one piece: that one is not copied.
        match first.take() {
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(earlier) => {
                all.extend_from_slice(&earlier);
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.freeze()))
}
