//! Which thread runs a checked request: the calling I/O thread where that takes
//! less time than a thread switch is worth, else a runner.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::merge::Feed;
use crate::metrics::{BatchRows, Gauges};
use crate::reply::lost;
use crate::respond::{Answer, Outcome};
use crate::runner::Runners;
use crate::{Admission, Call, EngineOptions, Run, RunMode, ServeError, Timings};

impl Call {
    /// Runs alone in the calling thread. A panic below is answered as INTERNAL.
    pub fn run(self) -> Outcome {
        if self.has_expired(Instant::now()) {
            return Err(expired());
        }
        let bytes = self.bytes();
        let rows = self.rows().unwrap_or(1);
        let Self {
            model,
            signature,
            inputs,
            outputs,
            deadline,
            arrived,
            checked,
            ..
        } = self;
        let running = model.metrics.begin_batch(signature);
        let started = Instant::now();
        let run = AssertUnwindSafe(|| {
            model.executor().run(Run {
                signature,
                feeds: inputs.into_iter().map(Feed::from_tensor).collect(),
                outputs: &outputs,
                deadline,
                mode: RunMode::Caller,
            })
        });
        let outcome = catch_unwind(run).unwrap_or_else(|_panic| {
            log::error!("a run of {model:?} panicked");
            Err(lost())
        });
        let execute = started.elapsed();
        model.cost(signature).record(bytes, execute);
        let outputs = outcome?;
        let (padding, requests) = (0, 1);
        running.succeeded(
            BatchRows {
                rows,
                padding,
                requests,
            },
            execute,
        );
        Ok(Answer {
            outputs,
            timings: Timings {
                decode: checked - arrived,
                queue: started - checked,
                execute,
                rows,
                batch_rows: rows,
                ..Timings::default()
            },
        })
    }
}

/// What a caller is told whose deadline passed; TensorFlow's own words for it.
pub fn expired() -> ServeError {
    ServeError::deadline_exceeded("Timed out waiting for notification")
}

/// Lets calls in and chooses who runs them; one for each engine.
#[derive(Debug)]
pub struct Dispatcher {
    runners: Runners,
    admission: Arc<Admission>,
}

impl Dispatcher {
    /// A dispatcher with its runner threads.
    pub fn new(options: &EngineOptions) -> std::io::Result<Self> {
        Ok(Self {
            runners: Runners::start(options.runner_threads)?,
            admission: Admission::new(options.limits),
        })
    }

    /// Lets a call in, or refuses it at once: its deadline has passed or will have when
    /// its turn comes, or the limits are reached.
    pub fn admit(&self, call: &mut Call) -> Result<(), ServeError> {
        if call.has_expired(call.checked) {
            return Err(expired());
        }
        let rows = call.rows().unwrap_or(1);
        call.permit = Some(self.admission.admit(rows, call.bytes())?);
        Ok(())
    }

    /// What is in hand.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            queued: self.runners.queued(),
            ..self.admission.gauges()
        }
    }

    /// Whether an I/O thread should run it itself, in its [`crate::Tick`].
    pub fn is_inline(&self, call: &Call) -> bool {
        call.model.cost(call.signature).is_quick(call.bytes())
            && !call.model.executor().is_unpredictable()
    }

    /// Queues an admitted call for the runners. The receiver gets its answer, whatever
    /// happens; dropping it abandons the call, which is then not run if it has not begun.
    /// Whoever waits must look at the deadline by itself.
    pub fn submit(&self, call: Call) -> Result<oneshot::Receiver<Outcome>, ServeError> {
        self.runners.submit(call)
    }

    /// Runs a call and answers, without a tick: for requests that are not worth one.
    pub async fn dispatch(&self, mut call: Call) -> Outcome {
        self.admit(&mut call)?;
        if self.is_inline(&call) {
            return call.run();
        }
        let deadline = call.deadline;
        let answer = self.submit(call)?;
        match deadline {
            None => answer.await,
            Some(deadline) => tokio::time::timeout_at(deadline.into(), answer)
                .await
                .unwrap_or_else(|_elapsed| Ok(Err(expired()))),
        }
        .unwrap_or_else(|_lost| Err(lost()))
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
