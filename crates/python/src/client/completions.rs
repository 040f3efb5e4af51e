//! Hands results of calls that nobody waits for to Python: one thread takes them as
//! they come, as many as there are each time it has the interpreter lock, so that the
//! thread which moves the bytes never waits for that lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use client::{ClientError, PerProcess};
use pyo3::prelude::*;

use super::native_error;
use super::reply::OwnedReply;
use crate::exit_gate;

/// A result on its way to the `done` function of the call.
pub(super) struct Completion {
    pub(super) done: Py<PyAny>,
    pub(super) result: Option<Result<OwnedReply, ClientError>>,
    /// Set and read under the interpreter lock alone.
    pub(super) cancelled: Arc<AtomicBool>,
}

static COMPLETIONS: PerProcess<Sender<Completion>> = PerProcess::new();

/// Queues a result. If the thread for it can't be started, the result is handed over
/// from here.
pub(super) fn complete(completion: Completion) {
    let started = COMPLETIONS.get_or_try_make(|| {
        let (sender, receiver) = channel();
        thread::Builder::new()
            .name("tensorwire-done".to_owned())
            .spawn(move || deliver_all(&receiver))
            .map(|_| sender)
    });
    let left = match started {
        Ok(sender) => sender.send(completion).err().map(|error| error.0),
        Err(_) => Some(completion),
    };
    if let Some(completion) = left {
        exit_gate::attach(|py| completion.deliver(py));
    }
}

fn deliver_all(receiver: &Receiver<Completion>) {
    while let Ok(first) = receiver.recv() {
        let attached = exit_gate::attach(|py| {
            first.deliver(py);
            while let Ok(next) = receiver.try_recv() {
                next.deliver(py);
            }
        });
        if attached.is_none() {
            // The interpreter is ending, and with it everybody who could want a result.
            return;
        }
    }
}

impl Completion {
    fn deliver(self, py: Python<'_>) {
        if self.cancelled.load(Ordering::Relaxed) {
            return;
        }
        let arguments = match self.result {
            Some(Ok(reply)) => reply.into_python(py).map(|reply| (Some(reply), None)),
            Some(Err(error)) => Ok((None, Some(native_error(&error)))),
            None => Ok((None, Some(lost()))),
        };
        // A reply that can't become Python's values is an error of the call.
        let arguments = arguments.unwrap_or_else(|error| (None, Some(error)));
        if let Err(error) = self.done.call1(py, arguments) {
            error.write_unraisable(py, Some(self.done.bind(py)));
        }
    }
}

fn lost() -> PyErr {
    crate::error::native_error("INTERNAL", "the client failed while it made the call", "")
}
