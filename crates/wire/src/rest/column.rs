//! The elements of one input, taken from the text value by value.

use std::fmt::Write as _;

use base64::Engine as _;
use bytes::Bytes;
use smallvec::SmallVec;
use tensor::{DType, Shape, Tensor};

use super::number::Number;
use super::refusal::{Refusal, RestError, excerpt, invalid, type_name};
use super::scanner::{END, Scanner};
use crate::text::numbers::{BFLOAT16, HALF, range};
use crate::text::values::BASE64;

/// Most room that is made before it is known how much a column has, bytes.
const FIRST_ROOM: usize = 4096;

/// Sizes of lists, the outermost first.
pub(super) type Sizes = SmallVec<[usize; 4]>;

/// One input's elements, and the sizes of the lists in the value that was read last.
pub(super) struct Column<'a> {
    body: &'a Bytes,
    pub(super) alias: &'a str,
    dtype: DType,
    fixed: Vec<u8>,
    strings: Vec<Bytes>,
    /// Of the last value.
    pub(super) sizes: Sizes,
    /// In how many lists its elements stand, as soon as its first says so.
    rank: Option<usize>,
}

impl<'a> Column<'a> {
    pub(super) fn new(body: &'a Bytes, alias: &'a str, dtype: DType) -> Self {
        let room = if dtype == DType::String {
            0
        } else {
            (body.len() / 2).min(FIRST_ROOM)
        };
        Self {
            body,
            alias,
            dtype,
            fixed: Vec::with_capacity(room),
            strings: Vec::new(),
            sizes: Sizes::new(),
            rank: None,
        }
    }

    /// How many elements there are.
    pub(super) fn elements(&self) -> usize {
        match self.dtype.size() {
            Some(size) => self.fixed.len() / size,
            None => self.strings.len(),
        }
    }

    /// Appends the value where `scanner` stands: an element, or lists of them, all of
    /// the sizes that the first ones have.
    #[inline]
    pub(super) fn read(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Refusal> {
        self.sizes.clear();
        self.rank = None;
        self.value(scanner, 0)
    }

    /// The tensor of all that was read, in this shape.
    pub(super) fn tensor(self, dims: &[usize]) -> Result<Tensor, Refusal> {
        let alias = self.alias;
        let wrong = |problem: String| invalid(format!("input {alias}: {problem}"));
        let shape = Shape::new(dims).ok_or_else(|| wrong("its shape is too large".into()))?;
        match self.dtype {
            DType::String => Tensor::strings(shape, self.strings),
            dtype => Tensor::fixed(dtype, shape, self.fixed.into()),
        }
        .map_err(|error| wrong(error.to_string()))
    }

    /// A value at this level. What can't be taken is stepped over, so that the lists
    /// around it can be counted.
    #[inline]
    fn value(&mut self, scanner: &mut Scanner<'a>, level: usize) -> Result<(), Refusal> {
        let first = scanner.peek();
        if first == b'[' {
            return self.list(scanner, level);
        }
        let start = *scanner;
        let taken = if *self.rank.get_or_insert(level) == level {
            self.element(scanner, first)
        } else {
            Err(self.at_wrong_level(*scanner, level))
        };
        if taken.is_err() {
            *scanner = start;
            let _ = scanner.skip();
        }
        taken
    }

    fn list(&mut self, scanner: &mut Scanner<'a>, level: usize) -> Result<(), Refusal> {
        let beyond = match self.rank {
            Some(rank) if level >= rank => Some(invalid(format!(
                "Encountered list at unexpected level: {level} expected < {rank}"
            ))),
            _ if level == Shape::MAX_RANK => Some(invalid(format!(
                "input {} goes deeper in lists than the {} possible",
                self.alias,
                Shape::MAX_RANK
            ))),
            _ => None,
        };
        if let Some(refusal) = beyond {
            let _ = scanner.skip();
            return Err(refusal);
        }
        let is_first = self.sizes.len() == level;
        if is_first {
            self.sizes.push(0);
        }
        let (size, refused) = self.entries(scanner, level)?;
        if is_first {
            self.sizes[level] = size;
            if size == 0 {
                self.rank = Some(level + 1);
            }
        } else if self.sizes[level] != size {
            // Found before what is wrong in its entries, were they read after it.
            return Err(invalid(format!(
                "Encountered list at unexpected size: {size} at level: {level} expected size: {}",
                self.sizes[level]
            )));
        }
        refused.map_or(Ok(()), Err)
    }

    /// Reads a list's entries; how many there are, and the first refusal. Fails where
    /// the text is no JSON.
    #[inline]
    fn entries(
        &mut self,
        scanner: &mut Scanner<'a>,
        level: usize,
    ) -> Result<(usize, Option<Refusal>), Refusal> {
        scanner.eat(b'[');
        if scanner.eat(b']') {
            return Ok((0, None));
        }
        let mut size = 0;
        loop {
            size += 1;
            if let Err(refusal) = self.value(scanner, level + 1) {
                while scanner.list_goes_on()? {
                    scanner.skip()?;
                    size += 1;
                }
                return Ok((size, Some(refusal)));
            }
            if !scanner.list_goes_on()? {
                return Ok((size, None));
            }
        }
    }

    #[inline]
    fn element(&mut self, scanner: &mut Scanner<'a>, first: u8) -> Result<(), Refusal> {
        match (self.dtype, first) {
            (DType::Complex64 | DType::Complex128, _) => {
                return Err(self.has_no_form(*scanner));
            }
            (DType::String, b'"') => {
                let string = scanner.string()?;
                self.strings.push(if string.has_escapes {
                    string.decoded().into_owned().into()
                } else {
                    self.body.slice(string.at..string.at + string.bytes.len())
                });
            }
            (DType::String, b'{') => {
                let bytes = base64(scanner).ok_or_else(|| self.no_base64(*scanner))?;
                self.strings.push(bytes?);
            }
            (DType::Bool, b't') => {
                scanner.literal("true")?;
                self.fixed.push(1);
            }
            (DType::Bool, b'f') => {
                scanner.literal("false")?;
                self.fixed.push(0);
            }
            (DType::String | DType::Bool, _) => return Err(self.wrong_type(*scanner, first)),
            (_, b'-' | b'0'..=b'9' | b'N' | b'I') => {
                let start = *scanner;
                let number = scanner.number()?;
                if !self.push(number) {
                    return Err(self.wrong_type(start, first));
                }
            }
            _ => return Err(self.wrong_type(*scanner, first)),
        }
        Ok(())
    }

    /// Appends a number; `false` if it is none of the column's type.
    #[inline]
    fn push(&mut self, number: Number) -> bool {
        let fixed = &mut self.fixed;
        match self.dtype {
            DType::Float => fixed.extend_from_slice(&(number.to_f64() as f32).to_le_bytes()),
            DType::Double => fixed.extend_from_slice(&number.to_f64().to_le_bytes()),
            DType::Half => fixed.extend_from_slice(&HALF.round(number.to_f64()).to_le_bytes()),
            DType::BFloat16 => {
                fixed.extend_from_slice(&BFLOAT16.round(number.to_f64()).to_le_bytes());
            }
            dtype => {
                let (Some((least, greatest)), Some(size)) = (range(dtype), dtype.size()) else {
                    return false;
                };
                match number.to_whole() {
                    Some(value) if (least..=greatest).contains(&value) => {
                        // Of the low bytes of a two's complement number all shorter
                        // types are made.
                        fixed.extend_from_slice(&value.to_le_bytes()[..size]);
                    }
                    _ => return false,
                }
            }
        }
        true
    }

    #[cold]
    fn wrong_type(&self, value: Scanner<'_>, first: u8) -> Refusal {
        if first == END {
            // No value at all, which the search for it will say better.
            return invalid("the text ends where a value should be");
        }
        invalid(format!(
            "JSON Value: {} Type: {} is not of expected type: {}",
            excerpt(self.body, value),
            type_name(first),
            self.dtype
        ))
    }

    #[cold]
    fn has_no_form(&self, value: Scanner<'_>) -> Refusal {
        Refusal::from(RestError::Unimplemented(format!(
            "Conversion of JSON Value: {} to type: {}",
            excerpt(self.body, value),
            self.dtype
        )))
    }

    #[cold]
    fn no_base64(&self, value: Scanner<'_>) -> Refusal {
        invalid(format!(
            "JSON Value: {} not formatted correctly for base64 data",
            excerpt(self.body, value)
        ))
    }

    #[cold]
    fn at_wrong_level(&self, value: Scanner<'_>, level: usize) -> Refusal {
        invalid(format!(
            "JSON Value: {} found at incorrect level: {} in the JSON DOM. Expected at level: {}",
            excerpt(self.body, value),
            level + 1,
            self.rank.unwrap_or_default()
        ))
    }
}

/// The bytes that `{"b64": "..."}` stands for; `None`, and no step, if that is not next.
pub(super) fn base64(scanner: &mut Scanner<'_>) -> Option<Result<Bytes, Refusal>> {
    let mut ahead = *scanner;
    if !ahead.eat(b'{') || !ahead.name().ok()?.is("b64") || ahead.peek() != b'"' {
        return None;
    }
    let string = ahead.string().ok()?;
    if !ahead.eat(b'}') {
        return None;
    }
    *scanner = ahead;
    let mut text = string.decoded();
    if text.iter().any(u8::is_ascii_whitespace) {
        // Many encoders break their lines.
        text.to_mut().retain(|byte| !byte.is_ascii_whitespace());
    }
    let decoded = BASE64.decode(text);
    Some(
        decoded
            .map(Bytes::from)
            .map_err(|_| invalid("Unable to base64 decode")),
    )
}

/// Whether `{"b64": "..."}` is next.
pub(super) fn is_base64(mut scanner: Scanner<'_>) -> bool {
    // Without decoding what may be large.
    scanner.eat(b'{')
        && scanner.name().is_ok_and(|name| name.is("b64"))
        && scanner.peek() == b'"'
        && scanner.string().is_ok()
        && scanner.eat(b'}')
}

/// Sizes as TensorFlow Serving prints them.
pub(super) fn print(sizes: &[usize]) -> String {
    let mut text = String::from("[");
    for (index, size) in sizes.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{size}");
    }
    text.push(']');
    text
}
