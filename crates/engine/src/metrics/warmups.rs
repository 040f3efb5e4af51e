//! What running models' own records came to: once a load, so that a lock does no harm.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::by_path::ByPath;

/// Upper bounds of the latencies' buckets, in microseconds, without the infinite one: those
/// of TensorFlow Serving.
pub const WARMUP_BUCKETS: usize = 33;

/// Warm-ups by how they ended.
type ByStatus = BTreeMap<&'static str, WarmupTotals>;

/// Warm-ups by the version's path (where there were too many paths, its folder) and how they
/// ended.
#[derive(Debug, Default)]
pub struct Warmups(Mutex<ByPath<ByStatus>>);

/// The warm-ups of one path that ended alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WarmupTotals {
    /// How many took up to each of [`warmup_bounds`], and how many longer; each counts what
    /// is in its own bucket alone.
    pub counts: Vec<u64>,
    /// Microseconds of all.
    pub micros: f64,
    /// Records that were read.
    pub records: u64,
}

impl Warmups {
    /// Counts one; `status`: gRPC's name of its error, or `OK`.
    pub fn record(&self, path: &str, status: &'static str, took: Duration, records: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let totals = kept.of(path).entry(status).or_default();
        let micros = took.as_secs_f64() * 1e6;
        totals.counts.resize(WARMUP_BUCKETS + 1, 0);
        let bucket = warmup_bounds().position(|bound| micros < bound);
        totals.counts[bucket.unwrap_or(WARMUP_BUCKETS)] += 1;
        totals.micros += micros;
        totals.records += records;
    }

    /// All of them: path, status and what was counted.
    pub fn totals(&self) -> Vec<(String, &'static str, WarmupTotals)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = kept
            .iter()
            .flat_map(|(path, by_status)| by_status.iter().map(move |it| (path, it)));
        all.map(|(path, (status, totals))| (path.to_owned(), *status, totals.clone()))
            .collect()
    }
}

/// 10 µs and 1.8 times as much each time.
pub fn warmup_bounds() -> impl Iterator<Item = f64> {
    (0..WARMUP_BUCKETS as i32).map(|power| 10.0 * 1.8_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{WARMUP_BUCKETS, Warmups};

    #[test]
    fn they_are_counted_by_path_and_status() {
        let warmups = Warmups::default();
        warmups.record("/m/1", "OK", Duration::from_micros(12), 3);
        warmups.record("/m/1", "OK", Duration::from_hours(9999), 4);
        warmups.record("/m/1", "INTERNAL", Duration::ZERO, 1);
        let totals = warmups.totals();
        assert_eq!(totals.len(), 2);
        let (path, status, ok) = &totals[1];
        assert_eq!((path.as_str(), *status, ok.records), ("/m/1", "OK", 7));
        assert_eq!((ok.counts[1], ok.counts[WARMUP_BUCKETS]), (1, 1));
    }
}
