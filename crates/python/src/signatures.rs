//! Signatures as the plain tuples that `_core.pyi` calls `SignatureTuple`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use wire::signatures::{SignatureDescription, TensorDescription};

/// A list of `SignatureTuple`.
pub(crate) fn signature_tuples(
    py: Python<'_>,
    signatures: Vec<SignatureDescription>,
) -> PyResult<Vec<Bound<'_, PyTuple>>> {
    signatures
        .into_iter()
        .map(|signature| signature_tuple(py, signature))
        .collect()
}

fn signature_tuple(
    py: Python<'_>,
    signature: SignatureDescription,
) -> PyResult<Bound<'_, PyTuple>> {
    (
        signature.name,
        signature.method_name,
        tensor_tuples(py, signature.inputs)?,
        tensor_tuples(py, signature.outputs)?,
        signature.defaults,
    )
        .into_pyobject(py)
}

fn tensor_tuples(
    py: Python<'_>,
    tensors: Vec<TensorDescription>,
) -> PyResult<Vec<Bound<'_, PyTuple>>> {
    let tuple = |tensor: TensorDescription| {
        let shape = tensor
            .shape
            .map(|sizes| PyTuple::new(py, sizes))
            .transpose()?;
        (tensor.alias, tensor.tensor_name, tensor.dtype, shape).into_pyobject(py)
    };
    tensors.into_iter().map(tuple).collect()
}
