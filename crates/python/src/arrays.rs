//! numpy arrays straight to tensors and back, for the common case: C order and an element
//! type that Rust has too. Everything else goes by `tensors.rs`, and through Python.

use bytes::Bytes;
use numpy::ndarray::{ArrayD, IxDyn};
use numpy::{
    PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tensor::{DType, Data, Shape, Tensor};

use crate::tensors::OwnedTensor;

/// Element types: TensorFlow's name, Rust's type, numpy's letter of the kind.
macro_rules! with_each_type {
    ($apply:ident) => {
        $apply! {
            Float f32: b'f', Double f64: b'f',
            Int8 i8: b'i', Int16 i16: b'i', Int32 i32: b'i', Int64 i64: b'i',
            UInt8 u8: b'u', UInt16 u16: b'u', UInt32 u32: b'u', UInt64 u64: b'u',
            Bool bool: b'b'
        }
    };
}

macro_rules! define_read {
    ($($dtype:ident $type:ty: $kind:literal),+) => {
        /// A copy of an array's elements; `None`: it is not of the common case.
        pub(crate) fn tensor_of(value: &Bound<'_, PyAny>) -> Option<Tensor> {
            // A subclass may mean something else, as a masked array does.
            let array = value.cast_exact::<PyUntypedArray>().ok()?;
            if !array.is_c_contiguous() || !array.is_aligned() {
                return None;
            }
            let dtype = array.dtype();
            let shape = Shape::new(array.shape())?;
            match (dtype.kind(), dtype.itemsize()) {
                $(($kind, size) if size == size_of::<$type>() => {
                    // Not of the type after all if its bytes are in another order.
                    let array = array.as_any().cast::<PyArrayDyn<$type>>().ok()?;
                    let elements = array.try_readonly().ok()?;
                    let bytes = bytemuck::cast_slice(elements.as_slice().ok()?);
                    Tensor::fixed(DType::$dtype, shape, Bytes::copy_from_slice(bytes)).ok()
                })+
                _ => None,
            }
        }
    };
}

with_each_type!(define_read);

/// An output that will be an array; made without the interpreter lock.
pub(crate) struct OwnedArray {
    name: String,
    elements: Elements,
}

macro_rules! define_write {
    ($($dtype:ident $type:ty: $kind:literal),+) => {
        enum Elements {
            $($dtype(ArrayD<$type>),)+
            /// Not of the common case: Python makes the array.
            Other(OwnedTensor),
        }

        impl Elements {
            fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                Ok(match self {
                    $(Self::$dtype(array) => PyArrayDyn::from_owned_array(py, array).into_any(),)+
                    Self::Other(tensor) => tensor.into_python(py)?,
                })
            }
        }
    };
}

with_each_type!(define_write);

impl Elements {
    fn new(name: &str, tensor: Tensor) -> Self {
        match Self::typed(&tensor) {
            Some(elements) => elements,
            None => Self::Other(OwnedTensor::new((name.to_owned(), tensor))),
        }
    }

    /// The one copy on the way out, which numpy takes over.
    fn typed(tensor: &Tensor) -> Option<Self> {
        let Data::Fixed(bytes) = tensor.data() else {
            return None;
        };
        let dims = tensor.shape().dims();
        Some(match tensor.dtype() {
            DType::Float => Self::Float(array(dims, collect(bytes))?),
            DType::Double => Self::Double(array(dims, collect(bytes))?),
            DType::Int8 => Self::Int8(array(dims, collect(bytes))?),
            DType::Int16 => Self::Int16(array(dims, collect(bytes))?),
            DType::Int32 => Self::Int32(array(dims, collect(bytes))?),
            DType::Int64 => Self::Int64(array(dims, collect(bytes))?),
            DType::UInt8 => Self::UInt8(array(dims, bytes.to_vec())?),
            DType::UInt16 => Self::UInt16(array(dims, collect(bytes))?),
            DType::UInt32 => Self::UInt32(array(dims, collect(bytes))?),
            DType::UInt64 => Self::UInt64(array(dims, collect(bytes))?),
            // Rust's bool has no other bytes than 0 and 1.
            DType::Bool => Self::Bool(array(dims, bytes.iter().map(|byte| *byte != 0).collect())?),
            _ => return None,
        })
    }
}

fn collect<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    bytemuck::pod_collect_to_vec(bytes)
}

fn array<T>(dims: &[usize], elements: Vec<T>) -> Option<ArrayD<T>> {
    ArrayD::from_shape_vec(IxDyn(dims), elements).ok()
}

impl OwnedArray {
    /// Copies what must be copied.
    pub(crate) fn new((name, tensor): (String, Tensor)) -> Self {
        let elements = Elements::new(&name, tensor);
        Self { name, elements }
    }
}

/// A dict of names to arrays, or to a `WireTensor` for what is not of the common case: in
/// the order of `wanted`, or if that is empty of the names.
pub(crate) fn arrays_into_python<'py>(
    py: Python<'py>,
    mut arrays: Vec<OwnedArray>,
    wanted: &[String],
) -> PyResult<Bound<'py, PyDict>> {
    if wanted.is_empty() {
        arrays.sort_by(|one, other| one.name.cmp(&other.name));
    } else {
        let place = |name: &str| wanted.iter().position(|other| other == name);
        arrays.retain(|array| place(&array.name).is_some());
        arrays.sort_by_key(|array| place(&array.name));
    }
    let dict = PyDict::new(py);
    for array in arrays {
        dict.set_item(array.name, array.elements.into_python(py)?)?;
    }
    Ok(dict)
}
