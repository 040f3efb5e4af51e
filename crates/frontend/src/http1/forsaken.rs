//! The end of an HTTP/1.x connection that has no other: nothing is asked on it any more, or
//! its client has stopped reading. HTTP/1.x has no pings to find that out.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::shared_stream::Sending;

/// How long a client may take nothing of what is sent to it: as long as it may send
/// nothing in the midst of a body. Slow ones, who take a little, are not meant.
const STALL_LIMIT: Duration = Duration::from_secs(75);

/// A limit is looked after so many times before it is over, so that it is kept to a third.
const LOOKS: u32 = 3;

/// A page of so many bytes is soon with a client that reads at all.
const SMALL_PAGE_BYTES: u64 = 64 << 10;

/// The requests of one connection, as far as there are any.
#[derive(Default)]
pub(super) struct Requests {
    begun: Cell<usize>,
    /// Those whose page is not made yet.
    answering: Cell<usize>,
    /// Bytes of the latest page.
    page_bytes: Cell<u64>,
}

impl Requests {
    /// Counts a request until its page is made and the guard is dropped.
    pub(super) fn begin(self: &Rc<Self>) -> Answering {
        self.begun.set(self.begun.get().wrapping_add(1));
        self.answering.set(self.answering.get() + 1);
        Answering(Rc::clone(self))
    }

    /// Whether the client can be taken to have all that it asked for.
    pub(super) fn owe_nothing(&self) -> bool {
        self.answering.get() == 0 && self.page_bytes.get() <= SMALL_PAGE_BYTES
    }
}

/// One request that is being answered.
pub(super) struct Answering(Rc<Requests>);

impl Answering {
    /// The page is made.
    pub(super) fn end(self, bytes: u64) {
        self.0.page_bytes.set(bytes);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.set(self.0.answering.get() - 1);
    }
}

/// Ends when nobody is behind the connection any more: it has had no request for
/// `idle_limit`, or its client has taken nothing for [`STALL_LIMIT`]. `sending` looks at
/// the socket.
pub(super) async fn forsaken(
    requests: &Requests,
    sending: impl Fn() -> Sending,
    idle_limit: Duration,
) {
    let look = || (requests.begun.get(), sending());
    let mut seen = look();
    let mut since = Instant::now();
    loop {
        sleep(idle_limit.min(STALL_LIMIT) / LOOKS).await;
        let now = look();
        // A model may run for as long as it is let; a body has a limit of its own.
        if requests.answering.get() > 0 || now != seen {
            seen = now;
            since = Instant::now();
            continue;
        }
        let limit = if now.1.is_blocked {
            STALL_LIMIT
        } else {
            idle_limit
        };
        if since.elapsed() >= limit {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use tokio::time::{Instant, sleep, timeout};

    use super::{Requests, STALL_LIMIT, forsaken};
    use crate::shared_stream::Sending;

    const IDLE: Duration = Duration::from_secs(30);
    const QUIET: Sending = Sending {
        writes: 0,
        is_blocked: false,
    };

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_ends() {
        let begun = Instant::now();
        forsaken(&Requests::default(), || QUIET, IDLE).await;
        assert_eq!(begun.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_keep_it() {
        let requests = Rc::new(Requests::default());
        let begun = Instant::now();
        let asking = async {
            for _ in 0..10 {
                sleep(IDLE * 9 / 10).await;
                drop(requests.begin());
            }
        };
        let both = tokio::join!(asking, forsaken(&requests, || QUIET, IDLE));
        assert_eq!(both, ((), ()));
        assert!(begun.elapsed() >= IDLE * 10, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_may_take_its_time() {
        let requests = Rc::new(Requests::default());
        let answering = requests.begin();
        let ended = timeout(IDLE * 100, forsaken(&requests, || QUIET, IDLE)).await;
        assert!(ended.is_err());
        drop(answering);
        forsaken(&requests, || QUIET, IDLE).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_waited_for_and_one_that_stopped_is_not() {
        let writes = Cell::new(0);
        let sending = || Sending {
            writes: writes.get(),
            is_blocked: true,
        };
        let requests = Requests::default();
        let begun = Instant::now();
        let reading = async {
            for _ in 0..20 {
                sleep(STALL_LIMIT * 8 / 10).await;
                writes.set(writes.get() + 1);
            }
            Instant::now()
        };
        let (last, ()) = tokio::join!(reading, forsaken(&requests, sending, IDLE));
        assert_eq!(last - begun, STALL_LIMIT * 16);
        let waited = last.elapsed();
        assert!(
            waited >= STALL_LIMIT && waited < STALL_LIMIT * 4 / 3,
            "{waited:?}"
        );
    }
}
