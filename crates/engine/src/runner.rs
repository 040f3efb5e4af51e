//! The threads that run what would hold an I/O thread up. A free one takes the next
//! batch, which is formed at that moment: while all are busy, batches grow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::batch::{self, How, Member, Waiter, answer_each, parts};
use crate::dispatch::why_dead;
use crate::queue::{Formed, Next, Queue};
use crate::reply::Reply;
use crate::respond::Outcome;
use crate::{Call, ServeError};

/// Bytes of stack for a thread that runs models: TensorFlow optimises a graph in the
/// thread of its first run, and needs for a deep one what C programs usually have.
pub const RUN_STACK: usize = 8 << 20;

/// What the threads share; its lock is never taken for a request that an I/O thread runs.
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    /// What the queue is expected to take, in nanoseconds, for readers without the lock.
    backlog: AtomicU64,
}

#[derive(Default)]
struct State {
    queue: Queue<Waiter>,
    /// Threads that wait for work.
    idle: usize,
}

/// A pool of threads and the queue before them. Dropped, it finishes what is queued.
pub(crate) struct Runners {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Runners {
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            backlog: AtomicU64::new(0),
        });
        let mut runners = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for index in 0..count.max(1) {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new()
                .name(format!("tensorwire-run-{index}"))
                .stack_size(RUN_STACK)
                .spawn(move || shared.run())?;
            runners.threads.push(thread);
        }
        Ok(runners)
    }

    /// Queues a call; the receiver gets its answer, whatever happens.
    pub(crate) fn submit(&self, call: Call) -> Result<oneshot::Receiver<Outcome>, ServeError> {
        let (reply, answer) = Reply::new();
        let rows = call.rows;
        // Made before the lock is taken: a large request has many.
        let parts = parts(call, reply);
        let mut state = self.shared.lock();
        if let Some(first) = parts.first() {
            state.queue.check_room(&first.call, rows)?;
        }
        for part in parts {
            state.queue.push(part);
        }
        self.shared.publish(&state);
        self.shared.wake_one(state);
        Ok(answer)
    }

    /// How long what is queued now is expected to keep a new request waiting.
    pub(crate) fn expected_wait(&self) -> Duration {
        let nanos = self.shared.backlog.load(Ordering::Relaxed);
        Duration::from_nanos(nanos / self.threads.len().max(1) as u64)
    }

    /// Has no batch wait any more to fill.
    pub(crate) fn hurry(&self) {
        self.shared.lock().queue.hurry();
        self.shared.work.notify_all();
    }

    /// Answers what is dead in the queue, to make room.
    pub(crate) fn sweep(&self) {
        let mut dead = Vec::new();
        let mut state = self.shared.lock();
        state.queue.sweep(Instant::now(), &mut dead);
        self.shared.publish(&state);
        drop(state);
        answer_dead(&mut dead);
    }

    /// Requests that wait, and batches that run.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.queue.queued(), state.queue.running())
    }
}

fn answer_dead(dead: &mut Vec<Member<Waiter>>) {
    let now = Instant::now();
    answer_each(dead.drain(..), |call| Err(why_dead(call, now)));
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        let nanos = u64::try_from(state.queue.backlog().as_nanos()).unwrap_or(u64::MAX);
        self.backlog.store(nanos, Ordering::Relaxed);
    }

    /// Wakes a thread if there is something queued that it could take.
    fn wake_one(&self, state: MutexGuard<'_, State>) {
        let is_needed = state.idle > 0 && state.queue.queued() > 0;
        drop(state);
        if is_needed {
            self.work.notify_one();
        }
    }

    /// What each thread does.
    fn run(&self) {
        let mut dead = Vec::new();
        while let Some(Formed {
            mut members,
            ticket,
        }) = self.take(&mut dead)
        {
            let formed = Instant::now();
            let rows = members.iter().filter_map(|member| member.call.rows).sum();
            let how = How {
                formed,
                mode: members[0].call.mode(rows),
                is_timed: true,
                is_counted: true,
            };
            // The thread outlives it, and the ticket is given back; members that are left
            // unanswered answer for themselves when they are dropped.
            if catch_unwind(AssertUnwindSafe(|| batch::run(&mut members, how))).is_err() {
                log::error!("running a batch panicked");
            }
            self.lock().queue.finished(&ticket, formed.elapsed());
        }
    }

    /// The next batch; `None` when there is none left and none will come.
    fn take(&self, dead: &mut Vec<Member<Waiter>>) -> Option<Formed<Waiter>> {
        let mut state = self.lock();
        loop {
            let next = state.queue.next(Instant::now(), dead);
            self.publish(&state);
            if !dead.is_empty() {
                // Answered at once, and not under the lock.
                if let Next::Run(formed) = next {
                    self.wake_one(state);
                    answer_dead(dead);
                    return Some(formed);
                }
                drop(state);
                answer_dead(dead);
                state = self.lock();
                continue;
            }
            let now = Instant::now();
            state = match next {
                Next::Run(formed) => {
                    // Who waited for this may have been woken for that which is left.
                    self.wake_one(state);
                    return Some(formed);
                }
                Next::Idle if state.queue.is_closed() && state.queue.queued() == 0 => {
                    // Others may wait for a batch that this thread took.
                    self.work.notify_all();
                    return None;
                }
                Next::Idle => self.wait(state, None),
                Next::WaitUntil(instant) => {
                    self.wait(state, Some(instant.saturating_duration_since(now)))
                }
            };
        }
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        timeout: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.idle += 1;
        let mut state = match timeout {
            None => self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let waited = self.work.wait_timeout(state, timeout);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.idle -= 1;
        state
    }
}

impl Drop for Runners {
    fn drop(&mut self) {
        self.shared.lock().queue.close();
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Runners {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Runners({})", self.threads.len())
    }
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
