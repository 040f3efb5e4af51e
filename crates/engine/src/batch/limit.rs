//! How large a batch may be: what its model was told, and what it costs as measured.

use std::time::Duration;

use crate::cost::INLINE_LIMIT;
use crate::{Call, Curve, RunMode};

/// Charged for a run of which nothing is known.
const UNKNOWN_COST: Duration = Duration::from_millis(1);

/// The most that a batch is taken to cost, so that sums of costs stay in bounds.
const MOST_COST: Duration = Duration::from_hours(1);

/// A curve speaks for a request whose rows have up to this many times the bytes that it
/// was measured with; beyond, a row is another amount of work.
const CURVE_REACH: usize = 2;

/// The most that a batch may hold. Its first member is in it whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

impl Limit {
    /// Of a batch that begins with `call` and holds its I/O thread up.
    pub(crate) fn inline(call: &Call) -> Self {
        let told = told(call).unwrap_or(usize::MAX);
        match call.curve() {
            Some(curve) => Self::of_rows(told.min(curve.rows_within(INLINE_LIMIT))),
            None => Self {
                rows: told,
                bytes: call.model.cost(call.signature).quick_bytes(call.bytes),
            },
        }
    }

    /// Of a batch that begins with `call` and is run by a runner.
    pub(crate) fn queued(call: &Call) -> Self {
        match (told(call), call.curve()) {
            (told, Some(curve)) => {
                let rows = told.unwrap_or(usize::MAX).min(curve.useful_rows());
                // It would be padded up to that in any case.
                let allowed = &call.model.options().batching.allowed_batch_sizes;
                let padded = allowed.iter().find(|size| **size >= rows);
                Self::of_rows(padded.copied().unwrap_or(rows))
            }
            (Some(told), None) => Self::of_rows(told),
            (None, None) => Self {
                rows: usize::MAX,
                bytes: call.model.cost(call.signature).useful_bytes(call.bytes),
            },
        }
    }

    fn of_rows(rows: usize) -> Self {
        Self {
            rows,
            bytes: usize::MAX,
        }
    }

    /// Whether a batch of this size may hold no more.
    pub(crate) fn is_reached(self, rows: usize, bytes: usize) -> bool {
        rows >= self.rows || bytes >= self.bytes
    }

    pub(crate) fn holds(self, rows: usize, bytes: usize) -> bool {
        rows <= self.rows && bytes <= self.bytes
    }
}

/// Rows of a batch that counts as full where a model is told how many batches may wait:
/// TensorFlow Serving's default where neither the model's options nor its curve say it.
pub(crate) fn full_rows(call: &Call) -> usize {
    let useful = || call.curve().map(Curve::useful_rows);
    told(call).or_else(useful).unwrap_or(1000).max(1)
}

/// Most rows of a batch of the model as it was told.
pub(crate) fn told(call: &Call) -> Option<usize> {
    let batching = &call.model.options().batching;
    let execution = batching.max_execution_batch_size;
    let splits = batching.enable_large_batch_splitting;
    execution.filter(|_| splits).or(batching.max_batch_size)
}

impl Call {
    /// What was measured of its signature at load, if that says something of this call.
    pub(crate) fn curve(&self) -> Option<&Curve> {
        let rows = self.rows?;
        let curve = self.model.curve(self.signature)?;
        let reach = rows.saturating_mul(curve.row_bytes);
        let speaks = curve.row_bytes == 0 || self.bytes <= reach.saturating_mul(CURVE_REACH);
        speaks.then_some(curve)
    }

    /// What a batch of `rows` and `bytes` that this call leads takes.
    pub(crate) fn batch_cost(&self, rows: usize, bytes: usize) -> Duration {
        self.known_batch_cost(rows, bytes).unwrap_or(UNKNOWN_COST)
    }

    /// What it takes alone; zero where nothing is known.
    pub(crate) fn known_cost(&self) -> Duration {
        self.known_batch_cost(self.rows.unwrap_or(1), self.bytes)
            .unwrap_or_default()
    }

    fn known_batch_cost(&self, rows: usize, bytes: usize) -> Option<Duration> {
        let live = || self.model.cost(self.signature).expected(bytes);
        self.curve().map(|curve| curve.expected(rows)).or_else(live)
    }

    /// In whose threads a batch of `rows` that this call leads runs faster.
    pub(crate) fn mode(&self, rows: usize) -> RunMode {
        self.curve()
            .map_or(RunMode::Caller, |curve| curve.mode(rows))
    }

    /// What its rows add to the work that waits, if they run in batches as large as is
    /// useful; zero where nothing is known.
    pub(crate) fn share_of_cost(&self) -> Duration {
        let rows = self.rows.unwrap_or(1);
        match self.curve().filter(|_| self.is_batchable()) {
            Some(curve) => {
                let full = curve.useful_rows().max(rows).max(1);
                let batch = curve.expected(full).min(MOST_COST);
                batch.mul_f64(rows as f64 / full as f64)
            }
            None => self.model.cost(self.signature).share(self.bytes),
        }
    }

    /// Whether an I/O thread may run it itself: its run takes less than the threads of
    /// a queue are worth. What the live traffic says counts for more than the measure at
    /// load, which had other inputs; only half-slow averages, as a busy machine makes
    /// them of a quick run, leave the word to it.
    pub(crate) fn is_quick(&self) -> bool {
        let cost = self.model.cost(self.signature);
        if cost.has_surprised() {
            return false;
        }
        let rows = self.rows.unwrap_or(1);
        match (cost.expected(self.bytes), self.curve()) {
            (Some(live), _) if live > 4 * INLINE_LIMIT => false,
            (_, Some(curve)) if curve.rows_within(INLINE_LIMIT) >= rows => true,
            // It was measured a little slower; live runs in the pool say nothing of it here.
            (Some(live), Some(curve)) => {
                live <= INLINE_LIMIT
                    && curve.mode(rows) == RunMode::Caller
                    && curve.rows_within(4 * INLINE_LIMIT) >= rows
            }
            (Some(live), None) => live <= INLINE_LIMIT,
            (None, _) => false,
        }
    }
}
