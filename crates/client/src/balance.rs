//! Which address the next attempt goes to: each in turn, passing over those that could
//! not be reached a moment ago.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long an address that could not be reached is passed over: long enough that a
/// dead server costs few calls an attempt, short enough that a restarted one is soon
/// back in turn.
const PASSED_OVER: Duration = Duration::from_secs(1);

/// Turns over a number of addresses.
pub(crate) struct Balance {
    start: Instant,
    turn: AtomicUsize,
    /// When each address may be tried again, in milliseconds after `start`.
    down_until: Vec<AtomicU64>,
}

impl Balance {
    /// Turns over `addresses` of them, at least one.
    pub(crate) fn new(addresses: usize) -> Self {
        Self {
            start: Instant::now(),
            turn: AtomicUsize::new(0),
            down_until: (0..addresses).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The next address; not `last` and none that is down, if another is there.
    pub(crate) fn pick(&self, last: Option<usize>) -> usize {
        let count = self.down_until.len();
        if count == 1 {
            return 0;
        }
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % count;
        let now = self.millis();
        let others = || {
            (0..count)
                .map(|offset| (first + offset) % count)
                .filter(|index| Some(*index) != last)
        };
        others()
            .find(|index| self.down_until[*index].load(Ordering::Relaxed) <= now)
            .or_else(|| others().next())
            .unwrap_or(first)
    }

    /// The address could not be reached.
    pub(crate) fn mark_down(&self, index: usize) {
        let until = self.millis() + PASSED_OVER.as_millis() as u64;
        self.down_until[index].store(until, Ordering::Relaxed);
    }

    /// The address answered.
    pub(crate) fn mark_up(&self, index: usize) {
        // Most answers find it up already: a read keeps the line shared between cores.
        if self.down_until[index].load(Ordering::Relaxed) != 0 {
            self.down_until[index].store(0, Ordering::Relaxed);
        }
    }

    fn millis(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Balance;

    #[test]
    fn each_in_turn() {
        let balance = Balance::new(3);
        let picked: Vec<usize> = (0..6).map(|_| balance.pick(None)).collect();
        assert_eq!(picked, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn passes_over_what_is_down() {
        let balance = Balance::new(2);
        balance.mark_down(0);
        assert!((0..4).all(|_| balance.pick(None) == 1));
        balance.mark_up(0);
        assert!((0..2).any(|_| balance.pick(None) == 0));
    }

    #[test]
    fn takes_another_than_the_last_and_one_that_is_down_if_need_be() {
        let balance = Balance::new(2);
        assert!((0..4).all(|_| balance.pick(Some(0)) == 1));
        balance.mark_down(0);
        balance.mark_down(1);
        assert!((0..4).all(|_| balance.pick(Some(1)) == 0));
        assert_eq!(Balance::new(1).pick(Some(0)), 0);
    }
}
