//! What a load has come to, or come to so far: plain numbers to be shown or kept.

use std::time::Duration;

use crate::{Code, code_name};
use serde::Serialize;

use super::generator::Effort;
use super::tally::{Failures, Tally, Times};

const NANOS_PER_MILLI: f64 = 1e6;

/// Buckets of a histogram to a power of ten: each is about a tenth wider than the last.
const BUCKETS_PER_DECADE: f64 = 20.0;

/// A load's figures. Times are in milliseconds where the name says so, else in seconds.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// `connecting`, `warming_up`, `measuring`, `finishing` or `ended`.
    pub stage: &'static str,
    /// From the beginning of the measurement to now, or to the last answer once it ended.
    pub seconds: f64,
    /// Measured requests that were sent.
    pub sent: u64,
    /// Of these, those that were answered and those that failed.
    pub answered: u64,
    /// See `answered`.
    pub failed: u64,
    /// Under way, or given up when the load was cancelled.
    pub outstanding: u64,
    /// Due, but not sent since too many were under way.
    pub unsent_outstanding: u64,
    /// Due, but not sent since the generator was too far behind.
    pub unsent_late: u64,
    /// Messages of answered requests, without framing.
    pub bytes_sent: u64,
    /// Messages of their replies, without framing.
    pub bytes_received: u64,
    /// Of answered requests, from when they were due.
    pub latency_ms: Summary,
    /// The same as a histogram.
    pub histogram: Vec<Bucket>,
    /// Failures by code, most frequent first.
    pub errors: Vec<ErrorCount>,
    /// The server's phases in the order of their names, if it told them.
    pub phases_ms: Vec<(String, Summary)>,
    /// What the sending itself took.
    pub generator: Generator,
    /// What happened since the last report.
    pub recent: Recent,
}

/// Times in milliseconds, to within 0.1%; 0 if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Summary {
    pub count: u64,
    pub min: f64,
    pub mean: f64,
    pub stdev: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

/// So many times from `from_ms` up to, but without, `to_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Bucket {
    pub from_ms: f64,
    pub to_ms: f64,
    pub count: u64,
}

/// Requests that failed with the same code.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorCount {
    /// gRPC's name of it.
    pub code: &'static str,
    /// How many.
    pub count: u64,
    /// The first one's message.
    pub example: String,
    /// How long they took.
    pub mean_ms: f64,
    /// See `mean_ms`.
    pub max_ms: f64,
}

/// What the sending itself took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Generator {
    /// Its threads' processor time during the measurement.
    pub processor_seconds: f64,
    /// The busiest thread's part of a processor, 0 to 1; at 1 it could not send faster.
    /// `None` while it is sending.
    pub busy: Option<f64>,
    /// In an open loop, how long after they were due requests were sent.
    pub lateness_ms: Summary,
}

/// What happened since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Recent {
    /// How long that is.
    pub seconds: f64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that failed.
    pub failed: u64,
    /// How long the answers took.
    pub latency_ms: Summary,
}

impl Summary {
    pub(crate) fn of(times: &Times) -> Self {
        if times.is_empty() {
            return Self::default();
        }
        let at = |quantile| times.value_at_quantile(quantile) as f64 / NANOS_PER_MILLI;
        Self {
            count: times.len(),
            min: times.min() as f64 / NANOS_PER_MILLI,
            mean: times.mean() / NANOS_PER_MILLI,
            stdev: times.stdev() / NANOS_PER_MILLI,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p99_9: at(0.999),
            max: times.max() as f64 / NANOS_PER_MILLI,
        }
    }
}

/// Buckets of equal width on a logarithmic scale, from the first that holds something to
/// the last.
pub(crate) fn buckets(times: &Times) -> Vec<Bucket> {
    let edge = |number: i32| 10_f64.powf(f64::from(number) / BUCKETS_PER_DECADE) / NANOS_PER_MILLI;
    let mut first = 0;
    let mut counts: Vec<u64> = Vec::new();
    for step in times.iter_recorded() {
        let nanos = step.value_iterated_to().max(1) as f64;
        let number = (nanos.log10() * BUCKETS_PER_DECADE).floor() as i32;
        if counts.is_empty() {
            first = number;
        }
        let index = (number - first) as usize;
        if index >= counts.len() {
            counts.resize(index + 1, 0);
        }
        counts[index] += step.count_since_last_iteration();
    }
    (first..)
        .zip(counts)
        .map(|(number, count)| Bucket {
            from_ms: edge(number),
            to_ms: edge(number + 1),
            count,
        })
        .collect()
}

impl Generator {
    pub(crate) fn of(efforts: &[Option<Effort>], lateness: &Times) -> Self {
        let known = || efforts.iter().flatten();
        let part = |effort: &Effort| {
            let wall = effort.wall.as_secs_f64().max(f64::MIN_POSITIVE);
            (effort.processor.as_secs_f64() / wall).min(1.0)
        };
        Self {
            processor_seconds: known()
                .map(|effort| effort.processor)
                .sum::<Duration>()
                .as_secs_f64(),
            busy: known().map(part).reduce(f64::max),
            lateness_ms: Summary::of(lateness),
        }
    }
}

pub(crate) fn errors(tally: &Tally) -> Vec<ErrorCount> {
    let named = |(code, failures): (&i32, &Failures)| ErrorCount {
        code: code_name(Code::from_i32(*code)),
        count: failures.count,
        example: failures.example.clone(),
        mean_ms: failures.total.as_secs_f64() * 1e3 / failures.count as f64,
        max_ms: failures.longest.as_secs_f64() * 1e3,
    };
    let mut counts: Vec<ErrorCount> = tally.failures.iter().map(named).collect();
    counts.sort_by_key(|each| std::cmp::Reverse(each.count));
    counts
}

#[cfg(test)]
mod tests {
    use super::{Summary, buckets};
    use crate::load::tally::times;

    #[test]
    fn a_summary_is_in_milliseconds() {
        let mut recorded = times().unwrap();
        for micros in 1..=1000_u64 {
            recorded.record(micros * 1000).unwrap();
        }
        let summary = Summary::of(&recorded);
        for (found, expected) in [
            (summary.min, 0.001),
            (summary.mean, 0.5005),
            (summary.p50, 0.5),
            (summary.p99, 0.99),
            (summary.p99_9, 0.999),
            (summary.max, 1.0),
        ] {
            assert!((found / expected - 1.0).abs() < 2e-3, "{found} {expected}");
        }
        assert_eq!(Summary::of(&times().unwrap()), Summary::default());
    }

    #[test]
    fn buckets_hold_all_without_a_gap() {
        let mut recorded = times().unwrap();
        for nanos in [1_000, 1_050, 900_000, 1_000_000_000] {
            recorded.record(nanos).unwrap();
        }
        let buckets = buckets(&recorded);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 4);
        assert_eq!(buckets.first().unwrap().count, 2);
        assert_eq!(buckets.last().unwrap().count, 1);
        for pair in buckets.windows(2) {
            assert!((pair[0].to_ms - pair[1].from_ms).abs() < 1e-9);
        }
    }
}
