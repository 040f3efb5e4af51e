//! What of a connection's replies has not been sent, as nobody reads it. Each holds its
//! memory and its share of the limits until then, so that one client that has stopped
//! reading, and still answers pings, could hold them for ever against all others.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

/// How long a client may leave its replies lying, all of them, before its connection ends.
/// Proxies give up on a stream after as long.
const UNSENT_LIMIT: Duration = Duration::from_mins(5);

/// Looks at the replies in this time: what is cut off may have lain one look longer.
const LOOK: Duration = Duration::from_mins(1);

/// The replies of one connection that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    replies: Cell<usize>,
    /// Changes whenever one of them moves on; it wraps around.
    moves: Cell<usize>,
}

/// One reply on its way, until it is dropped.
#[derive(Debug)]
pub(crate) struct OnItsWay(Rc<Unsent>);

impl Unsent {
    /// A reply that is to be sent.
    pub(crate) fn begin(self: &Rc<Self>) -> OnItsWay {
        self.replies.set(self.replies.get() + 1);
        OnItsWay(Rc::clone(self))
    }

    fn moved(&self) {
        self.moves.set(self.moves.get().wrapping_add(1));
    }

    /// Waits until replies have lain too long and none has moved.
    pub(crate) async fn abandoned(&self) {
        until_stuck(|| (self.replies.get() > 0).then(|| self.moves.get())).await;
    }
}

/// Waits until something has waited for [`UNSENT_LIMIT`] without a move. `moves`: a number
/// that changes with each; `None`: nothing waits.
async fn until_stuck(moves: impl Fn() -> Option<usize>) {
    let mut seen = None;
    let mut still = Duration::ZERO;
    while still < UNSENT_LIMIT {
        sleep(LOOK).await;
        let now = moves();
        still = match now {
            Some(_) if now == seen => still + LOOK,
            _ => Duration::ZERO,
        };
        seen = now;
    }
}

impl OnItsWay {
    /// Some of it was sent.
    pub(crate) fn moved(&self) {
        self.0.moved();
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.replies.set(self.0.replies.get() - 1);
        self.0.moved();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::rc::Rc;
    use std::time::Duration;

    use tokio::time::{Instant, timeout};

    use super::{UNSENT_LIMIT, Unsent};

    #[tokio::test(start_paused = true)]
    async fn ends_when_replies_lie_too_long() {
        let unsent = Rc::new(Unsent::default());
        let mut abandoned = pin!(unsent.abandoned());
        // A connection without replies may be quiet for ever.
        let hour = Duration::from_hours(1);
        assert!(timeout(hour, abandoned.as_mut()).await.is_err());
        let first = unsent.begin();
        let second = unsent.begin();
        for _ in 0..10 {
            assert!(timeout(UNSENT_LIMIT / 2, abandoned.as_mut()).await.is_err());
            // However slowly it is read.
            first.moved();
        }
        drop(first);
        let begun = Instant::now();
        abandoned.await;
        assert!(begun.elapsed() >= UNSENT_LIMIT && begun.elapsed() < UNSENT_LIMIT * 2);
        drop(second);
    }
}
