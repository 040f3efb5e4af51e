//! `TensorProto` to tensor. Two passes: the first finds element type, shape and
//! `tensor_content` wherever they stand, the second, if it is needed at all, the
//! values of the one typed field that counts.

use bytes::Bytes;
use smallvec::SmallVec;
use tensor::{DType, Data, Shape, Tensor, TensorError};

use super::fields::{self, Form};
use crate::protobuf::{Fields, Malformed, Value, check_varints, take_varint, text, view};

/// Why a `TensorProto` is no tensor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TensorProtoError {
    /// Not a protobuf message.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An element type that is not carried.
    #[error("element type {0} of tensorflow.DataType is not supported")]
    DType(i32),
    /// A dimension of unknown or negative size.
    #[error("a dimension has the negative size {0}")]
    NegativeDimension(i64),
    /// More dimensions than TensorFlow has.
    #[error("the shape has {0} dimensions, at most {max} are possible", max = Shape::MAX_RANK)]
    Rank(usize),
    /// More elements than can be counted.
    #[error("the number of elements, the product of the dimensions, overflows")]
    Overflow,
    /// `tensor_content` of another length than element type and shape need.
    #[error("tensor_content: {0}")]
    ContentLength(#[from] TensorError),
    /// `tensor_content` of bools with a byte that is neither 0 nor 1.
    #[error("tensor_content: a bool is {0}, not 0 or 1")]
    ContentBool(u8),
    /// `tensor_content` of strings that is not their lengths and then the strings.
    #[error("tensor_content: it is not the lengths and bytes of {0} strings")]
    ContentStrings(usize),
    /// More memory than the caller allows.
    #[error("a {dtype} tensor of shape {shape} takes more memory than the limit of {limit} bytes")]
    TooLarge {
        /// The tensor's element type.
        dtype: DType,
        /// The tensor's shape.
        shape: Shape,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// Reads the tensor that `encoded`, a part of `message`, describes. Elements stay
/// views of `message` where its bytes are the elements' own: `tensor_content`,
/// strings, and a packed run of floats that need no padding.
///
/// `limit` is the most bytes that the elements may take in memory, because a few
/// bytes of message can ask for any number of them; a string counts as its handle,
/// `size_of::<Bytes>()`. Nothing is allocated before that is checked.
///
/// As TensorFlow reads it: too few values repeat the last one, none are zeros (or
/// empty strings), too many are ignored; no shape is a scalar and `unknown_rank` is
/// not looked at; `tensor_content`, unless it is empty, wins over the typed fields and
/// must fit exactly; integers are cut to the bits of their type; a tensor without
/// elements has no values to check.
pub fn decode_tensor(
    message: &Bytes,
    encoded: &[u8],
    limit: usize,
) -> Result<Tensor, TensorProtoError> {
    let head = Head::read(encoded)?;
    let dtype = DType::from_number(head.dtype).ok_or(TensorProtoError::DType(head.dtype))?;
    let shape = head.shape()?;
    let elements = shape.elements();
    let handle = dtype.size().unwrap_or(size_of::<Bytes>());
    let Some(bytes) = elements.checked_mul(handle).filter(|bytes| *bytes <= limit) else {
        return Err(TensorProtoError::TooLarge {
            dtype,
            shape,
            limit,
        });
    };
    // With no elements wanted, whatever values there are are too many.
    let content = if elements == 0 { &[] } else { head.content };
    if dtype == DType::String {
        let strings = if content.is_empty() {
            string_values(message, encoded, elements)?
        } else {
            content_strings(message, content, elements)?
        };
        return Ok(Tensor::strings(shape, strings)?);
    }
    let values = if content.is_empty() {
        Values {
            message,
            encoded,
            number: fields::number_of(dtype),
            wanted: bytes,
        }
        .read(dtype)?
    } else {
        if dtype == DType::Bool
            && let Some(byte) = content.iter().find(|byte| **byte > 1)
        {
            return Err(TensorProtoError::ContentBool(*byte));
        }
        view(message, content)
    };
    Ok(Tensor::fixed(dtype, shape, values)?)
}

/// What `tensor` counts against the limit of [`decode_tensor`], in bytes: to be taken
/// off it before the next tensor of the same message.
pub fn tensor_memory(tensor: &Tensor) -> usize {
    match tensor.data() {
        Data::Fixed(bytes) => bytes.len(),
        Data::Strings(strings) => size_of_val(&strings[..]),
    }
}

/// What the first pass finds.
#[derive(Default)]
struct Head<'a> {
    dtype: i32,
    /// As far as a shape can have them; `rank` counts them all.
    dims: SmallVec<[i64; 8]>,
    rank: usize,
    content: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads the head, and checks of all fields what protobuf's own parser would.
    fn read(encoded: &'a [u8]) -> Result<Self, Malformed> {
        let mut head = Self::default();
        for field in Fields::of(encoded) {
            match field? {
                (fields::DTYPE, Value::Varint(number)) => head.dtype = number as i32,
                (fields::SHAPE, Value::Bytes(shape)) => head.add_shape(shape)?,
                (fields::CONTENT, Value::Bytes(content)) => head.content = content,
                (number, Value::Bytes(run)) => match fields::form_of(number) {
                    Some(Form::Fixed { word }) if !run.len().is_multiple_of(word) => {
                        return Err(Malformed("a packed field ends inside a value"));
                    }
                    Some(Form::Varint) => check_varints(run)?,
                    _ => {}
                },
                // Unpacked values, and what another wire type makes an unknown field.
                _ => {}
            }
        }
        Ok(head)
    }

    /// Adds the dimensions of a `TensorShapeProto`; given twice, protobuf joins them.
    fn add_shape(&mut self, shape: &[u8]) -> Result<(), Malformed> {
        for field in Fields::of(shape) {
            let (fields::DIM, Value::Bytes(dim)) = field? else {
                continue;
            };
            let mut size = 0;
            for field in Fields::of(dim) {
                match field? {
                    (fields::DIM_SIZE, Value::Varint(value)) => size = value as i64,
                    (fields::DIM_NAME, Value::Bytes(name)) => {
                        text(name)?;
                    }
                    _ => {}
                }
            }
            self.rank += 1;
            if self.rank <= Shape::MAX_RANK {
                self.dims.push(size);
            }
        }
        Ok(())
    }

    fn shape(&self) -> Result<Shape, TensorProtoError> {
        if self.rank > Shape::MAX_RANK {
            return Err(TensorProtoError::Rank(self.rank));
        }
        Shape::from_signed(self.dims.iter().copied()).ok_or_else(|| {
            let negative = self.dims.iter().find(|size| **size < 0);
            negative.map_or(TensorProtoError::Overflow, |size| {
                TensorProtoError::NegativeDimension(*size)
            })
        })
    }
}

/// The second pass: the values of one typed field, in elements of a fixed size.
struct Values<'a> {
    message: &'a Bytes,
    encoded: &'a [u8],
    /// The typed field.
    number: u32,
    /// Bytes; within the limit.
    wanted: usize,
}

impl Values<'_> {
    fn read(&self, dtype: DType) -> Result<Bytes, Malformed> {
        match dtype {
            DType::Bool => self.varints(|value| [u8::from(value != 0)]),
            DType::Int8 | DType::UInt8 => self.varints(|value| (value as u8).to_le_bytes()),
            DType::Int16 | DType::UInt16 | DType::Half | DType::BFloat16 => {
                self.varints(|value| (value as u16).to_le_bytes())
            }
            DType::Int32 | DType::UInt32 => self.varints(|value| (value as u32).to_le_bytes()),
            DType::Int64 | DType::UInt64 => self.varints(u64::to_le_bytes),
            DType::Float | DType::Complex64 | DType::Double | DType::Complex128 => {
                self.words(dtype.size().unwrap_or(1))
            }
            // Strings are read by `string_values`.
            DType::String => Ok(Bytes::new()),
        }
    }

    fn varints<const SIZE: usize>(
        &self,
        element: impl Fn(u64) -> [u8; SIZE],
    ) -> Result<Bytes, Malformed> {
        let mut values = Vec::with_capacity(self.wanted);
        for field in Fields::of(self.encoded) {
            let (number, value) = field?;
            if number != self.number {
                continue;
            }
            if values.len() == self.wanted {
                break;
            }
            match value {
                Value::Varint(value) => values.extend(element(value)),
                Value::Bytes(mut run) => {
                    while values.len() < self.wanted && !run.is_empty() {
                        values.extend(element(take_varint(&mut run)?));
                    }
                }
                _ => {}
            }
        }
        Ok(self.padded(values, SIZE))
    }

    /// Floats of any kind; `size` is that of an element, of one word or two.
    fn words(&self, size: usize) -> Result<Bytes, Malformed> {
        let mut values: Vec<u8> = Vec::new();
        for field in Fields::of(self.encoded) {
            let (number, value) = field?;
            if number != self.number {
                continue;
            }
            let room = self.wanted - values.len();
            let form = fields::form_of(number);
            match value {
                Value::Bytes(run) if values.is_empty() && run.len() >= room => {
                    return Ok(view(self.message, &run[..room]));
                }
                Value::Bytes(run) => values.extend(&run[..run.len().min(room)]),
                Value::Fixed { word, bits } if room > 0 && form == Some(Form::Fixed { word }) => {
                    values.extend(&bits.to_le_bytes()[..word]);
                }
                _ => {}
            }
        }
        Ok(self.padded(values, size))
    }

    /// Fills up with copies of the last whole element, or with zeros.
    fn padded(&self, mut values: Vec<u8>, size: usize) -> Bytes {
        // A complex number without its imaginary part is none.
        values.truncate(values.len() / size * size);
        if values.is_empty() {
            return vec![0; self.wanted].into();
        }
        let last = values.len() - size;
        values.reserve_exact(self.wanted - values.len());
        while values.len() < self.wanted {
            let copies = (values.len() - last).min(self.wanted - values.len());
            values.extend_from_within(last..last + copies);
        }
        values.into()
    }
}

fn string_values(
    message: &Bytes,
    encoded: &[u8],
    elements: usize,
) -> Result<Vec<Bytes>, Malformed> {
    let mut strings = Vec::with_capacity(elements);
    for field in Fields::of(encoded) {
        if strings.len() == elements {
            break;
        }
        if let (fields::STRING, Value::Bytes(string)) = field? {
            strings.push(view(message, string));
        }
    }
    let last = strings.last().cloned().unwrap_or_default();
    strings.resize(elements, last);
    Ok(strings)
}

/// Strings in `tensor_content`: all lengths as varints, then all bytes.
fn content_strings(
    message: &Bytes,
    content: &[u8],
    elements: usize,
) -> Result<Vec<Bytes>, TensorProtoError> {
    let wrong = || TensorProtoError::ContentStrings(elements);
    let mut lengths = content;
    let mut total: u64 = 0;
    for _ in 0..elements {
        let before = lengths.len();
        let length = take_varint(&mut lengths).map_err(|_| wrong())?;
        // TensorFlow writes and reads them as 32 bits.
        if before - lengths.len() > 5 || length > u64::from(u32::MAX) {
            return Err(wrong());
        }
        total += length;
    }
    let mut rest = lengths;
    if total != rest.len() as u64 {
        return Err(wrong());
    }
    lengths = content;
    let mut strings = Vec::with_capacity(elements);
    for _ in 0..elements {
        let length = take_varint(&mut lengths)? as usize;
        let (string, others) = rest.split_at_checked(length).ok_or_else(wrong)?;
        strings.push(view(message, string));
        rest = others;
    }
    Ok(strings)
}
