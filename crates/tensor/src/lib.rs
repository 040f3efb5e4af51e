//! What every other crate carries: element types, shapes, tensors, aligned buffers.
//! No thread, no I/O, no TensorFlow; plain values only.

mod dtype;
pub use dtype::DType;

mod shape;
pub use shape::Shape;

mod tensor;
pub use tensor::{Data, STRING_HANDLE_BYTES, Tensor, TensorError};

mod aligned;
pub use aligned::{ALIGNMENT, AlignedBuffer};
