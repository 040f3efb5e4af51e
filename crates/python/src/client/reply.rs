//! Replies as Python's plain values.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::tensors::{OwnedTensor, tensors_into_python};

/// A reply with all copies made that need no interpreter lock.
pub(super) enum OwnedReply {
    Predict(Option<i64>, Vec<OwnedTensor>),
    Other(client::Reply),
}

impl From<client::Reply> for OwnedReply {
    fn from(reply: client::Reply) -> Self {
        match reply {
            client::Reply::Predict { version, outputs } => {
                let tensors = outputs.into_iter().map(OwnedTensor::new).collect();
                Self::Predict(version, tensors)
            }
            other => Self::Other(other),
        }
    }
}

impl OwnedReply {
    /// The value that `_core.pyi` promises for the kind of request.
    pub(super) fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let reply = match self {
            Self::Predict(version, tensors) => {
                return (version, tensors_into_python(py, tensors)?).into_py_any(py);
            }
            Self::Other(reply) => reply,
        };
        match reply {
            client::Reply::Predict { .. } => Self::from(reply).into_python(py),
            client::Reply::Metadata {
                version,
                signatures,
            } => {
                let signatures = signatures
                    .into_iter()
                    .map(|signature| signature_tuple(py, signature))
                    .collect::<PyResult<Vec<_>>>()?;
                (version, signatures).into_py_any(py)
            }
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
            client::Reply::HealthList(states) => states.into_py_any(py),
        }
    }
}

fn signature_tuple(
    py: Python<'_>,
    signature: client::SignatureReply,
) -> PyResult<Bound<'_, PyTuple>> {
    let specs = |specs: Vec<client::SpecReply>| {
        specs
            .into_iter()
            .map(|spec| spec_tuple(py, spec))
            .collect::<PyResult<Vec<_>>>()
    };
    (
        signature.name,
        signature.method_name,
        specs(signature.inputs)?,
        specs(signature.outputs)?,
        signature.defaults,
    )
        .into_pyobject(py)
}

fn spec_tuple(py: Python<'_>, spec: client::SpecReply) -> PyResult<Bound<'_, PyTuple>> {
    let shape = spec
        .shape
        .map(|sizes| PyTuple::new(py, sizes))
        .transpose()?;
    (spec.alias, spec.tensor_name, spec.dtype, shape).into_pyobject(py)
}
