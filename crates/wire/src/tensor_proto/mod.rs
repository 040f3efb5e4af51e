//! `tensorflow.TensorProto` to [`Tensor`](tensor::Tensor) and back, by hand: this is
//! the hot path. The rules are those of TensorFlow's own `Tensor::FromProto`.

mod decode;
pub use decode::{TensorProtoError, decode_tensor, tensor_memory};

mod fields;

mod encode;
pub(crate) use encode::Layout;
pub use encode::{Encoding, tensor_proto_len, write_tensor_proto};

#[cfg(test)]
mod tests;
