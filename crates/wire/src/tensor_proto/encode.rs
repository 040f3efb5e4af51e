//! Tensor to `TensorProto`: measured first, then written once, front to back.

use bytes::{BufMut, Bytes};
use prost::encoding::{encode_varint, encoded_len_varint};
use tensor::{DType, Data, Tensor};

use super::fields::{self, Form};
use crate::Sink;
use crate::protobuf::{len_of_bytes, len_of_varint, put_bytes_header, put_varint};
use crate::segments::is_shared;

/// How a tensor's elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// In `float_val` and its like, every element: what TensorFlow Serving answers.
    TypedFields,
    /// In `tensor_content`: shorter and faster for all but floats. Strings still go
    /// into `string_val`, the only form that every reader understands.
    TensorContent,
}

/// The bytes that [`write_tensor_proto`] writes.
pub fn tensor_proto_len(tensor: &Tensor, encoding: Encoding) -> usize {
    Layout::of(tensor, encoding).len()
}

/// Writes `tensor` as a `TensorProto`: exactly [`tensor_proto_len`] bytes, for which
/// `buffer` must have room.
pub fn write_tensor_proto(tensor: &Tensor, encoding: Encoding, buffer: &mut impl BufMut) {
    Layout::of(tensor, encoding).write(buffer);
}

/// A tensor and the lengths of its parts, counted once for both length and writing.
pub(crate) struct Layout<'a> {
    tensor: &'a Tensor,
    /// Of the `TensorShapeProto`.
    shape_len: usize,
    values: ValuesLayout<'a>,
    len: usize,
}

enum ValuesLayout<'a> {
    /// No elements, no field.
    None,
    /// The elements' own bytes as one field.
    Raw {
        number: u32,
        bytes: &'a Bytes,
    },
    /// A packed run of varints, `run_len` bytes long.
    Varints {
        number: u32,
        bytes: &'a [u8],
        run_len: usize,
    },
    Strings(&'a [Bytes]),
}

impl<'a> Layout<'a> {
    pub(crate) fn of(tensor: &'a Tensor, encoding: Encoding) -> Self {
        let dims = tensor.shape().dims();
        let shape_len = dims
            .iter()
            .map(|size| len_of_bytes(fields::DIM, dim_len(*size)))
            .sum();
        let values = ValuesLayout::of(tensor, encoding);
        let len = len_of_varint(fields::DTYPE, tensor.dtype().number() as u64)
            + len_of_bytes(fields::SHAPE, shape_len)
            + values.len();
        Self {
            tensor,
            shape_len,
            values,
            len,
        }
    }

    /// Of the whole message, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Of the part of it that [`crate::Segments`] shares.
    pub(crate) fn shared_len(&self) -> usize {
        match self.values {
            ValuesLayout::Raw { bytes, .. } if is_shared(bytes.len()) => bytes.len(),
            _ => 0,
        }
    }

    pub(crate) fn write(&self, sink: &mut impl Sink) {
        let buffer = sink.buffer();
        let dtype = self.tensor.dtype();
        put_varint(fields::DTYPE, dtype.number() as u64, buffer);
        // Also for a scalar, whose shape is an empty message: without it there is none.
        put_bytes_header(fields::SHAPE, self.shape_len, buffer);
        for size in self.tensor.shape().dims() {
            put_bytes_header(fields::DIM, dim_len(*size), buffer);
            put_varint(fields::DIM_SIZE, *size as u64, buffer);
        }
        match self.values {
            ValuesLayout::None => {}
            ValuesLayout::Raw { number, bytes } => {
                put_bytes_header(number, bytes.len(), buffer);
                sink.put_shared(bytes);
            }
            ValuesLayout::Varints {
                number,
                bytes,
                run_len,
            } => {
                put_bytes_header(number, run_len, buffer);
                let mut run = Run::into(buffer);
                each_varint(dtype, bytes, |value| run.push(value));
                run.flush();
            }
            ValuesLayout::Strings(strings) => {
                for string in strings {
                    put_bytes_header(fields::STRING, string.len(), buffer);
                    buffer.put_slice(string);
                }
            }
        }
    }
}

impl<'a> ValuesLayout<'a> {
    fn of(tensor: &'a Tensor, encoding: Encoding) -> Self {
        let dtype = tensor.dtype();
        let bytes = match tensor.data() {
            Data::Strings(strings) => return Self::Strings(strings),
            Data::Fixed(bytes) if bytes.is_empty() => return Self::None,
            Data::Fixed(bytes) => bytes,
        };
        if encoding == Encoding::TensorContent {
            let number = fields::CONTENT;
            return Self::Raw { number, bytes };
        }
        let number = fields::number_of(dtype);
        // Packed floats are their bytes, little-endian as in memory.
        if fields::form_of(number) != Some(Form::Varint) {
            return Self::Raw { number, bytes };
        }
        let mut run_len = 0;
        each_varint(dtype, bytes, |value| run_len += encoded_len_varint(value));
        Self::Varints {
            number,
            bytes,
            run_len,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Raw { number, bytes } => len_of_bytes(*number, bytes.len()),
            Self::Varints {
                number, run_len, ..
            } => len_of_bytes(*number, *run_len),
            Self::Strings(strings) => strings
                .iter()
                .map(|string| len_of_bytes(fields::STRING, string.len()))
                .sum(),
        }
    }
}

/// Bytes of a `TensorShapeProto.Dim`.
fn dim_len(size: usize) -> usize {
    len_of_varint(fields::DIM_SIZE, size as u64)
}

/// The elements as the varints of their typed field, where negative numbers are
/// extended to 64 bits.
fn each_varint(dtype: DType, bytes: &[u8], push: impl FnMut(u64)) {
    fn each<const SIZE: usize>(
        bytes: &[u8],
        value: impl Fn([u8; SIZE]) -> u64,
        push: impl FnMut(u64),
    ) {
        let (elements, _) = bytes.as_chunks();
        elements.iter().copied().map(value).for_each(push);
    }
    match dtype {
        // A byte that isn't 1 is true all the same, and must not become several bytes.
        DType::Bool => each(bytes, |[byte]| u64::from(byte != 0), push),
        DType::Int8 => each(bytes, |b| i64::from(i8::from_le_bytes(b)) as u64, push),
        DType::Int16 => each(bytes, |b| i64::from(i16::from_le_bytes(b)) as u64, push),
        DType::Int32 => each(bytes, |b| i64::from(i32::from_le_bytes(b)) as u64, push),
        DType::UInt8 => each(bytes, |[byte]| u64::from(byte), push),
        DType::UInt16 | DType::Half | DType::BFloat16 => {
            each(bytes, |b| u64::from(u16::from_le_bytes(b)), push);
        }
        DType::UInt32 => each(bytes, |b| u64::from(u32::from_le_bytes(b)), push),
        DType::Int64 | DType::UInt64 => each(bytes, u64::from_le_bytes, push),
        // Written as their bytes, never as varints.
        DType::Float | DType::Double | DType::Complex64 | DType::Complex128 | DType::String => {}
    }
}

/// Bytes that a [`Run`] gathers.
const RUN_ROOM: usize = 256;
const LONGEST_VARINT: usize = 10;

/// Varints gathered on the stack: one call of the buffer for many of them.
struct Run<'a, B: BufMut> {
    buffer: &'a mut B,
    bytes: [u8; RUN_ROOM],
    filled: usize,
}

impl<'a, B: BufMut> Run<'a, B> {
    fn into(buffer: &'a mut B) -> Self {
        Self {
            buffer,
            bytes: [0; RUN_ROOM],
            filled: 0,
        }
    }

    #[inline]
    fn push(&mut self, value: u64) {
        if self.filled > RUN_ROOM - LONGEST_VARINT {
            self.flush();
        }
        if value < 0x80 {
            self.bytes[self.filled] = value as u8;
            self.filled += 1;
        } else {
            let mut room = &mut self.bytes[self.filled..];
            let before = room.len();
            encode_varint(value, &mut room);
            self.filled += before - room.len();
        }
    }

    fn flush(&mut self) {
        self.buffer.put_slice(&self.bytes[..self.filled]);
        self.filled = 0;
    }
}
