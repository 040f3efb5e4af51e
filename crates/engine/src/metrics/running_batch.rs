//! The guard by which a batch counts as running.

use std::time::Duration;

use super::NameMetrics;
use super::counters::BatchCounters;
use super::sharded::Sharded;

/// What a batch was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchRows {
    /// The requests' rows together.
    pub rows: usize,
    /// Rows that were added to reach an allowed size.
    pub padding: usize,
    /// Requests.
    pub requests: usize,
}

/// A batch that runs. Dropped without [`RunningBatch::succeeded`] it counts as failed, a
/// panic included.
#[derive(Debug)]
#[must_use = "the batch counts as failed when this is dropped"]
pub struct RunningBatch<'a> {
    batches: Option<&'a Sharded<BatchCounters>>,
    name: Option<&'a NameMetrics>,
}

impl<'a> RunningBatch<'a> {
    pub(super) fn begin(
        batches: Option<&'a Sharded<BatchCounters>>,
        name: Option<&'a NameMetrics>,
    ) -> Self {
        if let Some(batches) = batches {
            batches.write(|counters, writer| writer.add(&counters.begun, 1));
        }
        Self { batches, name }
    }

    /// Counts it as run well, in `execute`.
    pub fn succeeded(mut self, batch: BatchRows, execute: Duration) {
        if let Some(name) = self.name {
            name.batch(batch, execute);
        }
        if let Some(batches) = self.batches.take() {
            batches.write(|counters, writer| {
                counters.record(batch, execute, writer);
                writer.add(&counters.ended, 1);
            });
        }
    }
}

impl Drop for RunningBatch<'_> {
    fn drop(&mut self) {
        if let Some(batches) = self.batches.take() {
            batches.write(|counters, writer| {
                writer.add(&counters.failed, 1);
                writer.add(&counters.ended, 1);
            });
        }
    }
}

impl std::fmt::Debug for Sharded<BatchCounters> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Sharded({} threads)", self.copies().count())
    }
}
