//! `Inbox`: calls of one event loop, and their answers. Calls that are started in the same
//! turn of the loop are sent together at its end. Answers gather without the interpreter
//! lock; the first of them makes a socket readable that the loop watches, and the loop
//! then takes all there are.

use std::io::{ErrorKind, Read, Write};
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::ClientError;
use pyo3::intern;
use pyo3::prelude::*;

use super::call::{Call, Job};
use super::channel::Channel;
use super::native_error;
use super::options::{Entries, call_options};
use super::reply::OwnedReply;
use super::request::Request;
use crate::exit_gate;

/// What one event loop sends and gets.
#[pyclass(frozen, weakref, module = "tensorwire._core")]
pub(crate) struct Inbox {
    mail: Arc<Mail>,
    readable: UnixStream,
    /// Started in this turn of the loop.
    outgoing: Mutex<Vec<Job>>,
}

/// Where answers gather.
struct Mail {
    answers: Mutex<Vec<Answered>>,
    bell: UnixStream,
}

struct Answered {
    future: Py<PyAny>,
    result: Option<Result<OwnedReply, ClientError>>,
}

#[pymethods]
impl Inbox {
    #[new]
    fn new() -> PyResult<Self> {
        let (bell, readable) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        readable.set_nonblocking(true)?;
        Ok(Self {
            mail: Arc::new(Mail {
                answers: Mutex::new(Vec::new()),
                bell,
            }),
            readable,
            outgoing: Mutex::new(Vec::new()),
        })
    }

    /// The socket that the loop is to watch.
    fn fileno(&self) -> i32 {
        self.readable.as_raw_fd()
    }

    /// Begins a call at the end of the loop's turn.
    fn start(
        slf: &Bound<'_, Self>,
        event_loop: &Bound<'_, PyAny>,
        channel: &Channel,
        request: &Request,
        timeout: Option<f64>,
        metadata: Entries,
        wait_for_ready: bool,
    ) -> PyResult<(Py<PyAny>, Call)> {
        let py = slf.py();
        exit_gate::stop_if_closed(py);
        let options = call_options(timeout, metadata, wait_for_ready)?;
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let (job, call) = Job::new(
            Arc::clone(&channel.0),
            (request.request.clone(), request.form.clone()),
            options,
            Answer::new(future.clone().unbind(), &slf.get().mail),
        );
        let first = {
            let mut outgoing = lock(&slf.get().outgoing);
            outgoing.push(job);
            outgoing.len() == 1
        };
        if first {
            let flush = slf.getattr(intern!(py, "flush"))?;
            event_loop.call_method1(intern!(py, "call_soon"), (flush,))?;
        }
        Ok((future.unbind(), call))
    }

    /// Sends what was started.
    fn flush(&self) -> PyResult<()> {
        let jobs = mem::take(&mut *lock(&self.outgoing));
        client::spawn(async move { jobs.into_iter().for_each(Job::begin) })
            .map(drop)
            .map_err(|error| native_error(&error))
    }

    /// Gives the futures their results.
    fn deliver(&self, py: Python<'_>) {
        self.hush();
        let answers = mem::take(&mut *lock(&self.mail.answers));
        for answer in answers {
            let future = answer.future.clone_ref(py);
            if let Err(error) = answer.deliver(py) {
                error.write_unraisable(py, Some(future.bind(py)));
            }
        }
    }
}

impl Inbox {
    /// Before the answers are taken: whoever comes after rings again.
    fn hush(&self) {
        let mut rings = [0; 64];
        while matches!((&self.readable).read(&mut rings), Ok(64)) {}
    }
}

impl Mail {
    fn add(&self, answered: Answered) {
        let first = {
            let mut answers = lock(&self.answers);
            answers.push(answered);
            answers.len() == 1
        };
        if first {
            self.ring();
        }
    }

    /// A bell that can't be rung rings already, or its loop is gone.
    fn ring(&self) {
        while let Err(error) = (&self.bell).write(&[1])
            && error.kind() == ErrorKind::Interrupted
        {}
    }
}

impl Answered {
    fn deliver(self, py: Python<'_>) -> PyResult<()> {
        let future = self.future.bind(py);
        // Cancelled, and the call not yet told.
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        let result = match self.result {
            // A reply that can't become Python's values is an error of the call.
            Some(Ok(reply)) => reply.into_python(py),
            Some(Err(error)) => Err(native_error(&error)),
            None => Err(lost()),
        };
        match result {
            Ok(reply) => future.call_method1(intern!(py, "set_result"), (reply,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error,))?,
        };
        Ok(())
    }
}

/// Answers a future once, however the task of its call ends; a panic is an answer too.
pub(super) struct Answer {
    future: Option<Py<PyAny>>,
    mail: Arc<Mail>,
}

impl Answer {
    fn new(future: Py<PyAny>, mail: &Arc<Mail>) -> Self {
        Self {
            future: Some(future),
            mail: Arc::clone(mail),
        }
    }

    pub(super) fn give(mut self, result: Result<OwnedReply, ClientError>) {
        self.send(Some(result));
    }

    fn send(&mut self, result: Option<Result<OwnedReply, ClientError>>) {
        if let Some(future) = self.future.take() {
            self.mail.add(Answered { future, result });
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.send(None);
    }
}

fn lost() -> PyErr {
    crate::error::native_error("INTERNAL", "the client failed while it made the call", "")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
