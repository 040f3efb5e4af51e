//! What one thread counts of one signature. The layout is the cost of recording: sums
//! that every request writes lie in one cache line, buckets by histogram.

use std::time::Duration;

use super::catalog::{
    PHASE_BOUNDS, PHASE_COUNT, ROW_BOUNDS, TIME_BOUNDS, phase_bucket, phases, row_bucket,
    time_bucket,
};
use super::failures::CODES;
use super::sharded::{Counter, Writer};
use super::{BatchRows, MessageSizes};
use crate::{Kind, Timings};

/// Requests of one signature. Two cache lines are fetched together, and no other
/// thread's copy is in them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct RequestCounters {
    pub(super) phase_nanos: [Counter; PHASE_COUNT],
    pub(super) total_nanos: Counter,
    pub(super) rows: Counter,
    pub(super) received_bytes: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) by_total: [Counter; TIME_BOUNDS + 1],
    pub(super) by_phase: [[Counter; PHASE_BOUNDS + 1]; PHASE_COUNT],
    pub(super) by_rows: [Counter; ROW_BOUNDS + 1],
    pub(super) by_failure: [Counter; CODES],
}

impl RequestCounters {
    /// Counts a request that went well. How many there were is the sum of a histogram's
    /// buckets.
    pub(super) fn record(&self, timings: &Timings, sizes: MessageSizes, writer: Writer) {
        let sums_and_buckets = self.phase_nanos.iter().zip(&self.by_phase);
        for (phase, (sum, buckets)) in phases(timings).into_iter().zip(sums_and_buckets) {
            let nanos = nanos(phase);
            writer.add(sum, nanos);
            writer.add(&buckets[phase_bucket(nanos)], 1);
        }
        let total = nanos(timings.total);
        writer.add(&self.total_nanos, total);
        writer.add(&self.by_total[time_bucket(total)], 1);
        let rows = timings.rows as u64;
        writer.add(&self.rows, rows);
        writer.add(&self.by_rows[row_bucket(rows)], 1);
        writer.add(&self.received_bytes, sizes.received as u64);
        writer.add(&self.sent_bytes, sizes.sent as u64);
    }

    /// Counts a request that went wrong.
    pub(super) fn record_failure(&self, kind: Kind, writer: Writer) {
        writer.add(&self.by_failure[kind as usize], 1);
    }
}

/// Batches of one signature.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct BatchCounters {
    pub(super) begun: Counter,
    pub(super) ended: Counter,
    pub(super) failed: Counter,
    pub(super) rows: Counter,
    pub(super) padding_rows: Counter,
    pub(super) requests: Counter,
    pub(super) execute_nanos: Counter,
    pub(super) by_rows: [Counter; ROW_BOUNDS + 1],
}

impl BatchCounters {
    /// Counts a batch that ran well.
    pub(super) fn record(&self, batch: BatchRows, execute: Duration, writer: Writer) {
        let rows = batch.rows as u64;
        writer.add(&self.rows, rows);
        writer.add(&self.by_rows[row_bucket(rows)], 1);
        writer.add(&self.padding_rows, batch.padding as u64);
        writer.add(&self.requests, batch.requests as u64);
        writer.add(&self.execute_nanos, nanos(execute));
    }
}

/// A duration in nanoseconds, up to 584 years.
fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(duration.subsec_nanos()))
}
