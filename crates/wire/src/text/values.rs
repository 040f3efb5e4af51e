//! One input's value: a number, string or bool, or nested lists of them, into elements
//! and shape.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use tensor::{DType, Data, Shape};

use super::TextError;
use super::json::{Json, quote};
use super::numbers::{push_number, range};

pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Elements and the sizes of the lists that they stand in.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) dims: Vec<usize>,
    pub(super) data: Data,
}

/// Reads the value of the input `name` from where `json` stands.
pub(super) fn read_values(
    json: &mut Json<'_>,
    name: &str,
    dtype: DType,
) -> Result<Values, TextError> {
    let mut reader = Reader {
        json,
        name,
        dtype,
        lengths: Vec::new(),
        value_level: None,
        path: Vec::new(),
        bytes: Vec::new(),
        strings: Vec::new(),
    };
    reader.value()?;
    reader.finish()
}

struct Reader<'a, 'text> {
    json: &'a mut Json<'text>,
    name: &'a str,
    dtype: DType,
    /// Entries of the lists at each level, outermost first; `None` before the first
    /// list of a level has ended.
    lengths: Vec<Option<usize>>,
    /// In how many lists single values stand, once there is one.
    value_level: Option<usize>,
    /// Positions in the lists around the value that is being read.
    path: Vec<usize>,
    bytes: Vec<u8>,
    strings: Vec<Bytes>,
}

impl Reader<'_, '_> {
    fn value(&mut self) -> Result<(), TextError> {
        if self.json.peek() == Some(b'[') {
            self.list()
        } else {
            self.single()
        }
    }

    fn list(&mut self) -> Result<(), TextError> {
        let level = self.path.len();
        if self.value_level.is_some_and(|values| values <= level) {
            return Err(self.error("has a list", "where the values before it are single ones"));
        }
        if level > Shape::MAX_RANK {
            let limit = format!("deeper in lists than the {} possible", Shape::MAX_RANK);
            return Err(self.error("goes", &limit));
        }
        if self.lengths.len() == level {
            self.lengths.push(None);
        }
        self.json.expect(b'[')?;
        let mut length = 0;
        if !self.json.eat(b']') {
            loop {
                self.path.push(length);
                self.value()?;
                self.path.pop();
                length += 1;
                if !self.json.goes_on(b']')? {
                    break;
                }
            }
        }
        match self.lengths[level] {
            Some(before) if before != length => {
                let others = format!("where the lists before it have {before}");
                Err(self.error(&format!("has a list of {length}"), &others))
            }
            _ => {
                self.lengths[level] = Some(length);
                Ok(())
            }
        }
    }

    fn single(&mut self) -> Result<(), TextError> {
        let level = self.path.len();
        let found = self.json.found();
        let read = match self.dtype {
            DType::String => self.string()?,
            DType::Bool => {
                let word = self.json.word();
                let known = matches!(word, "true" | "false");
                known.then(|| self.bytes.push(u8::from(word == "true")))
            }
            dtype => push_number(dtype, self.json.word(), &mut self.bytes),
        };
        if read.is_none() {
            return Err(self.unexpected(&found));
        }
        if self.lengths.len() > level {
            let found = format!("has the single value {found}");
            return Err(self.error(&found, "where the values before it are lists"));
        }
        self.value_level = Some(level);
        Ok(())
    }

    /// `None` if there is neither a string nor a base64 object.
    fn string(&mut self) -> Result<Option<()>, TextError> {
        let string = match self.json.peek() {
            Some(b'"') => self.json.string()?.into_owned().into(),
            Some(b'{') => {
                self.json.expect(b'{')?;
                if self.json.peek() != Some(b'"') || self.json.string()? != "b64" {
                    return Ok(None);
                }
                self.json.expect(b':')?;
                let text = self.json.string()?;
                self.json.expect(b'}')?;
                let Ok(bytes) = BASE64.decode(text.as_bytes()) else {
                    let text = quote(&text);
                    return Err(self.error(&format!("has {text}"), "which is not base64"));
                };
                bytes.into()
            }
            _ => return Ok(None),
        };
        self.strings.push(string);
        Ok(Some(()))
    }

    fn finish(self) -> Result<Values, TextError> {
        let mut dims: Vec<usize> = self.lengths.iter().copied().flatten().collect();
        if matches!(self.dtype, DType::Complex64 | DType::Complex128) {
            match dims.pop() {
                Some(2) => {}
                // An empty list has no pairs to show.
                Some(0) => dims.push(0),
                _ => {
                    return Err(TextError::new(format!(
                        "input `{}` takes {}, found numbers that are not in pairs",
                        self.name,
                        self.expected()
                    )));
                }
            }
        }
        let data = if self.dtype == DType::String {
            Data::Strings(self.strings)
        } else {
            Data::Fixed(self.bytes.into())
        };
        Ok(Values { dims, data })
    }

    fn unexpected(&self, found: &str) -> TextError {
        let place = if self.path.is_empty() {
            String::new()
        } else {
            format!(" at {}", self.place())
        };
        TextError::new(format!(
            "input `{}` takes {}, found {found}{place}",
            self.name,
            self.expected()
        ))
    }

    fn expected(&self) -> String {
        let dtype = self.dtype;
        match dtype {
            DType::String => r#"strings, in JSON, or {"b64": "..."}"#.into(),
            DType::Bool => "true or false, in JSON".into(),
            DType::Complex64 | DType::Complex128 => {
                format!("[real, imaginary] pairs, in JSON, of type {dtype}")
            }
            _ => match range(dtype) {
                Some((least, greatest)) => {
                    format!("whole numbers from {least} to {greatest}, in JSON, of type {dtype}")
                }
                None => format!("numbers, in JSON, of type {dtype}"),
            },
        }
    }

    fn error(&self, what: &str, contrast: &str) -> TextError {
        let name = self.name;
        let place = self.place();
        TextError::new(format!("input `{name}` {what} at {place}, {contrast}"))
    }

    /// As in Python: `x[0][3]`.
    fn place(&self) -> String {
        let mut place = self.name.to_owned();
        for index in self.path.iter().take(16) {
            // Writing to a string cannot fail.
            let _ = write!(place, "[{index}]");
        }
        place
    }
}
