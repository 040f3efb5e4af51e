//! Tensors across the line: `WireTensor` tuples of Python to [`Tensor`]s and back.

use bytes::Bytes;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use tensor::{DType, Data, Shape, Tensor};

use crate::error::invalid_argument;

/// Tensors with their names, in order.
pub(crate) type NamedTensors = Vec<(String, Tensor)>;

/// Reads a sequence of `WireTensor`; the elements are copied, so that numpy may change
/// its array while the request is under way.
pub(crate) fn tensors_from_python(inputs: &Bound<'_, PyAny>) -> PyResult<NamedTensors> {
    inputs
        .try_iter()?
        .map(|input| tensor_from_python(&input?))
        .collect()
}

fn tensor_from_python(input: &Bound<'_, PyAny>) -> PyResult<(String, Tensor)> {
    let (name, number, dims, elements): (String, i32, Vec<i64>, Bound<'_, PyAny>) =
        input.extract()?;
    let refuse = |why: &str| invalid_argument(&format!("tensor {name:?}: {why}"));
    let dtype = DType::from_number(number)
        .ok_or_else(|| refuse(&format!("no element type has the number {number}")))?;
    let shape = Shape::from_signed(dims.iter().copied())
        .ok_or_else(|| refuse(&format!("{dims:?} is not a shape")))?;
    let tensor = if dtype == DType::String {
        Tensor::strings(shape, strings_from_python(elements.cast::<PyList>()?)?)
    } else {
        let array: PyReadonlyArray1<'_, u8> = elements.extract()?;
        Tensor::fixed(dtype, shape, Bytes::copy_from_slice(array.as_slice()?))
    };
    let tensor = tensor.map_err(|error| refuse(&error.to_string()))?;
    Ok((name, tensor))
}

/// Copies the strings into one buffer that all of them are views of: one allocation
/// instead of one a string.
fn strings_from_python(list: &Bound<'_, PyList>) -> PyResult<Vec<Bytes>> {
    let mut buffer = Vec::new();
    let mut ends = Vec::with_capacity(list.len());
    for item in list {
        buffer.extend_from_slice(item.cast::<PyBytes>()?.as_bytes());
        ends.push(buffer.len());
    }
    let buffer = Bytes::from(buffer);
    let mut start = 0;
    let views = ends.into_iter().map(|end| {
        let view = buffer.slice(start..end);
        start = end;
        view
    });
    Ok(views.collect())
}

/// A tensor whose elements no longer depend on a receive buffer, made without the
/// interpreter lock.
pub(crate) struct OwnedTensor {
    name: String,
    dtype: DType,
    shape: Shape,
    elements: Elements,
}

enum Elements {
    Fixed(Vec<u8>),
    Strings(Vec<Bytes>),
}

impl OwnedTensor {
    /// Copies what must be copied.
    pub(crate) fn new((name, tensor): (String, Tensor)) -> Self {
        let (dtype, shape, data) = tensor.into_parts();
        Self {
            name,
            dtype,
            shape,
            elements: match data {
                // numpy takes the vector over: this is the one copy on the way out.
                Data::Fixed(bytes) => Elements::Fixed(bytes.into()),
                Data::Strings(strings) => Elements::Strings(strings),
            },
        }
    }

    /// As a `WireTensor`.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let shape = PyTuple::new(py, self.shape.dims())?;
        let elements = match self.elements {
            Elements::Fixed(bytes) => PyArray1::from_vec(py, bytes).into_any(),
            Elements::Strings(strings) => {
                PyList::new(py, strings.iter().map(|string| PyBytes::new(py, string)))?.into_any()
            }
        };
        (self.name, self.dtype.number(), shape, elements)
            .into_pyobject(py)
            .map(Bound::into_any)
    }
}

/// A list of `WireTensor`.
pub(crate) fn tensors_into_python(
    py: Python<'_>,
    tensors: Vec<OwnedTensor>,
) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for tensor in tensors {
        list.append(tensor.into_python(py)?)?;
    }
    Ok(list)
}
