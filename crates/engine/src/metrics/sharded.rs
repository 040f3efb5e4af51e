//! One copy of some counters for each thread that writes them, made at its first write.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::thread_slot::{slot_count, thread_slot};

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The right to add to one copy's counters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    shared: bool,
}

impl Writer {
    /// Adds. The only writer of a counter need not make it one operation, which would
    /// cost twenty times as much.
    #[inline]
    pub(super) fn add(self, counter: &Counter, amount: u64) {
        if self.shared {
            counter.0.fetch_add(amount, Ordering::Relaxed);
        } else {
            counter
                .0
                .store(counter.get().wrapping_add(amount), Ordering::Relaxed);
        }
    }
}

type Copies<T> = Box<[OnceLock<Box<T>>]>;

/// Counters `T`, a copy for each thread. Takes 24 bytes until the first write, then 16
/// for each slot, and a `T` for each thread that has written.
pub(super) struct Sharded<T>(OnceLock<Copies<T>>);

impl<T: Default> Sharded<T> {
    pub(super) fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Hands the calling thread's copy to `write`.
    #[inline]
    pub(super) fn write(&self, write: impl FnOnce(&T, Writer)) {
        let slot = thread_slot();
        let copies = self
            .0
            .get_or_init(|| (0..slot_count()).map(|_| OnceLock::new()).collect());
        if let Some(copy) = copies.get(slot.index) {
            let shared = slot.shared;
            write(copy.get_or_init(Box::default), Writer { shared });
        }
    }

    /// All copies there are.
    pub(super) fn copies(&self) -> impl Iterator<Item = &T> {
        let slots = self.0.get().into_iter().flatten();
        slots.filter_map(OnceLock::get).map(|copy| &**copy)
    }

    /// A counter's sum over all copies.
    pub(super) fn sum(&self, counter: impl Fn(&T) -> &Counter) -> u64 {
        self.copies().map(|copy| counter(copy).get()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{Counter, Sharded};
    use crate::metrics::thread_slot::slot_count;

    #[test]
    fn nothing_is_lost_among_more_threads_than_slots() {
        let sharded = Sharded::<[Counter; 2]>::new();
        assert_eq!(sharded.copies().count(), 0);
        let threads = slot_count() as u64 + 20;
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for amount in 0..1000 {
                        sharded.write(|[ones, amounts], writer| {
                            writer.add(ones, 1);
                            writer.add(amounts, amount);
                        });
                    }
                });
            }
        });
        assert_eq!(sharded.sum(|copy| &copy[0]), threads * 1000);
        assert_eq!(sharded.sum(|copy| &copy[1]), threads * 999 * 500);
        assert!(sharded.copies().count() <= slot_count());
    }
}
