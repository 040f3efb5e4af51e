//! The threads in which versions are loaded and freed: of low priority while others serve,
//! so that these get their processor at once when they want it.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use engine::{RUN_STACK, ServeError};

/// How far a thread stands back (19: the most there is). It still gets a processor that
/// nobody else wants, and a part in 70 of one that somebody wants all the time.
const NICE: i32 = 19;

/// Loads of this process.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// Counts as a load until dropped.
pub(crate) struct UnderWay<'a>(&'a Loads);

impl Loads {
    /// Counts a load.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// How many there have been, if none is under way.
    pub(crate) fn at_rest(&self) -> Option<usize> {
        let ended = self.ended.load(Ordering::Acquire);
        (self.begun.load(Ordering::Relaxed) == ended).then_some(ended)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// Lets the calling thread stand back for good. Only a thread of our own may be asked: one
/// without privileges can't step forward again.
fn stand_back() {
    // Where that can't be, it runs as others do.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// Runs `work` in a thread of its own, which stands back if others serve, and waits for it.
pub(crate) fn run_aside<R: Send>(
    others_serve: bool,
    work: impl FnOnce() -> R + Send,
) -> Result<R, ServeError> {
    thread::scope(|scope| {
        let aside = thread::Builder::new()
            .name("tensorwire-load".to_owned())
            .stack_size(RUN_STACK)
            .spawn_scoped(scope, move || {
                if others_serve {
                    stand_back();
                }
                work()
            })
            .map_err(|error| {
                ServeError::resource_exhausted(format!("cannot start a thread: {error}"))
            })?;
        Ok(aside.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
