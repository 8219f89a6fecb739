//! The conventions that every route keeps: problems, callers and their conditions, JSON in, JSON out, queries, rate limits.

pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod card;
pub(crate) mod codes;
pub(crate) mod etag;
pub(crate) mod json;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod rate;
pub(crate) mod reference;
pub(crate) mod reply;

/// Names a request in its answer, in problems and in traces: 128 random bits, always our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(pub(crate) u128);

impl RequestId {
    /// Draws one.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 16];
        // Without the system's randomness ids repeat, which spoils only the reading of logs.
        let _ = getrandom::fill(&mut bytes);
        Self(u128::from_le_bytes(bytes))
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
