//! `Channel`: connections to servers, and calls over them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use client::CallOptions;
use pyo3::prelude::*;
use tokio::time::timeout;

use super::native_error;
use super::options::{Entries, call_options, channel_options};
use super::reply::OwnedReply;
use super::request::Request;
use crate::exit_gate;

/// How long a waiting thread sleeps before it looks whether Ctrl-C was pressed: short
/// to a person, and rare enough to cost nothing.
const SIGNAL_CHECK: Duration = Duration::from_millis(100);

/// Connections to one or more servers; may be used from any thread.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct Channel(pub(super) Arc<client::Channel>);

#[pymethods]
impl Channel {
    #[new]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "PyO3 hands over what it has made"
    )]
    fn new(addresses: Vec<String>, options: &str) -> PyResult<Self> {
        client::Channel::new(&addresses, channel_options(options)?)
            .map(|channel| Self(Arc::new(channel)))
            .map_err(|error| native_error(&error))
    }

    /// Sends and waits.
    fn call(
        &self,
        py: Python<'_>,
        request: &Request,
        timeout: Option<f64>,
        metadata: Entries,
        wait_for_ready: bool,
    ) -> PyResult<Py<PyAny>> {
        exit_gate::stop_if_closed(py);
        let options = call_options(timeout, metadata, wait_for_ready)?;
        self.wait(py, request, &options)?.into_python(py)
    }

    /// Ends calls under way with CANCELLED and closes the connections.
    fn close(&self, py: Python<'_>) {
        exit_gate::detach(py, || self.0.close());
    }
}

impl Channel {
    fn wait(
        &self,
        py: Python<'_>,
        request: &Request,
        options: &CallOptions,
    ) -> PyResult<OwnedReply> {
        let mut call = pin!(self.0.call(&request.request, options));
        loop {
            let result = exit_gate::detach(py, || {
                let waited = async { timeout(SIGNAL_CHECK, &mut call).await.ok() };
                client::block_on(waited)?
                    .map(|result| result.map(|reply| OwnedReply::new(reply, &request.form)))
                    .transpose()
            });
            match result.map_err(|error| native_error(&error))? {
                Some(reply) => return Ok(reply),
                // An error leaves this function, which drops the call.
                None => py.check_signals()?,
            }
        }
    }
}
