//! `Command`: a request to change the models, seen from Python.

use std::sync::{Mutex, PoisonError};

use engine::ServeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{kind_named, serve_error};

/// A request that Python is to answer; dropped, it answers UNAVAILABLE.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Command {
    #[pyo3(get)]
    method: &'static str,
    #[pyo3(get)]
    is_json: bool,
    waiting: Mutex<Option<frontend::Command>>,
}

#[pymethods]
impl Command {
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let command = self.lock();
        let command = command.as_ref().ok_or_else(answered)?;
        Ok(PyBytes::new(py, command.payload()))
    }

    fn answer(&self, payload: Vec<u8>) -> PyResult<()> {
        self.take()?.finish(Ok(payload.into()));
        Ok(())
    }

    fn fail(&self, code: &str, message: String) -> PyResult<()> {
        let error = ServeError::new(kind_named(code), message);
        self.take()?.finish(Err(error));
        Ok(())
    }
}

impl Command {
    pub(crate) fn new(command: frontend::Command) -> Self {
        Self {
            method: command.method(),
            is_json: command.is_json(),
            waiting: Mutex::new(Some(command)),
        }
    }

    fn take(&self) -> PyResult<frontend::Command> {
        self.lock().take().ok_or_else(answered)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<frontend::Command>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answered() -> PyErr {
    serve_error(ServeError::failed_precondition(
        "the command was answered before",
    ))
}
