//! Runs of one signature while it is measured: timed, bounded, and without a failure that
//! could reach anybody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tensor::Tensor;

use super::BEARABLE;
use crate::{Executor, Feed, Kind, Run, RunMode};

/// What tells the time; tests have their own.
pub(super) type Now<'a> = &'a dyn Fn() -> Instant;

/// One signature's runs, until a given time.
pub(super) struct Trial<'a> {
    pub(super) executor: &'a dyn Executor,
    pub(super) signature: usize,
    /// All of the signature's outputs.
    pub(super) outputs: Vec<usize>,
    pub(super) now: Now<'a>,
    /// Whether other models answer requests meanwhile.
    pub(super) others_answer: &'a dyn Fn() -> bool,
    /// When the signature's share of the time is over.
    pub(super) end: Instant,
}

/// Why there is nothing to learn from a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// What the executor said.
    Refused(String),
    /// It did not end within the signature's time.
    TooLong,
}

impl Trial<'_> {
    /// The signature's time that is left.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since((self.now)())
    }

    /// Whether runs that take this long may be measured now.
    pub(super) fn is_bearable(&self, run: Duration) -> bool {
        run <= BEARABLE || !(self.others_answer)()
    }

    /// Where to run what may take long.
    pub(super) fn first_mode(&self) -> RunMode {
        if (self.others_answer)() && !self.executor.is_unpredictable() {
            RunMode::Caller
        } else {
            RunMode::Pool
        }
    }

    /// A failure if not enough is left of the signature's time for runs that take `needed`.
    pub(super) fn has_time_for(&self, needed: Duration) -> Result<(), Failure> {
        if needed > self.left() {
            return Err(Failure::TooLong);
        }
        Ok(())
    }

    /// Runs and answers the outputs and what it took; given up when the time is over,
    /// where the executor can.
    pub(super) fn run(
        &self,
        feeds: Vec<Feed>,
        mode: RunMode,
    ) -> Result<(Vec<Tensor>, Duration), Failure> {
        self.run_until(Some(self.end), feeds, mode)
    }

    /// What another run takes of a kind that did end in time: a deadline would cost time of
    /// its own.
    pub(super) fn time(&self, feeds: Vec<Feed>, mode: RunMode) -> Result<Duration, Failure> {
        let deadline = self.executor.is_unpredictable().then_some(self.end);
        let (_outputs, elapsed) = self.run_until(deadline, feeds, mode)?;
        Ok(elapsed)
    }

    fn run_until(
        &self,
        deadline: Option<Instant>,
        feeds: Vec<Feed>,
        mode: RunMode,
    ) -> Result<(Vec<Tensor>, Duration), Failure> {
        if self.left().is_zero() {
            return Err(Failure::TooLong);
        }
        let run = Run {
            signature: self.signature,
            feeds,
            outputs: &self.outputs,
            deadline,
            mode,
        };
        let started = (self.now)();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.executor.run(run)));
        let elapsed = (self.now)().saturating_duration_since(started);
        match outcome {
            Ok(Ok(outputs)) => Ok((outputs, elapsed)),
            Ok(Err(error)) if error.kind() == Kind::DeadlineExceeded => Err(Failure::TooLong),
            Ok(Err(error)) => {
                // What follows the first line says where in the graph.
                let reason = error.message().lines().next().unwrap_or_default();
                Err(Failure::Refused(reason.to_owned()))
            }
            Err(_panic) => Err(Failure::Refused("the run panicked".to_owned())),
        }
    }
}
