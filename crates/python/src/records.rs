//! Recorded requests, as Python reads and writes them.

use std::fs::File;
use std::io::{BufReader, Read, Take};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use engine::{Kind, ServeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use wire::predict::decode_response;
use wire::warmup::{Records, put_record};

use crate::error::serve_error;
use crate::exit_gate;
use crate::tensors::{OwnedTensor, tensors_into_python};

/// The records that a `TFRecord` file has now, in order.
#[pyclass(frozen, module = "tensorwire._core")]
pub(crate) struct RecordReader(Mutex<Records<BufReader<Take<File>>>>);

#[pymethods]
impl RecordReader {
    #[new]
    fn new(path: &str) -> PyResult<Self> {
        // Not what is added later: a server may log what it is sent of its own log.
        let opened = File::open(path).and_then(|file| {
            let about = file.metadata()?;
            let most = if about.is_file() {
                about.len()
            } else {
                u64::MAX
            };
            Ok(file.take(most))
        });
        let file = opened.map_err(|error| {
            let message = format!("{path} can't be read: {error}");
            serve_error(ServeError::failed_precondition(message))
        })?;
        Ok(Self(Mutex::new(Records::of(BufReader::new(file)))))
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let record = exit_gate::detach(py, || {
            let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            records.next().transpose()
        });
        let record = record
            .map_err(|error| serve_error(ServeError::new(Kind::DataLoss, error.to_string())))?;
        Ok(record.map(|record| PyBytes::new(py, &record)))
    }
}

/// A record as it stands in a `TFRecord` file.
#[pyfunction]
pub(crate) fn frame_record<'py>(py: Python<'py>, record: &[u8]) -> Bound<'py, PyBytes> {
    let mut framed = Vec::with_capacity(record.len() + 16);
    put_record(&mut framed, |buffer| buffer.extend_from_slice(record));
    PyBytes::new(py, &framed)
}

/// The version and the tensors of an encoded `PredictResponse`.
#[pyfunction]
pub(crate) fn decode_predict_reply<'py>(
    py: Python<'py>,
    message: &[u8],
) -> PyResult<(Option<i64>, Bound<'py, PyList>)> {
    let message = Bytes::copy_from_slice(message);
    // A damaged file may declare tensors of any size in a few bytes.
    let limit = message.len().saturating_mul(16).max(64 << 20);
    let reply = decode_response(&message, limit)
        .map_err(|error| serve_error(ServeError::new(Kind::DataLoss, error.to_string())))?;
    let tensors = reply.outputs.into_iter().map(OwnedTensor::new).collect();
    Ok((reply.version, tensors_into_python(py, tensors)?))
}
