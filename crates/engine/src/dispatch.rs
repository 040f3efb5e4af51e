//! Which thread runs a checked request: the calling I/O thread where that takes
//! less time than a thread switch is worth, else a runner.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tensor::{Data, Tensor};

use crate::merge::Feed;
use crate::reply::{Outcome, lost};
use crate::runner::Runners;
use crate::{Run, ServeError, ServedModel};

/// A request whose names and types are right, ready to run.
#[derive(Debug)]
pub struct Call {
    model: Arc<ServedModel>,
    signature: usize,
    inputs: Vec<Tensor>,
    outputs: Vec<usize>,
    deadline: Option<Instant>,
}

impl Call {
    /// A call of the model's signature of this index. `inputs` has one tensor for
    /// each of its inputs, in their order (as [`crate::Signature::bind_inputs`] gave
    /// them); `outputs` are positions among its outputs.
    pub fn new(
        model: Arc<ServedModel>,
        signature: usize,
        inputs: Vec<Tensor>,
        outputs: Vec<usize>,
        deadline: Option<Instant>,
    ) -> Result<Self, ServeError> {
        model.signatures()[signature].check_dtypes(&inputs)?;
        Ok(Self {
            model,
            signature,
            inputs,
            outputs,
            deadline,
        })
    }

    /// Runs in the calling thread. A panic below is answered as INTERNAL.
    pub fn run(self) -> Outcome {
        if self.has_expired() {
            return Err(expired());
        }
        let bytes = self.input_bytes();
        let Self {
            model,
            signature,
            inputs,
            outputs,
            deadline,
        } = self;
        let started = Instant::now();
        let run = AssertUnwindSafe(|| {
            model.executor().run(Run {
                signature,
                feeds: inputs.into_iter().map(Feed::from_tensor).collect(),
                outputs: &outputs,
                deadline,
            })
        });
        let outcome = catch_unwind(run).unwrap_or_else(|_panic| {
            log::error!("a run of {model:?} panicked");
            Err(lost())
        });
        model.cost(signature).record(bytes, started.elapsed());
        outcome
    }

    pub(crate) fn has_expired(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    fn is_quick(&self) -> bool {
        self.model.cost(self.signature).is_quick(self.input_bytes())
            && !self.model.executor().is_unpredictable()
    }

    fn input_bytes(&self) -> usize {
        let size = |tensor: &Tensor| match tensor.data() {
            Data::Fixed(bytes) => bytes.len(),
            Data::Strings(strings) => strings.iter().map(|string| string.len() + 24).sum(),
        };
        self.inputs.iter().map(size).sum()
    }
}

/// What a caller is told whose deadline passed; TensorFlow's own words for it.
fn expired() -> ServeError {
    ServeError::deadline_exceeded("Timed out waiting for notification")
}

/// Runs calls; one for each server.
#[derive(Debug)]
pub struct Dispatcher {
    runners: Runners,
}

impl Dispatcher {
    /// A dispatcher with this many runner threads.
    pub fn new(runners: usize) -> std::io::Result<Self> {
        Ok(Self {
            runners: Runners::start(runners)?,
        })
    }

    /// Runs a call and answers; on an I/O thread. Dropping the future abandons the
    /// call: it is not run if it has not begun.
    pub async fn dispatch(&self, call: Call) -> Outcome {
        if call.has_expired() {
            return Err(expired());
        }
        if call.is_quick() {
            return call.run();
        }
        let deadline = call.deadline;
        let answer = self.runners.submit(call)?;
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
