//! What became of a model's records, counted by whoever sees it.

use std::sync::atomic::{AtomicU64, Ordering};

use engine::RecordCounts;

/// Counts that only grow.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) written: Count,
    pub(crate) lost_in_queue: Count,
    pub(crate) lost_on_disk: Count,
}

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    /// All of them now.
    pub(crate) fn read(&self) -> RecordCounts {
        RecordCounts {
            written: self.written.get(),
            lost_in_queue: self.lost_in_queue.get(),
            lost_on_disk: self.lost_on_disk.get(),
        }
    }
}
