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

impl Curve {
    /// The faster mode for a batch of `rows`.
    pub fn mode(&self, rows: usize) -> RunMode {
        match self.at(rows) {
            Some(point) if point.pool < point.caller => RunMode::Pool,
            _ => RunMode::Caller,
        }
    }

    /// What a batch of `rows` takes in its faster mode.
    pub fn expected(&self, rows: usize) -> Duration {
        self.at(rows)
            .map_or(Duration::ZERO, |point| point.caller.min(point.pool))
    }

    /// Most rows of a batch that takes at most `limit` in the calling thread; 0: none.
    pub fn rows_within(&self, limit: Duration) -> usize {
        let within = self.points.iter().filter(|point| point.caller <= limit);
        within.map(|point| point.rows).max().unwrap_or(0)
    }

    /// Rows beyond which a larger batch gives no more rows a second worth waiting for.
    pub fn useful_rows(&self) -> usize {
        self.points.last().map_or(1, |point| point.rows)
    }

    fn at(&self, rows: usize) -> Option<&Point> {
        let above = self.points.iter().find(|point| point.rows >= rows);
        above.or(self.points.last())
    }
}
