//! Loads of versions: seldom, so that a lock does no harm.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::by_path::ByPath;

/// The loads of each version's path; where there were too many paths, of its folder.
#[derive(Debug, Default)]
pub struct Loads(Mutex<ByPath<LoadTotals>>);

/// The loads of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadTotals {
    /// Those that went well.
    pub succeeded: u64,
    /// Those that did not.
    pub failed: u64,
    /// What those took that went well.
    pub took: Duration,
}

impl Loads {
    /// Counts a load.
    pub fn record(&self, path: &str, succeeded: bool, took: Duration) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = kept.of(path);
        if succeeded {
            totals.succeeded += 1;
            totals.took += took;
        } else {
            totals.failed += 1;
        }
    }

    /// All paths, sorted, and what was counted of them.
    pub fn totals(&self) -> Vec<(String, LoadTotals)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .map(|(path, totals)| (path.to_owned(), *totals))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Loads;

    #[test]
    fn loads_by_path() {
        let loads = Loads::default();
        loads.record("/m/1", true, Duration::from_millis(2));
        loads.record("/m/1", true, Duration::from_millis(3));
        loads.record("/m/1", false, Duration::from_millis(9));
        let [(path, totals)] = &loads.totals()[..] else {
            panic!("{loads:?}");
        };
        assert_eq!(path, "/m/1");
        assert_eq!((totals.succeeded, totals.failed), (2, 1));
        assert_eq!(totals.took, Duration::from_millis(5));
    }
}
