//! A dispatcher whose one runner the test holds up.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Puppet, PuppetModel, Seen};
use crate::respond::Outcome;
use crate::{Batching, Call, Clock, Dispatcher, EngineOptions, Limits, ServeError};

/// Far enough that a real clock never comes there; a paused one jumps to it when all
/// others wait.
pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn options() -> EngineOptions {
    EngineOptions {
        runner_threads: 1,
        limits: Limits::default(),
        default_timeout: None,
    }
}

pub(crate) fn dispatcher() -> Dispatcher {
    Dispatcher::new(&options()).unwrap()
}

pub(crate) fn limited(limits: Limits) -> Dispatcher {
    Dispatcher::new(&EngineOptions {
        limits,
        ..options()
    })
    .unwrap()
}

pub(crate) fn acting(
    act: impl Fn() -> Result<(), ServeError> + Send + Sync + 'static,
) -> PuppetModel {
    Puppet::default().acts(move |seen| {
        act()?;
        seen.echo()
    })
}

pub(crate) fn until(model: &PuppetModel, deadline: Instant) -> Call {
    model.rows_at(1, Clock::until(Some(deadline)))
}

/// A model that tells when a run begins, and waits for leave to end it.
pub(crate) struct Gated {
    pub(crate) model: PuppetModel,
    pub(crate) beginnings: Receiver<()>,
    pub(crate) leave: Sender<()>,
}

pub(crate) fn gated(batching: Batching) -> Gated {
    let (began, beginnings) = channel();
    let (leave, gate) = channel();
    let gate = Mutex::new(gate);
    let act = move |seen: &Seen| {
        began.send(()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        seen.echo()
    };
    let model = Puppet {
        batching,
        ..Puppet::default()
    };
    Gated {
        model: model.acts(act),
        beginnings,
        leave,
    }
}

impl Gated {
    /// Submits a request that keeps the only runner busy until `leave`.
    pub(crate) fn occupy(&self, dispatcher: &Dispatcher) -> oneshot::Receiver<Outcome> {
        let answer = submit(dispatcher, self.model.rows(1, 255));
        self.beginnings.recv().unwrap();
        answer
    }

    pub(crate) fn leave(&self, runs: usize) {
        (0..runs).for_each(|_| self.leave.send(()).unwrap());
    }
}

pub(crate) fn submit(dispatcher: &Dispatcher, mut call: Call) -> oneshot::Receiver<Outcome> {
    dispatcher.admit(&mut call).unwrap();
    dispatcher.submit(call).unwrap()
}

pub(crate) fn refused(dispatcher: &Dispatcher, mut call: Call) -> ServeError {
    dispatcher.admit(&mut call).unwrap_err()
}
