//! `Server`: the listener, seen from Python.

use std::sync::Arc;
use std::time::Duration;

use engine::ServeError;
use frontend::ServerOptions;
use pyo3::prelude::*;

use crate::engine::Engine;
use crate::error::{invalid_argument, serve_error};
use crate::exit_gate;

/// The listener over an engine. Listens from the moment it is made.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Server(frontend::Server);

#[pymethods]
impl Server {
    #[new]
    fn new(py: Python<'_>, engine: &Engine, options: &str) -> PyResult<Self> {
        let options: ServerOptions =
            serde_json::from_str(options).map_err(|e| invalid_argument(&e.to_string()))?;
        let engine = Arc::clone(&engine.models);
        exit_gate::detach(py, || frontend::Server::start(engine, &options))
            .map(Self)
            .map_err(|error| serve_error(ServeError::unavailable(error.to_string())))
    }

    #[getter]
    fn port(&self) -> u16 {
        self.0.address().port()
    }

    fn stop(&self, py: Python<'_>, grace: f64) -> bool {
        let grace = Duration::try_from_secs_f64(grace.max(0.0)).unwrap_or(Duration::MAX);
        exit_gate::detach(py, || self.0.stop(grace))
    }
}

impl Drop for Server {
    /// Stops without the interpreter lock: the threads that it waits for may want it,
    /// to log.
    fn drop(&mut self) {
        Python::try_attach(|py| py.detach(|| self.0.stop(Duration::ZERO)));
    }
}
