//! `Call`: a request under way.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use client::CallOptions;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use super::inbox::Answer;
use super::reply::OwnedReply;
use super::request::Form;

/// A request under way, started by `Inbox.start`.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Call {
    state: Arc<CallState>,
    process: u32,
}

#[pymethods]
impl Call {
    /// Gives it up.
    fn cancel(&self) {
        // In a child of fork the task is the parent's business.
        if self.process == process::id() {
            self.state.cancel();
        }
    }
}

/// Whether it is wanted, and its task once there is one.
#[derive(Default)]
pub(super) struct CallState {
    cancelled: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl CallState {
    /// One of the two sides sees what the other has done before.
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn started(&self, task: AbortHandle) {
        let _ = self.task.set(task);
        if self.cancelled.load(Ordering::SeqCst)
            && let Some(task) = self.task.get()
        {
            task.abort();
        }
    }
}

/// A call that is to be made on the client's runtime.
pub(super) struct Job {
    channel: Arc<client::Channel>,
    request: client::Request,
    form: Form,
    options: CallOptions,
    answer: Answer,
    state: Arc<CallState>,
}

impl Job {
    pub(super) fn new(
        channel: Arc<client::Channel>,
        (request, form): (client::Request, Form),
        options: CallOptions,
        answer: Answer,
    ) -> (Self, Call) {
        let state = Arc::new(CallState::default());
        let call = Call {
            state: Arc::clone(&state),
            process: process::id(),
        };
        let job = Self {
            channel,
            request,
            form,
            options,
            answer,
            state,
        };
        (job, call)
    }

    /// Begins it; must run inside the client's runtime. Not if it was cancelled before:
    /// then nobody waits for the answer.
    pub(super) fn begin(self) {
        if self.state.cancelled.load(Ordering::SeqCst) {
            return;
        }
        let Self {
            channel,
            request,
            form,
            options,
            answer,
            state,
        } = self;
        let task = tokio::spawn(async move {
            let result = channel.call(&request, &options).await;
            answer.give(result.map(|reply| OwnedReply::new(reply, &form)));
        });
        state.started(task.abort_handle());
    }
}
