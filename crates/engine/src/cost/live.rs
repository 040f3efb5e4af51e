//! What a signature's runs have cost so far, by the size of their inputs.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// One slot for each power of two of input bytes.
const SLOTS: usize = 40;

/// Longest run that an I/O thread may do itself. Until it ends, every connection of
/// that thread waits.
pub const INLINE_LIMIT: Duration = Duration::from_micros(200);

/// After a run of this length where a short one was expected, the signature's runs are
/// never called quick again. Far more than a busy machine adds by itself.
const SURPRISE: Duration = Duration::from_millis(50);

/// A moving average of run time for each power of two of input bytes. Sizes are
/// kept apart because a model that takes microseconds for a row can take seconds
/// for a million. Shared by all threads; a lost update only delays the average.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Microseconds plus one; 0: never measured.
    averages: [AtomicU32; SLOTS],
    /// Whether a run that should have been short ever was very long.
    surprised: AtomicBool,
}

impl Cost {
    pub(crate) fn new() -> Self {
        Self {
            averages: [const { AtomicU32::new(0) }; SLOTS],
            surprised: AtomicBool::new(false),
        }
    }

    /// The average so far for inputs of about `bytes`; `None` before the second
    /// run (the first one pays for TensorFlow's own preparation and is not kept).
    fn expected(&self, bytes: usize) -> Option<Duration> {
        match self.averages[slot(bytes)].load(Ordering::Relaxed) {
            0 | FIRST_DONE => None,
            stored => Some(Duration::from_micros(u64::from(stored) - 1)),
        }
    }

    /// Whether a run of inputs of about `bytes` may be done by an I/O thread itself.
    pub(crate) fn is_quick(&self, bytes: usize) -> bool {
        !self.surprised.load(Ordering::Relaxed)
            && self
                .expected(bytes)
                .is_some_and(|expected| expected <= INLINE_LIMIT)
    }

    /// Adds a run of inputs of `bytes` that took `elapsed`.
    pub(crate) fn record(&self, bytes: usize, elapsed: Duration) {
        if elapsed > SURPRISE && self.is_quick(bytes) {
            self.surprised.store(true, Ordering::Relaxed);
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
            stored => stored - stored / 8 + micros / 8 + 1,
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
        cost.record(128, Duration::from_secs(3));
        assert_eq!(cost.expected(128), None);
        cost.record(128, Duration::from_micros(20));
        assert_eq!(cost.expected(128), Some(Duration::from_micros(20)));
    }

    #[test]
    fn sizes_are_kept_apart_and_averages_follow() {
        let cost = Cost::new();
        for _ in 0..100 {
            cost.record(128, Duration::from_micros(20));
            cost.record(1 << 20, Duration::from_millis(9));
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
            cost.record(usize::MAX, Duration::MAX);
        }
        assert!(cost.expected(usize::MAX).unwrap() > Duration::from_mins(30));
    }
}
