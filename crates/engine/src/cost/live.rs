//! What a signature's runs have cost so far, by the size of their inputs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// One slot for each power of two of input bytes.
const SLOTS: usize = 40;

/// Longest run that an I/O thread may do itself. Until it ends, every connection of
/// that thread waits.
pub const INLINE_LIMIT: Duration = Duration::from_micros(200);

/// After a run of this length where a short one was expected, the signature's runs are
/// not called quick for a long time. Far more than a busy machine adds by itself.
const SURPRISE: Duration = Duration::from_millis(50);

/// So many short runs later they are again: a container that is held back by its CPU quota
/// makes a surprise of the best model.
const SURPRISE_LASTS: u32 = 10_000;

/// A run counts for at most this many times the average: one that was interrupted says
/// little, and a model that has become slow is found out within a few.
const OUTLIER: u32 = 8;

/// Of so many batches that are kept small, one is not.
const KEPT_SMALL: u32 = 64;

/// A moving average of run time for each power of two of input bytes. Sizes are
/// kept apart because a model that takes microseconds for a row can take seconds
/// for a million. Shared by all threads; a lost update only delays the average.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Microseconds plus one; 0: never measured.
    averages: [AtomicU32; SLOTS],
    /// Short runs to wait for since a run that should have been short was very long.
    surprised: AtomicU32,
    /// Batches that were kept small because larger ones were slow once.
    kept_small: AtomicU32,
}

impl Cost {
    pub(crate) fn new() -> Self {
        Self {
            averages: [const { AtomicU32::new(0) }; SLOTS],
            surprised: AtomicU32::new(0),
            kept_small: AtomicU32::new(0),
        }
    }

    /// The average so far for inputs of about `bytes`; `None` before the second
    /// run (the first one pays for TensorFlow's own preparation and is not kept).
    pub(crate) fn expected(&self, bytes: usize) -> Option<Duration> {
        self.average(slot(bytes))
    }

    fn average(&self, slot: usize) -> Option<Duration> {
        match self.averages.get(slot)?.load(Ordering::Relaxed) {
            0 | FIRST_DONE => None,
            stored => Some(Duration::from_micros(u64::from(stored) - 1)),
        }
    }

    /// Whether a run that should have been short was very long, not long ago.
    pub(crate) fn has_surprised(&self) -> bool {
        self.surprised.load(Ordering::Relaxed) > 0
    }

    /// Most bytes of a batch that an I/O thread may run, if it may run requests of
    /// `bytes`: up to the largest size known to be quick, and one doubling beyond it to
    /// learn of that.
    pub(crate) fn quick_bytes(&self, bytes: usize) -> usize {
        self.largest(bytes, |_smaller, larger| larger <= INLINE_LIMIT)
    }

    /// Most bytes of a batch that begins with a request of `bytes`: up to the size at which
    /// doubling doubles the cost, and one doubling beyond what is known.
    pub(crate) fn useful_bytes(&self, bytes: usize) -> usize {
        self.largest(bytes, |smaller, larger| larger * 8 <= smaller * 15)
    }

    /// What inputs of `bytes` add to a batch of the size that is known to cost least
    /// for a byte; zero where nothing is known.
    pub(crate) fn share(&self, bytes: usize) -> Duration {
        let shares = (slot(bytes)..SLOTS).filter_map(|slot| {
            let middle = 0.75 * (1_u64 << slot) as f64;
            Some(
                self.average(slot)?
                    .mul_f64((bytes as f64 / middle).min(1.0)),
            )
        });
        shares.min().unwrap_or_default()
    }

    /// Most bytes of a batch that begins at the size of `bytes`, if a doubling from one
    /// known cost to another is worth it where `is_worth` says so.
    fn largest(&self, bytes: usize, is_worth: impl Fn(Duration, Duration) -> bool) -> usize {
        let mut slot = slot(bytes);
        while slot + 1 < SLOTS {
            let Some(larger) = self.average(slot + 1) else {
                slot += 1;
                break;
            };
            let smaller = self.average(slot).unwrap_or(larger);
            if is_worth(smaller, larger) {
                slot += 1;
                continue;
            }
            // A size that was slow by chance would never be measured again.
            let kept = || self.kept_small.fetch_add(1, Ordering::Relaxed);
            if larger <= smaller * 8 && kept().is_multiple_of(KEPT_SMALL) {
                slot += 1;
            }
            break;
        }
        (1 << slot) - 1
    }

    /// Adds a run of inputs of `bytes` that took `elapsed`. One that failed tells nothing of
    /// those that don't, unless it was long.
    pub(crate) fn record(&self, bytes: usize, elapsed: Duration, succeeded: bool) {
        if !succeeded && elapsed <= INLINE_LIMIT {
            return;
        }
        let was_quick = || {
            self.expected(bytes)
                .is_some_and(|cost| cost <= INLINE_LIMIT)
        };
        if elapsed > SURPRISE && was_quick() {
            self.surprised.store(SURPRISE_LASTS, Ordering::Relaxed);
        } else if elapsed <= INLINE_LIMIT && self.has_surprised() {
            let left = self.surprised.load(Ordering::Relaxed);
            self.surprised
                .store(left.saturating_sub(1), Ordering::Relaxed);
        }
        let micros = u32::try_from(elapsed.as_micros())
            .unwrap_or(u32::MAX)
            .min(u32::MAX / 2);
        let average = &self.averages[slot(bytes)];
        let next = match average.load(Ordering::Relaxed) {
            0 => FIRST_DONE,
            FIRST_DONE => micros + 1,
            // An eighth of the new value: steady against one slow run, and quick to
            // see that a model has become slow.
            stored => stored - stored / 8 + micros.min(stored.saturating_mul(OUTLIER)) / 8 + 1,
        };
        average.store(next, Ordering::Relaxed);
    }
}

/// Stored after the first run of a slot.
const FIRST_DONE: u32 = u32::MAX;

fn slot(bytes: usize) -> usize {
    (usize::BITS - bytes.leading_zeros()).min(SLOTS as u32 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::Cost;
    use std::time::Duration;

    #[test]
    fn the_first_run_is_not_kept() {
        let cost = Cost::new();
        assert_eq!(cost.expected(128), None);
        cost.record(128, Duration::from_secs(3), true);
        assert_eq!(cost.expected(128), None);
        cost.record(128, Duration::from_micros(20), true);
        assert_eq!(cost.expected(128), Some(Duration::from_micros(20)));
    }

    #[test]
    fn sizes_are_kept_apart_and_averages_follow() {
        let cost = Cost::new();
        for _ in 0..100 {
            cost.record(128, Duration::from_micros(20), true);
            cost.record(1 << 20, Duration::from_millis(9), true);
        }
        let small = cost.expected(130).unwrap().as_micros();
        let large = cost.expected(1 << 20).unwrap().as_micros();
        assert!((10..40).contains(&small), "{small}");
        assert!((8_500..9_500).contains(&large), "{large}");
        assert_eq!(cost.expected(4096), None);
    }

    #[test]
    fn endless_runs_do_not_overflow() {
        let cost = Cost::new();
        for _ in 0..1000 {
            cost.record(usize::MAX, Duration::MAX, true);
        }
        assert!(cost.expected(usize::MAX).unwrap() > Duration::from_mins(30));
    }
}
