//! Failed requests by their kind.

use super::sharded::{Counter, Sharded};
use crate::Kind;

/// How many kinds there are.
pub(super) const CODES: usize = 16;

/// Failed requests that no signature can be charged with, by kind.
pub struct FailureCounts(Sharded<[Counter; CODES]>);

impl FailureCounts {
    pub(crate) fn new() -> Self {
        Self(Sharded::new())
    }

    /// Counts one.
    pub fn record(&self, kind: Kind) {
        self.0
            .write(|counters, writer| writer.add(&counters[kind as usize], 1));
    }

    /// How many there were of each kind, those of none left out.
    pub fn totals(&self) -> Vec<(Kind, u64)> {
        by_kind(|code| self.0.sum(|counters| &counters[code]))
    }
}

impl std::fmt::Debug for FailureCounts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FailureCounts({:?})", self.totals())
    }
}

/// The kinds whose count is not 0.
pub(super) fn by_kind(count: impl Fn(usize) -> u64) -> Vec<(Kind, u64)> {
    (1..=CODES as i32)
        .map(Kind::from_code)
        .map(|kind| (kind, count(kind as usize)))
        .filter(|(_, count)| *count > 0)
        .collect()
}
