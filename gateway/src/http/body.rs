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

/// Bytes of a refused body that are read all the same, within [`DRAIN`]: a client that sends everything before it reads would else find its connection reset and
/// not the answer (RFC 9112, 9.6). One that says beforehand that it sends more is answered at once.
const DRAINED_BYTES_MAX: usize = 1024 * 1024;
const DRAIN: Duration = Duration::from_secs(2);

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

/// Reads what is left of a refused body, if it is not much.
async fn drain(body: &mut Body) {
    let mut left = DRAINED_BYTES_MAX;
    let rest = async {
        while let Ok(Some(data)) = next(body).await {
            left = left.saturating_sub(data.len());
            if left == 0 {
                break;
            }
        }
    };
    // In time or not, the answer is the same.
    let _late = timeout(DRAIN, rest).await;
}

/// All of a JSON body.
pub(crate) async fn whole(mut body: Body, declared: Option<u64>) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::TOO_LARGE, format!("A JSON body may have {JSON_BYTES_MAX} bytes."));
    if let Some(declared) = declared.filter(|declared| *declared > JSON_BYTES_MAX as u64) {
        if declared <= (JSON_BYTES_MAX + DRAINED_BYTES_MAX) as u64 {
            drain(&mut body).await;
        }
        return Err(too_large());
    }
    let until = Instant::now() + JSON_BODY;
    let mut first: Option<Bytes> = None;
    let mut all = BytesMut::new();
    while let Some(data) = timeout_at(until, next(&mut body)).await.map_err(|_| slow())?? {
        if first.as_ref().map_or(0, Bytes::len) + all.len() + data.len() > JSON_BYTES_MAX {
            drain(&mut body).await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    /// A body in pieces of 100 KiB, and how many of them were read.
    fn pieces(count: usize) -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&read);
        let pieces = (0..count).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'a'; 100 * 1024]))
        });
        (Body::from_stream(tokio_stream::iter(pieces)), read)
    }

    #[tokio::test] // Each row: pieces, whether the length is declared, whether it is taken, and pieces read.
    async fn a_refused_body_is_read_if_it_is_not_much() {
        for (count, declares, taken, wanted) in [
            (2, true, true, 2),
            (2, false, true, 2),
            (3, true, false, 3),
            (3, false, false, 3),
            (12, true, false, 11), // a MiB of them
            (13, true, false, 0),
            (99, false, false, 14),
        ] {
            let (body, read) = pieces(count);
            let found = whole(body, declares.then_some(count as u64 * 100 * 1024)).await;
            assert_eq!((found.is_ok(), read.load(Ordering::Relaxed)), (taken, wanted), "{count} {declares}");
        }
    }
}
