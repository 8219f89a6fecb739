//! Counters, and their text for Prometheus. Label sets are fixed: nothing a client sends becomes a label.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    H1,
    H2,
    H3,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::H1, Self::H2, Self::H3];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::H3 => "h3",
        }
    }
}

/// Status codes counted one by one; those outside count as 599.
const FIRST: usize = 100;
const CODES: usize = 500;

/// Relaxed everywhere: counts order nothing.
pub(crate) struct Metrics {
    answers: [Vec<AtomicU64>; 3],
    duration_us: AtomicU64,
    pub(crate) connections: AtomicI64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) rate_limited: AtomicU64,
    pub(crate) panics: AtomicU64,
    pub(crate) streams_cancelled: AtomicU64,
    pub(crate) import_lines: AtomicU64,
    searches_partial: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            answers: std::array::from_fn(|_| (0..CODES).map(|_| AtomicU64::new(0)).collect()),
            duration_us: AtomicU64::new(0),
            connections: AtomicI64::new(0),
            connections_refused: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            rate_limited: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            streams_cancelled: AtomicU64::new(0),
            import_lines: AtomicU64::new(0),
            searches_partial: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    pub(crate) fn answered(&self, protocol: Protocol, status: u16, took_us: u64) {
        let index = usize::from(status).wrapping_sub(FIRST).min(CODES - 1);
        self.answers[protocol as usize][index].fetch_add(1, Ordering::Relaxed);
        self.duration_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// A search or suggestions were answered.
    pub(crate) fn searched(&self, partial: bool) {
        self.searches_partial.fetch_add(u64::from(partial), Ordering::Relaxed);
    }

    /// The text exposition format, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut out = String::with_capacity(2_048);
        let _ = writeln!(out, "# HELP emporion_http_requests_total Answers sent.\n# TYPE emporion_http_requests_total counter");
        let mut requests = 0;
        for protocol in Protocol::ALL {
            for (index, count) in self.answers[protocol as usize].iter().enumerate() {
                let count = count.load(Ordering::Relaxed);
                requests += count;
                if count > 0 {
                    let code = index + FIRST;
                    let _ = writeln!(out, "emporion_http_requests_total{{proto=\"{}\",code=\"{code}\"}} {count}", protocol.word());
                }
            }
        }
        let seconds = self.duration_us.load(Ordering::Relaxed) as f64 / 1e6;
        let _ = writeln!(
            out,
            "# HELP emporion_http_request_duration_seconds Time from request to answer.\n# TYPE emporion_http_request_duration_seconds summary\n\
             emporion_http_request_duration_seconds_sum {seconds}\nemporion_http_request_duration_seconds_count {requests}"
        );
        let connections = self.connections.load(Ordering::Relaxed);
        let _ = writeln!(
            out,
            "# HELP emporion_connections Open connections, TCP and QUIC.\n# TYPE emporion_connections gauge\nemporion_connections {connections}"
        );
        for (name, help, value) in [
            ("emporion_connections_refused_total", "Connections over a limit.", &self.connections_refused),
            ("emporion_tls_handshakes_failed_total", "Handshakes that failed or took too long.", &self.handshakes_failed),
            ("emporion_rate_limited_total", "Requests answered 429.", &self.rate_limited),
            ("emporion_panics_total", "Panics caught.", &self.panics),
            ("emporion_streams_cancelled_total", "HTTP/3 requests given up by the client.", &self.streams_cancelled),
            ("emporion_import_lines_total", "Import lines answered.", &self.import_lines),
            (
                "emporion_searches_partial_total",
                "Searches and suggestions cut short, by their work or by a shard that was late.",
                &self.searches_partial,
            ),
        ] {
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}", value.load(Ordering::Relaxed));
        }
        out
    }
}
