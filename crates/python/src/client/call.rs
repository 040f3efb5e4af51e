//! `Call`: a request under way.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use client::{CallOptions, ClientError};
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use super::completions::{Completion, complete};
use super::native_error;
use super::reply::OwnedReply;

/// A request under way, started by `Channel.start`.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Call {
    task: AbortHandle,
    cancelled: Arc<AtomicBool>,
    process: u32,
}

#[pymethods]
impl Call {
    /// Gives it up; `done` is then not called.
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        // In a child of fork the task is the parent's business.
        if self.process == process::id() {
            self.task.abort();
        }
    }
}

impl Call {
    /// Makes the call on the client's thread.
    pub(super) fn start(
        channel: Arc<client::Channel>,
        request: client::Request,
        options: CallOptions,
        done: Py<PyAny>,
    ) -> PyResult<Self> {
        let cancelled = Arc::new(AtomicBool::new(false));
        let answer = Answer {
            done: Some(done),
            cancelled: Arc::clone(&cancelled),
        };
        let task = client::spawn(async move {
            let result = channel.call(&request, &options).await;
            answer.give(result.map(OwnedReply::from));
        })
        .map_err(|error| native_error(&error))?;
        Ok(Self {
            task,
            cancelled,
            process: process::id(),
        })
    }
}

/// Answers the call once, however its task ends; a panic is an answer too.
struct Answer {
    done: Option<Py<PyAny>>,
    cancelled: Arc<AtomicBool>,
}

impl Answer {
    fn give(mut self, result: Result<OwnedReply, ClientError>) {
        self.send(Some(result));
    }

    fn send(&mut self, result: Option<Result<OwnedReply, ClientError>>) {
        if let Some(done) = self.done.take() {
            complete(Completion {
                done,
                result,
                cancelled: Arc::clone(&self.cancelled),
            });
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.send(None);
    }
}
