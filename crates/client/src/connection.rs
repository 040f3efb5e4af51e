//! One server's connection: made when first used, made again when lost. Calls that come
//! while it is made wait for the same attempt.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::task::yield_now;

use crate::address::Address;
use crate::dial::{Link, NoLink};
use crate::options::ChannelOptions;

/// A connection that nobody has driven for so long may have ended without our notice.
const UNWATCHED: Duration = Duration::from_millis(1);

type Attempt = Shared<Pin<Box<dyn Future<Output = Result<Link, NoLink>> + Send>>>;

/// The connection to one address.
pub(crate) struct Connection {
    address: Address,
    options: Arc<ChannelOptions>,
    state: Mutex<State>,
}

enum State {
    Idle,
    Connecting {
        attempt: Attempt,
        /// How many wait for it. When all have given up, nobody drives it any more, and who
        /// comes later must not take its time limit for theirs.
        waiting: usize,
    },
    Open {
        link: Link,
        used: Instant,
    },
}

impl Connection {
    pub(crate) fn new(address: Address, options: Arc<ChannelOptions>) -> Self {
        Self {
            address,
            options,
            state: Mutex::new(State::Idle),
        }
    }

    /// An open connection; must run inside the runtime. The error is why there is none.
    pub(crate) async fn link(&self) -> Result<Link, NoLink> {
        if let Some(link) = self.open_link().await {
            return Ok(link);
        }
        let waiter = Waiter {
            attempt: self.attempt(),
            connection: self,
        };
        let result = waiter.attempt.clone().await;
        let mut state = self.state();
        if state.is_attempt(&waiter.attempt) {
            *state = match &result {
                Ok(link) => State::open(link.clone()),
                Err(_) => State::Idle,
            };
        }
        result
    }

    /// The present one, if it still takes calls.
    async fn open_link(&self) -> Option<Link> {
        let (mut link, unwatched) = match &mut *self.state() {
            State::Open { link, used } => {
                let now = Instant::now();
                let before = std::mem::replace(used, now);
                (link.clone(), now.duration_since(before) > UNWATCHED)
            }
            State::Idle | State::Connecting { .. } => return None,
        };
        if unwatched {
            read_what_came().await;
        }
        let ready = poll_fn(|context| Poll::Ready(link.sender.poll_ready(context))).await;
        if !matches!(ready, Poll::Ready(Err(_))) {
            return Some(link);
        }
        let mut state = self.state();
        if matches!(&*state, State::Open { link: present, .. } if present.is(&link)) {
            *state = State::Idle;
        }
        None
    }

    /// The attempt under way, or a new one.
    fn attempt(&self) -> Attempt {
        let mut state = self.state();
        let fresh = match &mut *state {
            State::Connecting { attempt, waiting } => {
                *waiting += 1;
                return attempt.clone();
            }
            // Another call has connected since.
            State::Open { link, .. } => {
                let link = link.clone();
                return std::future::ready(Ok(link)).boxed().shared();
            }
            State::Idle => {
                let (address, options) = (self.address.clone(), Arc::clone(&self.options));
                async move { Link::open(&address, &options).await }
                    .boxed()
                    .shared()
            }
        };
        *state = State::Connecting {
            attempt: fresh.clone(),
            waiting: 1,
        };
        fresh
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole at all times: nothing is done under the lock that could panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for an attempt, until dropped.
struct Waiter<'a> {
    connection: &'a Connection,
    attempt: Attempt,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.connection.state();
        if !state.is_attempt(&self.attempt) {
            // It has ended.
            return;
        }
        if let State::Connecting { waiting, .. } = &mut *state {
            *waiting -= 1;
            if *waiting == 0 {
                *state = State::Idle;
            }
        }
    }
}

/// Lets what servers sent meanwhile be read: perhaps a farewell. A task of its own waits
/// for it, since whoever drives, in whichever thread, looks at the sockets before it goes
/// on with a task that made way, and has then queued the connections' tasks before it.
async fn read_what_came() {
    let _ = tokio::spawn(async {
        yield_now().await;
        yield_now().await;
    })
    .await;
}

impl State {
    fn is_attempt(&self, attempt: &Attempt) -> bool {
        matches!(self, Self::Connecting { attempt: present, .. } if present.ptr_eq(attempt))
    }

    fn open(link: Link) -> Self {
        Self::Open {
            link,
            used: Instant::now(),
        }
    }
}
