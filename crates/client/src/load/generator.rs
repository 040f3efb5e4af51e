//! One thread that sends: its connections, its runtime, and what it counts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::plan::{LoadPlan, Pace};
use super::tally::{Moments, Tally};
use super::{closed, open};
use crate::channel::{CallOptions, Channel};
use crate::request::Request;

/// When a load begins, is measured, and sends no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) begin: Instant,
    pub(crate) measured_from: Instant,
    /// `None`: when enough requests have been sent.
    pub(crate) until: Option<Instant>,
}

/// What all threads of a load share.
pub(crate) struct Shared {
    pub(crate) plan: LoadPlan,
    pub(crate) request: Request,
    pub(crate) options: CallOptions,
    /// Send no more.
    pub(crate) stopping: CancellationToken,
    /// Give up what is under way.
    pub(crate) cancelled: CancellationToken,
    pub(crate) lanes: Vec<Lane>,
    /// Threads that still send.
    pub(crate) sending: AtomicUsize,
    pub(crate) end: End,
    /// Measured requests that have been begun or passed over.
    taken: AtomicU64,
    connected: Barrier,
    span: OnceLock<Span>,
}

/// What one thread shares with whoever asks how far it is.
pub(crate) struct Lane {
    pub(crate) tally: Mutex<Tally>,
    /// Measured requests that were sent.
    pub(crate) sent: AtomicU64,
    /// How busy it was; `None`: nothing was measured yet.
    pub(crate) effort: Mutex<Option<Effort>>,
}

/// A thread's time, and how much of it was spent on a processor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effort {
    pub(crate) wall: Duration,
    pub(crate) processor: Duration,
}

/// When all threads have ended.
#[derive(Default)]
pub(crate) struct End {
    state: Mutex<(usize, Option<Instant>)>,
    changed: Condvar,
}

impl Shared {
    pub(crate) fn new(
        plan: LoadPlan,
        request: Request,
        options: CallOptions,
        lanes: Vec<Lane>,
    ) -> Self {
        Self {
            stopping: CancellationToken::new(),
            cancelled: CancellationToken::new(),
            sending: AtomicUsize::new(lanes.len()),
            end: End {
                state: Mutex::new((lanes.len(), None)),
                changed: Condvar::new(),
            },
            taken: AtomicU64::new(0),
            connected: Barrier::new(lanes.len()),
            span: OnceLock::new(),
            plan,
            request,
            options,
            lanes,
        }
    }

    /// `None`: not all connections are made.
    pub(crate) fn span(&self) -> Option<Span> {
        self.span.get().copied()
    }

    /// Whether one more measured request is wanted.
    pub(crate) fn take(&self) -> bool {
        let Some(wanted) = self.plan.requests else {
            return true;
        };
        self.taken.fetch_add(1, Ordering::Relaxed) < wanted
    }

    fn begin(&self) -> Span {
        *self.span.get_or_init(|| {
            let begin = Instant::now();
            let measured_from = begin + self.plan.warmup;
            let duration = self.plan.duration;
            Span {
                begin,
                measured_from,
                until: duration.and_then(|duration| measured_from.checked_add(duration)),
            }
        })
    }
}

impl End {
    /// Waits for it, but no longer than `most`; whether it has come, and when.
    pub(crate) fn wait(&self, most: Duration) -> Option<Instant> {
        let waited = self
            .changed
            .wait_timeout_while(lock(&self.state), most, |(left, _)| *left > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.1
    }

    fn one_ended(&self) {
        let mut state = lock(&self.state);
        state.0 -= 1;
        if state.0 == 0 {
            state.1 = Some(Instant::now());
            self.changed.notify_all();
        }
    }
}

/// A thread that sends.
pub(crate) struct Generator {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
    pub(crate) channels: Vec<Channel>,
    /// Requests under way, or callers that have not ended.
    pub(crate) tasks: TaskTracker,
}

/// Says that the thread has ended, however it does.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        if thread::panicking() {
            // The others must not wait for it, nor go on alone.
            self.0.stopping.cancel();
        }
        self.0.end.one_ended();
    }
}

impl Generator {
    /// Runs the load on the calling thread.
    pub(crate) fn run(self, runtime: Runtime) {
        let _ending = Ending(Arc::clone(&self.shared));
        let generator = Arc::new(self);
        runtime.block_on(async {
            tokio::select! {
                () = generator.cancelled() => {}
                () = generator.load() => {}
            }
        });
        for channel in &generator.channels {
            channel.close();
        }
        // Looking up a host name may still block a thread of its own.
        runtime.shutdown_background();
    }

    pub(crate) fn lane(&self) -> &Lane {
        &self.shared.lanes[self.index]
    }

    /// Makes a call on one of the connections, and counts it if it is measured. `due`
    /// `None`: when it is sent.
    pub(crate) async fn call(&self, connection: usize, due: Option<Instant>, measured: bool) {
        let channel = &self.channels[connection % self.channels.len()];
        let sent = Instant::now();
        if measured {
            self.lane().sent.fetch_add(1, Ordering::Relaxed);
        }
        let shared = &self.shared;
        let result = channel.exchange(&shared.request, &shared.options).await;
        if measured {
            let moments = Moments {
                due: due.unwrap_or(sent),
                sent,
                answered: Instant::now(),
            };
            lock(&self.lane().tally).count(moments, shared.request.message_bytes(), &result);
        }
    }

    async fn cancelled(&self) {
        self.shared.cancelled.cancelled().await;
    }

    async fn load(self: &Arc<Self>) {
        tokio::select! {
            () = self.shared.stopping.cancelled() => return,
            () = self.connect() => {}
        }
        let span = self.shared.begin();
        let baseline = Baseline::at(span.measured_from);
        match self.shared.plan.pace {
            Pace::Closed { .. } => closed::send(self, span).await,
            Pace::Open { .. } => open::send(self, span).await,
        }
        *lock(&self.lane().effort) = baseline.effort().await;
        self.shared.sending.fetch_sub(1, Ordering::SeqCst);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Makes all connections, so that no measured request waits for one, and waits for
    /// the other threads. A health check costs the server least; what it answers, or
    /// whether it can be reached, the load itself will show.
    async fn connect(self: &Arc<Self>) {
        let mut calls = JoinSet::new();
        for number in 0..self.channels.len() {
            let this = Arc::clone(self);
            calls.spawn(async move {
                let check = Request::health("");
                let options = CallOptions {
                    timeout: this.shared.options.timeout,
                    ..CallOptions::default()
                };
                let _ = this.channels[number].exchange(&check, &options).await;
            });
        }
        while calls.join_next().await.is_some() {}
        self.shared.connected.wait().await;
    }
}

/// The thread's clocks when the measurement begins.
struct Baseline(JoinHandle<(Instant, Duration)>);

impl Baseline {
    fn at(moment: Instant) -> Self {
        Self(tokio::spawn(async move {
            tokio::time::sleep_until(moment.into()).await;
            (Instant::now(), processor_time())
        }))
    }

    /// Since then; `None`: it has not come yet.
    async fn effort(self) -> Option<Effort> {
        if !self.0.is_finished() {
            self.0.abort();
            return None;
        }
        let (began, processor) = self.0.await.ok()?;
        Some(Effort {
            wall: began.elapsed(),
            processor: processor_time().saturating_sub(processor),
        })
    }
}

/// What the calling thread has had of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A panic elsewhere leaves counts that are as good as before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
