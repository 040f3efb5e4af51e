//! Which counters a thread writes: each has a slot of its own while it lives.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::available_parallelism;

/// Slots beside those of the I/O threads and the runners: threads of a program that calls
/// the engine itself.
const GUEST_SLOTS: usize = 8;

/// A place to count, and whether another thread may count there at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ThreadSlot {
    pub(super) index: usize,
    pub(super) shared: bool,
}

/// How many slots there are. The last is for all threads that found none free.
pub(super) fn slot_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| 2 * available_parallelism().map_or(1, usize::from) + GUEST_SLOTS)
}

/// The calling thread's slot.
pub(super) fn thread_slot() -> ThreadSlot {
    // A thread that counts while it ends has given its slot back already.
    OWN.try_with(|own| own.0)
        .unwrap_or_else(|_ended| overflow())
}

thread_local! {
    static OWN: OwnedSlot = OwnedSlot(FREE.take());
}

/// A thread's slot, free for another when the thread ends.
struct OwnedSlot(ThreadSlot);

impl Drop for OwnedSlot {
    fn drop(&mut self) {
        if !self.0.shared {
            FREE.give_back(self.0.index);
        }
    }
}

static FREE: FreeSlots = FreeSlots(Mutex::new((0, Vec::new())));

/// The next slot that was never taken, and those that were given back. The lock also
/// orders a slot's former thread before its next one.
struct FreeSlots(Mutex<(usize, Vec<usize>)>);

impl FreeSlots {
    fn take(&self) -> ThreadSlot {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = free.1.pop().unwrap_or_else(|| {
            free.0 += 1;
            free.0 - 1
        });
        if index + 1 < slot_count() {
            return ThreadSlot {
                index,
                shared: false,
            };
        }
        free.0 = slot_count() - 1;
        overflow()
    }

    fn give_back(&self, index: usize) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.1.push(index);
    }
}

fn overflow() -> ThreadSlot {
    ThreadSlot {
        index: slot_count() - 1,
        shared: true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    use super::{slot_count, thread_slot};

    /// The slots of threads that live side by side.
    fn slots_of(threads: usize) -> Vec<super::ThreadSlot> {
        let together = Barrier::new(threads);
        thread::scope(|scope| {
            let one = || {
                let slot = thread_slot();
                together.wait();
                slot
            };
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
            running.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    #[test]
    fn living_threads_share_none_but_the_last() {
        // More than there are slots, and again once those have ended.
        for _ in 0..3 {
            let slots = slots_of(slot_count() + 5);
            let own: Vec<_> = slots.iter().filter(|slot| !slot.shared).collect();
            let distinct: HashSet<usize> = own.iter().map(|slot| slot.index).collect();
            assert_eq!(distinct.len(), own.len());
            assert!(own.iter().all(|slot| slot.index < slot_count() - 1));
            let last = slots.iter().filter(|slot| slot.shared);
            assert!(last.clone().count() >= 6);
            assert!(last.clone().all(|slot| slot.index == slot_count() - 1));
        }
    }

    #[test]
    fn a_thread_keeps_its_slot() {
        assert_eq!(thread_slot(), thread_slot());
    }
}
