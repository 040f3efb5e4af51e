//! From a request's tensors to what a run is fed with: the one copy between the
//! receive buffer and TensorFlow.

use bytes::Bytes;
use tensor::{AlignedBuffer, DType, Data, Shape, Tensor};

/// The elements of a [`Feed`].
#[derive(Debug)]
pub enum FeedData {
    /// Aligned for TensorFlow to take over as it is.
    Fixed(AlignedBuffer),
    /// Byte strings; copied into TensorFlow's own string type by the executor.
    Strings(Vec<Bytes>),
}

/// A tensor in the form a run takes over.
#[derive(Debug)]
pub struct Feed {
    /// Element type.
    pub dtype: DType,
    /// Full shape.
    pub shape: Shape,
    /// The elements.
    pub data: FeedData,
}

impl Feed {
    /// Copies one request's tensor into a buffer of its own.
    pub(crate) fn from_tensor(tensor: Tensor) -> Self {
        let (dtype, shape, data) = tensor.into_parts();
        let data = match data {
            Data::Fixed(bytes) => {
                let mut buffer = AlignedBuffer::with_capacity(bytes.len());
                buffer.extend(&bytes);
                FeedData::Fixed(buffer)
            }
            Data::Strings(strings) => FeedData::Strings(strings),
        };
        Self { dtype, shape, data }
    }
}
