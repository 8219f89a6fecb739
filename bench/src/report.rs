//! One case measured, as a line of JSON or a row of a table.
//!
//! Latency is counted from the intended send time where there is one; in a closed loop that is the moment the last answer came.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::Duration;

/// Longest latency told apart, nanoseconds.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Latencies of a case: three digits, from nanoseconds up to a minute.
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("bounds that fit each other"))
    }
}

impl Latencies {
    /// Counts one; above a minute as a minute.
    pub fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1));
    }

    /// Adds those of another worker.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("histograms of the same bounds");
    }

    /// Microseconds at a quantile of `0.0..=1.0`.
    #[must_use]
    pub fn at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1_000.0
    }
}

/// One case. Times are microseconds; `null` where a figure has no meaning.
#[derive(Debug, Serialize)]
pub struct Case {
    /// Such as `shop/search`.
    pub case: String,
    /// Operations done.
    pub ops: u64,
    /// Per second of wall time.
    pub ops_per_s: Option<f64>,
    /// CPU time of the part measured.
    pub cpu_us_per_op: Option<f64>,
    /// Median latency.
    pub p50_us: Option<f64>,
    /// 99 %.
    pub p99_us: Option<f64>,
    /// 99.9 %.
    pub p999_us: Option<f64>,
    /// Longest.
    pub max_us: Option<f64>,
    /// Resident memory of the part measured, after the case.
    pub rss_mb: Option<f64>,
    /// Wall time in all.
    pub seconds: f64,
    /// Longest that a thread which only slept was kept from waking during the case: a stall no shorter is the machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hiccup_us: Option<f64>,
    /// Longest that a thread which only wrote one block durably, 50 times a second, waited for the disk during the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_hiccup_us: Option<f64>,
    /// Log that an entry took, padding to whole blocks included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_bytes_per_entry: Option<f64>,
}

impl Case {
    /// A case without latencies.
    #[must_use]
    pub fn plain(case: &str, ops: u64, seconds: f64, cpu_us: Option<u64>, rss_mb: Option<f64>) -> Self {
        let per_op = |us: u64| us as f64 / ops.max(1) as f64;
        Self {
            case: case.to_owned(),
            ops,
            ops_per_s: (seconds > 0.0).then(|| ops as f64 / seconds),
            cpu_us_per_op: cpu_us.map(per_op),
            p50_us: None,
            p99_us: None,
            p999_us: None,
            max_us: None,
            rss_mb,
            seconds,
            hiccup_us: None,
            write_hiccup_us: None,
            log_bytes_per_entry: None,
        }
    }

    /// The same with latencies.
    #[must_use]
    pub fn with(mut self, latencies: &Latencies) -> Self {
        self.p50_us = Some(latencies.at(0.5));
        self.p99_us = Some(latencies.at(0.99));
        self.p999_us = Some(latencies.at(0.999));
        self.max_us = Some(latencies.at(1.0));
        self
    }

    /// A line of JSON.
    ///
    /// # Panics
    /// Never: every field is a number or a string.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings")
    }

    /// A row of the table that [`HEADING`] heads.
    #[must_use]
    pub fn row(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        // Below ten microseconds the parts count.
        let whole = |value: Option<f64>| match value {
            None => "-".to_owned(),
            Some(value) if value < 10.0 => format!("{value:.2}"),
            Some(value) => format!("{value:.0}"),
        };
        format!(
            "{:<28} {:>10} {:>10} {:>12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8.2}",
            self.case,
            self.ops,
            number(self.ops_per_s),
            number(self.cpu_us_per_op),
            whole(self.p50_us),
            whole(self.p99_us),
            whole(self.p999_us),
            whole(self.max_us),
            number(self.rss_mb),
            self.seconds,
        )
    }
}

/// Heads the rows.
pub const HEADING: &str =
    "case                                ops      ops/s    cpu us/op   p50 us   p99 us p99.9 us   max us   rss MB  seconds";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_rates_are_those_of_the_case() {
        let mut latencies = Latencies::default();
        (1..=1_000).for_each(|us| latencies.record(Duration::from_micros(us)));
        let case = Case::plain("x/y", 1_000, 0.5, Some(20_000), None).with(&latencies);
        assert_eq!((case.ops_per_s, case.cpu_us_per_op), (Some(2_000.0), Some(20.0)));
        assert_eq!((case.p50_us, case.max_us), (Some(500.223), Some(1_000.447)));
        assert!(case.json().starts_with(r#"{"case":"x/y","ops":1000"#));
        assert_eq!(case.row().split_whitespace().count(), 10);
    }
}
