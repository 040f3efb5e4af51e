//! Where a request's time went: measured once, for metrics and for the caller who asks.

use std::time::{Duration, Instant};

/// The phases of one request, in the order it goes through them. A batch's phases count
/// in full for each of its members, as each waits for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the whole message to a checked call.
    pub decode: Duration,
    /// From the checked call to the batch that it runs in.
    pub queue: Duration,
    /// Gathering the members' rows.
    pub merge: Duration,
    /// The run itself.
    pub execute: Duration,
    /// Giving each member its rows.
    pub split: Duration,
    /// Writing the reply.
    pub encode: Duration,
    /// From the whole message to the written reply.
    pub total: Duration,
    /// Rows of this request; 1 for one that has no batch dimension.
    pub rows: usize,
    /// Rows of the batch it ran in, without padding.
    pub batch_rows: usize,
}

impl Timings {
    /// The same, once the reply is written: of a request that arrived at `arrived` and
    /// whose reply was begun at `encoding`.
    #[must_use]
    pub fn written(self, arrived: Instant, encoding: Instant) -> Self {
        let written = Instant::now();
        Self {
            encode: written - encoding,
            total: written - arrived,
            ..self
        }
    }
}
