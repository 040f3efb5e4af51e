//! A signature's counts, summed over all threads at the time somebody looks.

use super::catalog::PHASE_COUNT;
use super::counters::{BatchCounters, RequestCounters};
use super::failures::by_kind;
use super::sharded::{Counter, Sharded};
use crate::Kind;

/// How many values fell into each bucket, and their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramTotals {
    /// One count for each bound of the metric and one for what is above them all; each
    /// counts what is in its own bucket alone.
    pub counts: Vec<u64>,
    /// Nanoseconds for durations.
    pub sum: u64,
}

impl HistogramTotals {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn of<T: Default, const N: usize>(
        sharded: &Sharded<T>,
        buckets: impl Fn(&T) -> &[Counter; N],
        sum: impl Fn(&T) -> &Counter,
    ) -> Self {
        let mut counts = vec![0; N];
        let mut total = 0;
        for copy in sharded.copies() {
            for (count, bucket) in counts.iter_mut().zip(buckets(copy)) {
                *count += bucket.get();
            }
            total += sum(copy).get();
        }
        Self { counts, sum: total }
    }
}

/// What was counted of a signature's requests and batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureTotals {
    /// Each request's whole time.
    pub total: HistogramTotals,
    /// Its phases, in the order of [`super::catalog::PHASES`].
    pub phases: [HistogramTotals; PHASE_COUNT],
    /// Its rows.
    pub rows: HistogramTotals,
    /// Bytes of request messages.
    pub received_bytes: u64,
    /// Bytes of reply messages.
    pub sent_bytes: u64,
    /// Failed requests by kind, kinds of none left out.
    pub failures: Vec<(Kind, u64)>,
    /// The batches.
    pub batches: BatchTotals,
}

/// What was counted of a signature's batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchTotals {
    /// Rows of each that ran well, without padding.
    pub rows: HistogramTotals,
    /// Rows that were added to them.
    pub padding_rows: u64,
    /// Requests in them.
    pub requests: u64,
    /// Nanoseconds that their runs took.
    pub execute_nanos: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that run now.
    pub running: u64,
}

impl SignatureTotals {
    pub(super) fn of(
        requests: &Sharded<RequestCounters>,
        batches: &Sharded<BatchCounters>,
    ) -> Self {
        Self {
            total: HistogramTotals::of(requests, |it| &it.by_total, |it| &it.total_nanos),
            phases: std::array::from_fn(|phase| {
                HistogramTotals::of(
                    requests,
                    |it| &it.by_phase[phase],
                    |it| &it.phase_nanos[phase],
                )
            }),
            rows: HistogramTotals::of(requests, |it| &it.by_rows, |it| &it.rows),
            received_bytes: requests.sum(|it| &it.received_bytes),
            sent_bytes: requests.sum(|it| &it.sent_bytes),
            failures: by_kind(|code| requests.sum(|it| &it.by_failure[code])),
            batches: BatchTotals::of(batches),
        }
    }
}

impl BatchTotals {
    fn of(batches: &Sharded<BatchCounters>) -> Self {
        // Read first, so that a batch that ends meanwhile never makes the difference
        // negative.
        let ended = batches.sum(|it| &it.ended);
        Self {
            rows: HistogramTotals::of(batches, |it| &it.by_rows, |it| &it.rows),
            padding_rows: batches.sum(|it| &it.padding_rows),
            requests: batches.sum(|it| &it.requests),
            execute_nanos: batches.sum(|it| &it.execute_nanos),
            failed: batches.sum(|it| &it.failed),
            running: batches.sum(|it| &it.begun).saturating_sub(ended),
        }
    }
}
