//! A tensor: an element type, a shape, and elements that agree with both.

use bytes::Bytes;

use crate::{DType, Shape};

/// What TensorFlow keeps of a string besides its bytes.
pub const STRING_HANDLE_BYTES: usize = 24;

/// A tensor's elements, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Elements of a fixed size, little-endian, of any alignment; often a view
    /// of a receive buffer or of TensorFlow's own output.
    Fixed(Bytes),
    /// One byte string an element.
    Strings(Vec<Bytes>),
}

/// An element type, a shape, and elements; cheap to clone (the elements are shared).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    dtype: DType,
    shape: Shape,
    data: Data,
}

/// Why elements and shape do not make a tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The elements' length is not what dtype and shape need.
    #[error("{dtype} tensor of shape {shape} needs {wanted} {unit}, got {got}")]
    Length {
        /// The tensor's element type.
        dtype: DType,
        /// The tensor's shape.
        shape: Shape,
        /// What dtype and shape need.
        wanted: usize,
        /// What there is.
        got: usize,
        /// `bytes` or `strings`.
        unit: &'static str,
    },
    /// Strings for a numeric type, or bytes for strings.
    #[error("{0} elements given in the wrong form")]
    Form(DType),
}

impl Tensor {
    /// A tensor of fixed-size elements: `bytes` is row-major, little-endian and
    /// exactly `shape.elements() * dtype.size()` long.
    pub fn fixed(dtype: DType, shape: Shape, bytes: Bytes) -> Result<Self, TensorError> {
        let Some(size) = dtype.size() else {
            return Err(TensorError::Form(dtype));
        };
        // A product that overflows becomes a length that `bytes` cannot have.
        let wanted = shape.elements().saturating_mul(size);
        if bytes.len() != wanted {
            let got = bytes.len();
            return Err(TensorError::Length {
                dtype,
                shape,
                wanted,
                got,
                unit: "bytes",
            });
        }
        Ok(Self {
            dtype,
            shape,
            data: Data::Fixed(bytes),
        })
    }

    /// A string tensor, one entry of `strings` an element.
    pub fn strings(shape: Shape, strings: Vec<Bytes>) -> Result<Self, TensorError> {
        if strings.len() != shape.elements() {
            return Err(TensorError::Length {
                dtype: DType::String,
                wanted: shape.elements(),
                got: strings.len(),
                shape,
                unit: "strings",
            });
        }
        Ok(Self {
            dtype: DType::String,
            shape,
            data: Data::Strings(strings),
        })
    }

    /// The same elements in another shape of as many elements.
    pub fn reshaped(self, shape: Shape) -> Result<Self, TensorError> {
        match self.data {
            Data::Fixed(bytes) => Self::fixed(self.dtype, shape, bytes),
            Data::Strings(strings) => Self::strings(shape, strings),
        }
    }

    /// Bytes that its elements are counted as: a string's own, and what finds them again.
    pub fn weight(&self) -> usize {
        match &self.data {
            Data::Fixed(bytes) => bytes.len(),
            Data::Strings(strings) => strings
                .iter()
                .map(|string| string.len() + STRING_HANDLE_BYTES)
                .sum(),
        }
    }

    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The parts, for whoever takes the elements over.
    pub fn into_parts(self) -> (DType, Shape, Data) {
        (self.dtype, self.shape, self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::{Tensor, TensorError};
    use crate::{DType, Shape};
    use bytes::Bytes;

    #[test]
    fn length_must_agree() {
        let shape = Shape::new(&[2, 3]).unwrap();
        assert!(Tensor::fixed(DType::Int16, shape.clone(), vec![0; 12].into()).is_ok());
        let error = Tensor::fixed(DType::Int16, shape.clone(), vec![0; 11].into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "int16 tensor of shape [2,3] needs 12 bytes, got 11"
        );
        assert!(Tensor::strings(shape, vec![Bytes::new(); 5]).is_err());
    }

    #[test]
    fn form_must_agree() {
        let error = Tensor::fixed(DType::String, Shape::scalar(), Bytes::new()).unwrap_err();
        assert_eq!(error, TensorError::Form(DType::String));
    }
}
