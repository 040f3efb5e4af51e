//! `Server`: the listener, seen from Python.

use std::sync::Arc;
use std::time::Duration;

use engine::ServeError;
use frontend::{ServerOptions, TlsOptions};
use pyo3::prelude::*;

use crate::control::Command;
use crate::engine::Engine;
use crate::error::{invalid_argument, serve_error};
use crate::exit_gate;
use crate::of_this_process::OfThisProcess;

/// The listener over an engine. Listens from the moment it is made.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Server(OfThisProcess<frontend::Server>);

#[pymethods]
impl Server {
    #[new]
    fn new(py: Python<'_>, engine: &Engine, options: &str) -> PyResult<Self> {
        let options: ServerOptions =
            serde_json::from_str(options).map_err(|e| invalid_argument(&e.to_string()))?;
        let engine = Arc::clone(engine.models().map_err(serve_error)?);
        exit_gate::detach(py, || frontend::Server::start(engine, &options))
            .map(|server| Self(OfThisProcess::new(server)))
            .map_err(|error| serve_error(ServeError::unavailable(error.to_string())))
    }

    #[getter]
    fn ports(&self) -> PyResult<Vec<u16>> {
        let server = self.0.get().map_err(serve_error)?;
        Ok(server.ports().to_vec())
    }

    /// Another certificate and key for the connections to come.
    fn renew_tls(&self, py: Python<'_>, options: &str) -> PyResult<()> {
        let options: TlsOptions =
            serde_json::from_str(options).map_err(|e| invalid_argument(&e.to_string()))?;
        let server = self.0.get().map_err(serve_error)?;
        exit_gate::detach(py, || server.renew_tls(&options))
            .map_err(|error| invalid_argument(&error.to_string()))
    }

    fn next_command(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<Command>> {
        exit_gate::stop_if_closed(py);
        let server = self.0.get().map_err(serve_error)?;
        let timeout = Duration::try_from_secs_f64(timeout.max(0.0)).unwrap_or(Duration::MAX);
        let command = exit_gate::detach(py, || server.next_command(timeout));
        Ok(command.map(Command::new))
    }

    fn stop(&self, py: Python<'_>, grace: f64) -> bool {
        let grace = Duration::try_from_secs_f64(grace.max(0.0)).unwrap_or(Duration::MAX);
        // A fork of the server's process has nothing to stop.
        let Ok(server) = self.0.get() else {
            return true;
        };
        exit_gate::detach(py, || server.stop(grace))
    }
}
