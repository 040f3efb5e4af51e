//! Replies as Python's plain values.

use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::request::Form;
use crate::arrays::{OwnedArray, arrays_into_python};
use crate::signatures::signature_tuples;
use crate::tensors::{OwnedTensor, tensors_into_python};

/// A reply with all copies made that need no interpreter lock.
pub(super) enum OwnedReply {
    Predict(Option<i64>, Vec<OwnedTensor>),
    Arrays(Vec<OwnedArray>, Arc<[String]>),
    Other(client::Reply),
}

impl OwnedReply {
    pub(super) fn new(reply: client::Reply, form: &Form) -> Self {
        match (reply, form) {
            (client::Reply::Predict { version, outputs }, Form::Plain) => {
                let tensors = outputs.into_iter().map(OwnedTensor::new).collect();
                Self::Predict(version, tensors)
            }
            (client::Reply::Predict { outputs, .. }, Form::Arrays(wanted)) => {
                let arrays = outputs.into_iter().map(OwnedArray::new).collect();
                Self::Arrays(arrays, Arc::clone(wanted))
            }
            (other, _) => Self::Other(other),
        }
    }

    /// The value that `_core.pyi` promises for the kind of request.
    pub(super) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let reply = match self {
            Self::Predict(version, tensors) => {
                return (version, tensors_into_python(py, tensors)?).into_py_any(py);
            }
            Self::Arrays(arrays, wanted) => {
                let dict = arrays_into_python(py, arrays, &wanted)?;
                return Ok(dict.into_any().unbind());
            }
            Self::Other(reply) => reply,
        };
        match reply {
            client::Reply::Predict { .. } => Self::new(reply, &Form::Plain).into_python(py),
            client::Reply::Metadata {
                version,
                signatures,
            } => (version, signature_tuples(py, signatures)?).into_py_any(py),
            client::Reply::Status(versions) => versions
                .into_iter()
                .map(|status| (status.version, status.state, status.code, status.message))
                .collect::<Vec<_>>()
                .into_py_any(py),
            client::Reply::Text {
                prediction,
                error_message,
            } => (prediction, error_message).into_py_any(py),
            client::Reply::Health(state) => state.into_py_any(py),
            client::Reply::Encoded(message) => PyBytes::new(py, &message).into_py_any(py),
            client::Reply::HealthList(states) => states.into_py_any(py),
        }
    }
}
