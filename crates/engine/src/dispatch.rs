//! Which thread runs a checked request: the calling I/O thread where that takes
//! less time than a thread switch is worth, else a runner.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::batch::{self, How, Member};
use crate::reply::lost;
use crate::respond::{Outcome, Respond};
use crate::runner::Runners;
use crate::{Admission, Call, EngineOptions, Kind, ServeError};

/// Bounds of the hint when to try again.
const RETRY_HINT: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(10));

/// The queue is swept for dead requests at most once in this time: each sweep looks at
/// all that waits.
const SWEEP_PERIOD: Duration = Duration::from_millis(10);

/// Of so many calls that are not expected to be done in time, one is tried all the same:
/// what is never run is never measured again, and the expectation may be wrong.
const HOPELESS_TRIED: u64 = 16;

/// Keeps an outcome for the thread that ran the call.
struct Keep<'a>(&'a mut Option<Outcome>);

impl Respond for Keep<'_> {
    fn is_gone(&mut self) -> bool {
        false
    }

    fn respond(self, outcome: Outcome) {
        *self.0 = Some(outcome);
    }
}

impl Call {
    /// Runs alone in the calling thread. A panic below is answered as INTERNAL.
    pub fn run(self) -> Outcome {
        let mut kept = None;
        let mode = self.mode(self.rows.unwrap_or(1));
        let how = How {
            formed: Instant::now(),
            mode,
            is_timed: true,
            is_counted: true,
        };
        let respond = Keep(&mut kept);
        batch::run(
            &mut vec![Member {
                call: self,
                respond,
            }],
            how,
        );
        kept.unwrap_or_else(|| Err(lost()))
    }
}

/// Most batches that one request is split into: each part is kept in the queue by itself.
const MAX_PARTS: usize = 1 << 16;

/// What a caller is told whose deadline passed; TensorFlow's own words for it.
pub fn expired() -> ServeError {
    ServeError::deadline_exceeded("Timed out waiting for notification")
}

/// What ends a call at `now` that is not run: its deadline passed, or else nobody waits
/// for its answer any more, and only those who count hear of this.
pub(crate) fn why_dead(call: &Call, now: Instant) -> ServeError {
    if call.has_expired(now) {
        return expired();
    }
    ServeError::new(Kind::Cancelled, "the caller has gone away")
}

/// What an engine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Requests let in and not answered.
    pub requests: usize,
    /// Their rows.
    pub rows: usize,
    /// Bytes of their inputs.
    pub bytes: usize,
    /// Requests that wait for a runner; of a large request that is split, its parts.
    pub queued: usize,
    /// Batches that runners run; those of I/O threads are not among them.
    pub running: usize,
}

/// Lets calls in and chooses who runs them; one for each engine.
#[derive(Debug)]
pub struct Dispatcher {
    runners: Runners,
    admission: Arc<Admission>,
    default_timeout: Option<Duration>,
    started: Instant,
    /// Calls that were not expected to be done in time.
    hopeless: AtomicU64,
    /// When the queue was last swept, in nanoseconds since the start.
    swept: AtomicU64,
}

impl Dispatcher {
    /// A dispatcher with its runner threads.
    pub fn new(options: &EngineOptions) -> std::io::Result<Self> {
        Ok(Self {
            runners: Runners::start(options.runner_threads)?,
            admission: Admission::new(options.limits),
            default_timeout: options.default_timeout,
            started: Instant::now(),
            hopeless: AtomicU64::new(0),
            swept: AtomicU64::new(0),
        })
    }

    /// Lets a call in, or refuses it at once: its deadline has passed or will have when
    /// its turn comes, or the limits are reached. Gives a call without a deadline the
    /// server's own.
    pub fn admit(&self, call: &mut Call) -> Result<(), ServeError> {
        if let (None, Some(timeout)) = (call.deadline, self.default_timeout) {
            call.deadline = call.arrived.checked_add(timeout);
        }
        if call.has_expired(call.checked) {
            return Err(expired());
        }
        check_size(call)?;
        self.check_wait(call)?;
        let rows = call.rows.unwrap_or(1);
        let permit = self.admission.admit(rows, call.bytes).or_else(|error| {
            if error.retry_delay().is_some() && self.sweep(call.checked) {
                return self.admission.admit(rows, call.bytes);
            }
            Err(error)
        });
        call.permit = Some(permit.map_err(|error| match error.retry_delay() {
            None => error,
            Some(_) => error.retry_after(self.retry_hint()),
        })?);
        Ok(())
    }

    /// Whether an I/O thread should run it itself, in its [`crate::Tick`].
    pub fn is_inline(&self, call: &Call) -> bool {
        call.is_quick() && !is_for_runners(call)
    }

    /// Queues an admitted call for the runners. The receiver gets its answer, whatever
    /// happens; dropping it abandons the call, which is then not run if it has not begun.
    /// Whoever waits must look at the deadline by itself.
    pub fn submit(&self, call: Call) -> Result<oneshot::Receiver<Outcome>, ServeError> {
        self.runners.submit(call)
    }

    /// Has no batch wait any more to fill, for a server that stops: what waits is answered
    /// within its grace.
    pub fn hurry(&self) {
        self.runners.hurry();
    }

    /// What is under way.
    pub fn gauges(&self) -> Gauges {
        let in_flight = self.admission.in_flight();
        let (queued, running) = self.runners.counts();
        Gauges {
            requests: in_flight.requests,
            rows: in_flight.rows,
            bytes: in_flight.bytes,
            queued,
            running,
        }
    }

    /// Refuses a call whose answer can't be there in time.
    fn check_wait(&self, call: &Call) -> Result<(), ServeError> {
        let Some(deadline) = call.deadline else {
            return Ok(());
        };
        let left = deadline.saturating_duration_since(call.checked);
        let own = call.known_cost();
        let wait = self.runners.expected_wait();
        // In this order: the first is seldom true, and the second costs more.
        if own.saturating_add(wait) <= left || (own <= left && self.is_inline(call)) {
            return Ok(());
        }
        let hopeless = self.hopeless.fetch_add(1, Ordering::Relaxed) + 1;
        if hopeless.is_multiple_of(HOPELESS_TRIED) {
            return Ok(());
        }
        Err(ServeError::deadline_exceeded(format!(
            "the request would have to wait about {} ms and then run for about {} ms, and its \
             deadline is in {} ms",
            wait.as_millis(),
            own.as_millis(),
            left.as_millis()
        )))
    }

    /// When there may be room again.
    fn retry_hint(&self) -> Duration {
        let (least, most) = RETRY_HINT;
        self.runners.expected_wait().clamp(least, most)
    }

    /// Takes the dead out of the queue, with their permits; `false`: not now, that was
    /// done just before.
    fn sweep(&self, now: Instant) -> bool {
        let now = now.saturating_duration_since(self.started).as_nanos() as u64;
        let last = self.swept.load(Ordering::Relaxed);
        let is_due = Duration::from_nanos(now.saturating_sub(last)) >= SWEEP_PERIOD;
        let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
        let is_mine = is_due
            && self
                .swept
                .compare_exchange(last, now, success, failure)
                .is_ok();
        if is_mine {
            self.runners.sweep();
        }
        is_mine
    }
}

/// Whether a call is not for an I/O thread however quick it is.
fn is_for_runners(call: &Call) -> bool {
    let batching = &call.model.options().batching;
    let waits = batching
        .batch_timeout
        .is_some_and(|timeout| !timeout.is_zero());
    let splits = batching.enable_large_batch_splitting
        && batch::told(call).is_some_and(|most| call.rows.is_some_and(|rows| rows > most));
    call.model.executor().is_unpredictable()
        || batching.enabled && (waits || splits || batching.num_batch_threads.is_some())
}

/// Refuses what is larger than a batch may be, where the model was told so, with TensorFlow
/// Serving's text; and what would have to be split into more parts than are worth keeping.
fn check_size(call: &Call) -> Result<(), ServeError> {
    let batching = &call.model.options().batching;
    if batching.enable_large_batch_splitting
        && let (Some(rows), Some(most)) = (call.rows, batch::told(call))
        && rows.div_ceil(most.max(1)) > MAX_PARTS
        && call.is_batchable()
    {
        return Err(ServeError::invalid_argument(format!(
            "a request of {rows} rows would run as more than {MAX_PARTS} batches of {most}; \
             send it in smaller ones"
        )));
    }
    let most = batching
        .max_batch_size
        .filter(|_| !batching.enable_large_batch_splitting);
    match (most, call.rows) {
        (Some(most), Some(rows)) if rows > most && call.is_batchable() => {
            Err(ServeError::invalid_argument(format!(
                "Task size {rows} is larger than maximum input batch size {most}"
            )))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
