//! The body of a predict reply.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smallvec::SmallVec;
use tensor::{DType, Data, Tensor};

use super::refusal::{Refusal, RestError, invalid};
use crate::text::numbers::{BFLOAT16, HALF};

/// What a string output's name ends in that is bytes rather than text.
const BYTES_SUFFIX: &str = "_bytes";

/// Most lists without elements that are written for one output: a shape can ask for
/// any number of them.
const MAX_EMPTY_LISTS: usize = 1 << 20;

/// Room for an element and its comma.
const ELEMENT_ROOM: usize = 12;

/// Writes `{"predictions": [...]}`: an entry for each row, which is the value of a single
/// output, or an object of the names of several. All outputs must have as many rows.
///
/// Floats have the fewest digits that their own precision needs; `NaN`, `Infinity` and
/// `-Infinity` stand bare. A string is `{"b64": "..."}` if its output's name ends in
/// `_bytes`, and also if it is not UTF-8, which no JSON string could hold.
pub fn write_rows(outputs: &[(&str, &Tensor)]) -> Result<Vec<u8>, RestError> {
    rows(outputs).map_err(Refusal::into_error)
}

/// Writes `{"outputs": ...}`: the value of a single output, or an object of the names of
/// several; values as [`write_rows`] writes them.
pub fn write_columns(outputs: &[(&str, &Tensor)]) -> Result<Vec<u8>, RestError> {
    columns(outputs).map_err(Refusal::into_error)
}

fn rows(outputs: &[(&str, &Tensor)]) -> Result<Vec<u8>, Refusal> {
    let mut sizes = outputs.iter().map(|(name, tensor)| {
        let size = tensor.shape().dims().first().copied();
        size.ok_or_else(|| invalid(format!("Tensor name: {name} has no shape information ")))
    });
    let rows = sizes.next().transpose()?.ok_or_else(no_outputs)?;
    for ((name, _), size) in outputs[1..].iter().zip(sizes) {
        let size = size?;
        if size != rows {
            return Err(invalid(format!(
                "Tensor name: {name} has inconsistent batch size: {size} expecting: {rows}"
            )));
        }
    }
    let mut text = begin("{\"predictions\":[", outputs);
    let mut writers = writers(outputs)?;
    for row in 0..rows {
        if row > 0 {
            text.push(b',');
        }
        if let [writer] = &mut writers[..] {
            writer.lists(&mut text, 1);
            continue;
        }
        named(&mut text, &mut writers, 1);
    }
    text.extend_from_slice(b"]}");
    Ok(text)
}

fn columns(outputs: &[(&str, &Tensor)]) -> Result<Vec<u8>, Refusal> {
    let mut text = begin("{\"outputs\":", outputs);
    let mut writers = writers(outputs)?;
    match &mut writers[..] {
        [] => return Err(no_outputs()),
        [writer] => writer.lists(&mut text, 0),
        several => named(&mut text, several, 0),
    }
    text.push(b'}');
    Ok(text)
}

fn no_outputs() -> Refusal {
    invalid("Cannot convert empty tensor map to JSON")
}

fn begin(beginning: &str, outputs: &[(&str, &Tensor)]) -> Vec<u8> {
    let room = |(name, tensor): &(&str, &Tensor)| {
        name.len() + tensor.shape().elements().saturating_mul(ELEMENT_ROOM)
    };
    let room = outputs.iter().map(room).fold(64, usize::saturating_add);
    // No more at first than most replies take; it grows.
    let mut text = Vec::with_capacity(room.min(64 << 10));
    text.extend_from_slice(beginning.as_bytes());
    text
}

/// Writes an object of each output's value, or of its next row.
fn named(text: &mut Vec<u8>, writers: &mut [Writer<'_>], level: usize) {
    text.push(b'{');
    for (index, writer) in writers.iter_mut().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        push_string(text, writer.name);
        text.push(b':');
        writer.lists(text, level);
    }
    text.push(b'}');
}

fn writers<'a>(outputs: &[(&'a str, &'a Tensor)]) -> Result<SmallVec<[Writer<'a>; 4]>, Refusal> {
    outputs
        .iter()
        .map(|(name, tensor)| Writer::new(name, tensor))
        .collect()
}

struct Writer<'a> {
    name: &'a str,
    tensor: &'a Tensor,
    is_bytes: bool,
    /// Position of the next element.
    next: usize,
}

impl<'a> Writer<'a> {
    fn new(name: &'a str, tensor: &'a Tensor) -> Result<Self, Refusal> {
        let dtype = tensor.dtype();
        if matches!(dtype, DType::Complex64 | DType::Complex128) {
            return Err(invalid(format!(
                "Failed to write JSON value for tensor type: {dtype}"
            )));
        }
        let shape = tensor.shape();
        let outside_the_zero = shape.dims().iter().take_while(|size| **size > 0);
        if shape.elements() == 0 && outside_the_zero.product::<usize>() > MAX_EMPTY_LISTS {
            return Err(invalid(format!(
                "Tensor name: {name} has the shape {shape}, more than {MAX_EMPTY_LISTS} empty lists"
            )));
        }
        Ok(Self {
            name,
            tensor,
            is_bytes: dtype == DType::String && name.ends_with(BYTES_SUFFIX),
            next: 0,
        })
    }

    /// Writes the next lists of this level, or the next element where there are none.
    fn lists(&mut self, text: &mut Vec<u8>, level: usize) {
        let dims = self.tensor.shape().dims();
        let Some(size) = dims.get(level) else {
            self.elements(text, 1);
            return;
        };
        text.push(b'[');
        if level + 1 == dims.len() {
            self.elements(text, *size);
        } else {
            for index in 0..*size {
                if index > 0 {
                    text.push(b',');
                }
                self.lists(text, level + 1);
            }
        }
        text.push(b']');
    }

    /// Writes so many elements, with commas between.
    fn elements(&mut self, text: &mut Vec<u8>, count: usize) {
        let range = self.next..self.next + count;
        self.next = range.end;
        let bytes = match self.tensor.data() {
            Data::Fixed(bytes) => bytes,
            Data::Strings(strings) => {
                let is_bytes = self.is_bytes;
                return list(text, &strings[range], |text, string| {
                    push_bytes(text, string, is_bytes);
                });
            }
        };
        macro_rules! numbers {
            ($write:ident, $number:ty) => {
                list(text, part(bytes, range), |text, it| {
                    $write(text, <$number>::from_le_bytes(*it));
                })
            };
        }
        match self.tensor.dtype() {
            DType::Float => numbers!(push_float, f32),
            DType::Double => numbers!(push_float, f64),
            DType::Half => list(text, part(bytes, range), |text, it| {
                push_float(text, HALF.shortest(u16::from_le_bytes(*it)));
            }),
            DType::BFloat16 => list(text, part(bytes, range), |text, it| {
                push_float(text, BFLOAT16.shortest(u16::from_le_bytes(*it)));
            }),
            DType::Int8 => numbers!(push_whole, i8),
            DType::Int16 => numbers!(push_whole, i16),
            DType::Int32 => numbers!(push_whole, i32),
            DType::Int64 => numbers!(push_whole, i64),
            DType::UInt8 => numbers!(push_whole, u8),
            DType::UInt16 => numbers!(push_whole, u16),
            DType::UInt32 => numbers!(push_whole, u32),
            DType::UInt64 => numbers!(push_whole, u64),
            DType::Bool => list(text, &bytes[range], |text, it| {
                let word = if *it == 0 { "false" } else { "true" };
                text.extend_from_slice(word.as_bytes());
            }),
            // Has no fixed-size elements; refused before.
            DType::String | DType::Complex64 | DType::Complex128 => {}
        }
    }
}

/// The numbers of `SIZE` bytes at these positions.
fn part<const SIZE: usize>(bytes: &[u8], range: std::ops::Range<usize>) -> &[[u8; SIZE]] {
    let (parts, _) = bytes.as_chunks();
    &parts[range]
}

#[inline]
fn list<T>(text: &mut Vec<u8>, elements: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write(text, element);
    }
}

/// A float in the fewest digits that read back the same, always told from an integer.
#[inline]
pub(super) fn push_float<T: zmij::Float + Into<f64> + Copy>(text: &mut Vec<u8>, value: T) {
    let wide: f64 = value.into();
    if wide.is_finite() {
        text.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else if wide.is_nan() {
        text.extend_from_slice(b"NaN");
    } else if wide > 0.0 {
        text.extend_from_slice(b"Infinity");
    } else {
        text.extend_from_slice(b"-Infinity");
    }
}

#[inline]
fn push_whole(text: &mut Vec<u8>, value: impl itoa::Integer) {
    text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A byte string as text where it can be, and is not meant to be bytes.
pub(super) fn push_bytes(text: &mut Vec<u8>, bytes: &[u8], is_bytes: bool) {
    match std::str::from_utf8(bytes) {
        Ok(string) if !is_bytes => push_string(text, string),
        _ => {
            text.extend_from_slice(b"{\"b64\":\"");
            let encoded = BASE64.encode(bytes);
            text.extend_from_slice(encoded.as_bytes());
            text.extend_from_slice(b"\"}");
        }
    }
}

fn push_string(text: &mut Vec<u8>, string: &str) {
    // Writing a string to a vector cannot fail.
    let _ = serde_json::to_writer(text, string);
}
