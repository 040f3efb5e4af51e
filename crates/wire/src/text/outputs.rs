//! A signature's outputs to the text of a reply.

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tensor::{DType, Data, Tensor};

use super::TextError;
use super::numbers::{BFLOAT16, HALF};

/// Most lists without elements that are written for one output: a shape can ask for
/// any number of them.
const MAX_EMPTY_LISTS: usize = 1 << 20;

/// Writes outputs as JSON: the value of a single one, an object of names of several.
///
/// `drop_batch` takes the first dimension from those where it is 1. Floats have the
/// fewest digits that their own precision needs; `NaN`, `Infinity` and `-Infinity` stand
/// bare. Complex numbers are `[real, imaginary]`, strings that are not UTF-8
/// `{"b64": "..."}`. Fails for a shape that is nothing but a huge number of empty lists.
pub fn write_outputs(outputs: &[(&str, &Tensor)], drop_batch: bool) -> Result<String, TextError> {
    let mut text = String::new();
    if let [(name, tensor)] = outputs {
        write_tensor(&mut text, name, tensor, drop_batch)?;
        return Ok(text);
    }
    text.push('{');
    for (index, (name, tensor)) in outputs.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        push_string(&mut text, name)?;
        text.push_str(": ");
        write_tensor(&mut text, name, tensor, drop_batch)?;
    }
    text.push('}');
    Ok(text)
}

fn write_tensor(
    text: &mut String,
    name: &str,
    tensor: &Tensor,
    drop_batch: bool,
) -> Result<(), TextError> {
    let dims = match tensor.shape().dims() {
        [1, rest @ ..] if drop_batch => rest,
        dims => dims,
    };
    let outside_the_zero = dims.iter().take_while(|size| **size > 0);
    if tensor.shape().elements() == 0 && outside_the_zero.product::<usize>() > MAX_EMPTY_LISTS {
        return Err(TextError::new(format!(
            "output `{name}` has the shape {}, more than {MAX_EMPTY_LISTS} empty lists",
            tensor.shape()
        )));
    }
    Writer {
        text,
        tensor,
        next: 0,
    }
    .lists(dims)
}

struct Writer<'a> {
    text: &'a mut String,
    tensor: &'a Tensor,
    /// Position of the next element.
    next: usize,
}

impl Writer<'_> {
    fn lists(&mut self, dims: &[usize]) -> Result<(), TextError> {
        let Some((length, inner)) = dims.split_first() else {
            self.element()?;
            self.next += 1;
            return Ok(());
        };
        self.text.push('[');
        for index in 0..*length {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.lists(inner)?;
        }
        self.text.push(']');
        Ok(())
    }

    fn element(&mut self) -> Result<(), TextError> {
        let strings = match self.tensor.data() {
            Data::Strings(strings) => strings,
            Data::Fixed(bytes) => {
                self.number(bytes);
                return Ok(());
            }
        };
        let bytes = &strings[self.next];
        if let Ok(string) = std::str::from_utf8(bytes) {
            return push_string(self.text, string);
        }
        let encoded = BASE64.encode(bytes);
        push(self.text, format_args!(r#"{{"b64": "{encoded}"}}"#));
        Ok(())
    }

    fn number(&mut self, bytes: &[u8]) {
        let at = self.next;
        let text = &mut *self.text;
        match self.tensor.dtype() {
            DType::Float => push_float(text, f32::from_le_bytes(part(bytes, at))),
            DType::Double => push_float(text, f64::from_le_bytes(part(bytes, at))),
            DType::Half => push_float(text, HALF.shortest(u16::from_le_bytes(part(bytes, at)))),
            DType::BFloat16 => {
                push_float(text, BFLOAT16.shortest(u16::from_le_bytes(part(bytes, at))));
            }
            DType::Complex64 => {
                let pair = [2 * at, 2 * at + 1].map(|at| f32::from_le_bytes(part(bytes, at)));
                push_pair(text, pair);
            }
            DType::Complex128 => {
                let pair = [2 * at, 2 * at + 1].map(|at| f64::from_le_bytes(part(bytes, at)));
                push_pair(text, pair);
            }
            DType::Int8 => push(text, i8::from_le_bytes(part(bytes, at))),
            DType::Int16 => push(text, i16::from_le_bytes(part(bytes, at))),
            DType::Int32 => push(text, i32::from_le_bytes(part(bytes, at))),
            DType::Int64 => push(text, i64::from_le_bytes(part(bytes, at))),
            DType::UInt8 => push(text, bytes[at]),
            DType::UInt16 => push(text, u16::from_le_bytes(part(bytes, at))),
            DType::UInt32 => push(text, u32::from_le_bytes(part(bytes, at))),
            DType::UInt64 => push(text, u64::from_le_bytes(part(bytes, at))),
            DType::Bool => push(text, bytes[at] != 0),
            // Has no fixed-size elements.
            DType::String => {}
        }
    }
}

/// The number of `SIZE` bytes at position `index`.
fn part<const SIZE: usize>(bytes: &[u8], index: usize) -> [u8; SIZE] {
    let (parts, _) = bytes.as_chunks();
    parts[index]
}

fn push(text: &mut String, value: impl Display) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{value}");
}

fn push_float<T: std::fmt::Debug + Into<f64> + Copy>(text: &mut String, value: T) {
    let wide: f64 = value.into();
    if wide.is_nan() {
        text.push_str("NaN");
    } else if wide.is_infinite() {
        text.push_str(if wide > 0.0 { "Infinity" } else { "-Infinity" });
    } else {
        // The debug form is the shortest that reads back the same, and always shows
        // that it is no integer: 2.0, 1e-7.
        let _ = write!(text, "{value:?}");
    }
}

fn push_pair<T: std::fmt::Debug + Into<f64> + Copy>(text: &mut String, [real, imaginary]: [T; 2]) {
    text.push('[');
    push_float(text, real);
    text.push_str(", ");
    push_float(text, imaginary);
    text.push(']');
}

fn push_string(text: &mut String, string: &str) -> Result<(), TextError> {
    let quoted = serde_json::to_string(string)
        .map_err(|error| TextError::new(format!("a string can't be written as JSON: {error}")))?;
    text.push_str(&quoted);
    Ok(())
}
