//! Against the generated messages, which prost reads and writes, and against what
//! TensorFlow 2.21's `tf.io.parse_tensor` gives for the same bytes.

mod cases;
mod random;

use bytes::Bytes;
use prost::Message;
use tensor::{DType, Data, Tensor};

use super::{Encoding, TensorProtoError, decode_tensor, tensor_proto_len, write_tensor_proto};
use crate::proto::tensorflow::{TensorProto, TensorShapeProto, tensor_shape_proto::Dim};

const LIMIT: usize = 1 << 20;

fn shape_proto(dims: &[i64]) -> TensorShapeProto {
    let dim = |size: &i64| Dim {
        size: *size,
        ..Dim::default()
    };
    TensorShapeProto {
        dim: dims.iter().map(dim).collect(),
        unknown_rank: false,
    }
}

fn proto(dtype: DType, dims: &[i64]) -> TensorProto {
    TensorProto {
        dtype: dtype.number(),
        tensor_shape: Some(shape_proto(dims)),
        ..TensorProto::default()
    }
}

fn decode(encoded: impl Into<Bytes>) -> Result<Tensor, TensorProtoError> {
    let message = encoded.into();
    decode_tensor(&message, &message, LIMIT)
}

fn decode_proto(proto: &TensorProto) -> Result<Tensor, TensorProtoError> {
    decode(proto.encode_to_vec())
}

/// The elements of a message that decodes to fixed-size ones.
fn elements(encoded: impl Into<Bytes>) -> Vec<u8> {
    match decode(encoded).unwrap().into_parts().2 {
        Data::Fixed(bytes) => bytes.to_vec(),
        Data::Strings(_) => panic!("strings"),
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A message with `bytes` after it, as if they were its last fields.
fn with(proto: &TensorProto, bytes: &[u8]) -> Vec<u8> {
    [&proto.encode_to_vec()[..], bytes].concat()
}

fn encode(tensor: &Tensor, encoding: Encoding) -> Bytes {
    let mut buffer = Vec::new();
    write_tensor_proto(tensor, encoding, &mut buffer);
    assert_eq!(buffer.len(), tensor_proto_len(tensor, encoding));
    buffer.into()
}
