//! Work for which there is one turn at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// The turns.
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Turns {
    /// Does `work` in a thread of its own when its turn comes; `None` if it panics. Whoever
    /// gives up before that gives up the turn; afterwards the work keeps it to its end, so
    /// that callers who go away never have two side by side.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let work = move || {
            let _turn = turn;
            work()
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::Turns;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn work_whose_caller_has_gone_keeps_its_turn() {
        let turns = Turns::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (go_on, told) = mpsc::channel::<()>();
        let counted = Arc::clone(&begun);
        let long = turns.take(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = told.recv();
        });
        assert!(timeout(SOON, long).await.is_err());
        let next = || {
            let counted = Arc::clone(&begun);
            turns.take(move || counted.fetch_add(1, Ordering::SeqCst))
        };
        // One that gives up while it waits is never begun.
        assert!(timeout(SOON, next()).await.is_err());
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        go_on.send(()).unwrap();
        assert_eq!(next().await, Some(1));
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_turn_alone() {
        let turns = Turns::default();
        assert_eq!(turns.take(|| panic!("on purpose")).await, None::<()>);
        assert_eq!(turns.take(|| 7).await, Some(7));
    }
}
