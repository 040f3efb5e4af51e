//! A cursor over the bytes of a JSON text, which need not be UTF-8: TensorFlow Serving
//! takes strings of any bytes. What is wrong is said in its parser's words.

use super::number::{Digits, Number};
use super::quoted::{Quoted, hex};

/// The byte that [`Scanner::peek`] gives at the end: no value begins with it.
pub(super) const END: u8 = 0;

/// Where a text is no JSON, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at offset: {offset}")]
pub(super) struct Syntax {
    problem: &'static str,
    offset: usize,
}

const EMPTY: &str = "The document is empty.";
const INVALID: &str = "Invalid value.";
const NO_NAME: &str = "Missing a name for object member.";
const NO_COLON: &str = "Missing a colon after a name of object member.";
const NO_BRACE: &str = "Missing a comma or '}' after an object member.";
const NO_BRACKET: &str = "Missing a comma or ']' after an array element.";
const NO_QUOTE: &str = "Missing a closing quotation mark in string.";
const CONTROL: &str = "Invalid encoding in string.";
const ESCAPE: &str = "Invalid escape character in string.";
const HEX: &str = "Incorrect hex digit after \\u escape in string.";
const SURROGATE: &str = "The surrogate pair in string is invalid.";
const NO_FRACTION: &str = "Miss fraction part in number.";
const NO_EXPONENT: &str = "Miss exponent in number.";

/// A place in a text.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the text's first byte, behind a byte order mark.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let at = if bytes.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Self { bytes, at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    fn current(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(END)
    }

    /// The next byte that is no white space, [`END`] where there is none.
    #[inline]
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            let byte = self.current();
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
    }

    /// Steps over `byte` if it is next.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    /// After a list's entry: whether another follows.
    #[inline]
    pub(super) fn list_goes_on(&mut self) -> Result<bool, Syntax> {
        self.goes_on(b']', NO_BRACKET)
    }

    /// After an object's member: whether another follows.
    pub(super) fn object_goes_on(&mut self) -> Result<bool, Syntax> {
        self.goes_on(b'}', NO_BRACE)
    }

    #[inline]
    fn goes_on(&mut self, close: u8, problem: &'static str) -> Result<bool, Syntax> {
        let next = self.peek();
        if next != b',' && next != close {
            return Err(self.wrong(problem));
        }
        self.at += 1;
        Ok(next == b',')
    }

    /// A member's name and the colon behind it.
    pub(super) fn name(&mut self) -> Result<Quoted<'a>, Syntax> {
        if self.peek() != b'"' {
            return Err(self.wrong(NO_NAME));
        }
        let name = self.string()?;
        if !self.eat(b':') {
            return Err(self.wrong(NO_COLON));
        }
        Ok(name)
    }

    /// A string, whose opening quote is next.
    pub(super) fn string(&mut self) -> Result<Quoted<'a>, Syntax> {
        self.at += 1;
        let start = self.at;
        let mut has_escapes = false;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    self.escape()?;
                }
                None | Some(0) => return Err(self.wrong(NO_QUOTE)),
                Some(..0x20) => return Err(self.wrong(CONTROL)),
                Some(_) => self.at += 1,
            }
        }
        let bytes = &self.bytes[start..self.at];
        self.at += 1;
        Ok(Quoted {
            at: start,
            bytes,
            has_escapes,
        })
    }

    /// Steps over an escape.
    fn escape(&mut self) -> Result<(), Syntax> {
        let rest = &self.bytes[self.at..];
        match rest.get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = hex(&rest[2..]).ok_or_else(|| self.wrong(HEX))?;
                self.at += 6;
                match unit {
                    0xd800..0xdc00 => {
                        let low = rest[6..].strip_prefix(b"\\u").and_then(hex);
                        if !low.is_some_and(|low| (0xdc00..0xe000).contains(&low)) {
                            self.at -= 6;
                            return Err(self.wrong(SURROGATE));
                        }
                        self.at += 6;
                    }
                    0xdc00..0xe000 => {
                        self.at -= 6;
                        return Err(self.wrong(SURROGATE));
                    }
                    _ => {}
                }
            }
            _ => return Err(self.wrong(ESCAPE)),
        }
        Ok(())
    }

    /// A number, which must be next.
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number, Syntax> {
        let start = self.at;
        let negative = self.current() == b'-';
        self.at += usize::from(negative);
        let mut digits = Digits::default();
        match self.current() {
            b'0' => {
                digits.count = 1;
                self.at += 1;
            }
            b'1'..=b'9' => self.digits(&mut digits),
            _ => return self.named(negative),
        }
        let mut exponent = 0;
        let is_whole = !matches!(self.current(), b'.' | b'e' | b'E');
        if self.current() == b'.' {
            self.at += 1;
            let before = digits.count;
            self.digits(&mut digits);
            if digits.count == before {
                return Err(self.wrong(NO_FRACTION));
            }
            exponent = -((digits.count - before) as i64);
        }
        if matches!(self.current(), b'e' | b'E') {
            exponent += self.exponent()?;
        }
        if is_whole && let Some(magnitude) = self.magnitude(digits, start, negative) {
            return Ok(Number::Whole {
                negative,
                magnitude,
            });
        }
        let value = digits.exact(exponent).map_or_else(
            || self.as_float(start),
            |value| if negative { -value } else { value },
        );
        Ok(Number::Float(value))
    }

    #[inline]
    fn digits(&mut self, digits: &mut Digits) {
        while let byte @ b'0'..=b'9' = self.current() {
            digits.value = digits
                .value
                .wrapping_mul(10)
                .wrapping_add(u64::from(byte - b'0'));
            digits.count += 1;
            self.at += 1;
        }
    }

    fn exponent(&mut self) -> Result<i64, Syntax> {
        self.at += 1;
        let negative = self.current() == b'-';
        self.at += usize::from(matches!(self.current(), b'+' | b'-'));
        let mut digits = Digits::default();
        self.digits(&mut digits);
        match digits.count {
            0 => Err(self.wrong(NO_EXPONENT)),
            1..10 if negative => Ok(-(digits.value as i64)),
            1..10 => Ok(digits.value as i64),
            // Beyond what is read exactly; the text itself says the rest.
            _ => Ok(i64::from(i32::MAX)),
        }
    }

    /// The whole number whose digits these are, if a 64-bit type holds it.
    fn magnitude(&self, digits: Digits, start: usize, negative: bool) -> Option<u64> {
        let magnitude = if digits.count <= Digits::KEPT {
            digits.value
        } else {
            self.word(start + usize::from(negative)).parse().ok()?
        };
        (!negative || magnitude <= i64::MIN.unsigned_abs()).then_some(magnitude)
    }

    /// The number from `start` to here, rounded once.
    #[cold]
    #[inline(never)]
    fn as_float(&self, start: usize) -> f64 {
        // It has the form of a number, which always parses.
        self.word(start).parse().unwrap_or(f64::NAN)
    }

    /// From `start` to here, which is ASCII.
    fn word(&self, start: usize) -> &'a str {
        std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default()
    }

    /// The numbers that have names, behind their sign.
    fn named(&mut self, negative: bool) -> Result<Number, Syntax> {
        let value = match self.current() {
            b'N' => {
                self.literal("NaN")?;
                f64::NAN
            }
            b'I' => {
                self.literal("Inf")?;
                if self.current() == b'i' {
                    self.literal("inity")?;
                }
                f64::INFINITY
            }
            _ => return Err(self.wrong(INVALID)),
        };
        Ok(Number::Float(if negative { -value } else { value }))
    }

    /// Steps over a word that must be next.
    pub(super) fn literal(&mut self, word: &str) -> Result<(), Syntax> {
        for byte in word.bytes() {
            if self.current() != byte {
                return Err(self.wrong(INVALID));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Steps over a value, however deep it is.
    pub(super) fn skip(&mut self) -> Result<(), Syntax> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            match self.peek() {
                b'{' => {
                    self.at += 1;
                    if !self.eat(b'}') {
                        self.name()?;
                        open.push(b'}');
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if !self.eat(b']') {
                        open.push(b']');
                        continue;
                    }
                }
                b'"' => drop(self.string()?),
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                END if open.is_empty() && self.bytes[..self.at].trim_ascii().is_empty() => {
                    return Err(self.wrong(EMPTY));
                }
                _ => drop(self.number()?),
            }
            if !self.close(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Behind a value: steps to the next one, out of what ends here; `false` if this was
    /// the last.
    fn close(&mut self, open: &mut Vec<u8>) -> Result<bool, Syntax> {
        while let Some(close) = open.last() {
            let more = if *close == b'}' {
                self.object_goes_on()? && self.name().map(|_| true)?
            } else {
                self.list_goes_on()?
            };
            if more {
                return Ok(true);
            }
            open.pop();
        }
        Ok(false)
    }

    fn wrong(&self, problem: &'static str) -> Syntax {
        Syntax {
            problem,
            offset: self.at,
        }
    }
}
