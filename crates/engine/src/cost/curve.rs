//! What batches of a signature cost, as measured when its model was loaded.

use std::time::Duration;

/// In whose threads a run's operations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunMode {
    /// The calling thread's: no thread switch.
    Caller,
    /// The executor's own pool: operations side by side.
    Pool,
}

/// The measured cost of one batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Rows of the batch.
    pub rows: usize,
    /// Median time of a run in the calling thread.
    pub caller: Duration,
    /// Median time of a run in the executor's pool.
    pub pool: Duration,
}

/// Points of one signature, by ascending rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// At least one.
    pub points: Vec<Point>,
    /// Bytes of input for a row.
    pub row_bytes: usize,
}
