//! A value that belongs to one process: after `fork` the child makes its own. The
//! parent's is leaked there, since its threads are gone, its sockets are shared and its
//! locks may be held for ever. Nothing here takes a lock that a fork could freeze.

use std::mem;
use std::process;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

struct Owned<T> {
    process: u32,
    value: T,
}

/// A value made when first asked for, once in each process.
pub struct PerProcess<T> {
    slot: ArcSwapOption<Owned<T>>,
}

/// The value, kept alive while it is held.
pub struct Held<T>(Arc<Owned<T>>);

impl<T> std::ops::Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> PerProcess<T> {
    /// Holds nothing yet.
    pub const fn new() -> Self {
        Self {
            slot: ArcSwapOption::const_empty(),
        }
    }

    /// This process's value; `make` makes it if there is none. Two threads that come
    /// first together may both make one: one of the two is dropped at once.
    pub fn get_or_try_make<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Held<T>, E> {
        let present = self.slot.load();
        if let Some(owned) = own(present.as_ref()) {
            return Ok(Held(Arc::clone(owned)));
        }
        let fresh = Arc::new(Owned {
            process: process::id(),
            value: make()?,
        });
        let previous = self
            .slot
            .compare_and_swap(&present, Some(Arc::clone(&fresh)));
        if let Some(owned) = own(previous.as_ref()) {
            return Ok(Held(Arc::clone(owned)));
        }
        leak(Guard::into_inner(previous));
        Ok(Held(fresh))
    }

    /// This process's value, if it has been made.
    pub fn get(&self) -> Option<Held<T>> {
        own(self.slot.load().as_ref()).map(|owned| Held(Arc::clone(owned)))
    }

    /// Lets go of this process's value.
    pub fn clear(&self) {
        let previous = self.slot.swap(None);
        if previous
            .as_ref()
            .is_some_and(|owned| owned.process != process::id())
        {
            leak(previous);
        }
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn own<T>(slot: Option<&Arc<Owned<T>>>) -> Option<&Arc<Owned<T>>> {
    slot.filter(|owned| owned.process == process::id())
}

/// Never runs the value's `drop`.
fn leak<T>(value: Option<Arc<Owned<T>>>) {
    mem::forget(value);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use super::{Owned, PerProcess};

    #[test]
    fn makes_once() {
        let cell = PerProcess::new();
        for _ in 0..2 {
            let value = cell.get_or_try_make(|| Ok::<_, Infallible>(7)).unwrap();
            assert_eq!(*value, 7);
        }
        cell.clear();
        assert_eq!(*cell.get_or_try_make(|| Ok::<_, Infallible>(8)).unwrap(), 8);
    }

    #[test]
    fn failure_to_make_leaves_it_empty() {
        let cell = PerProcess::new();
        assert!(cell.get_or_try_make(|| Err::<u8, _>("no")).is_err());
        assert_eq!(*cell.get_or_try_make(|| Ok::<_, &str>(1)).unwrap(), 1);
    }

    #[test]
    fn value_of_another_process_is_left_alone() {
        struct MustNotDrop;
        impl Drop for MustNotDrop {
            fn drop(&mut self) {
                panic!("a value of the parent was dropped");
            }
        }
        let cell = PerProcess::new();
        let parents = || {
            Some(Arc::new(Owned {
                process: u32::MAX,
                value: Some(MustNotDrop),
            }))
        };
        cell.slot.store(parents());
        assert!(
            cell.get_or_try_make(|| Ok::<_, Infallible>(None))
                .unwrap()
                .is_none()
        );
        cell.slot.store(parents());
        drop(cell);
    }
}
