//! Strings as a text has them.

use std::borrow::Cow;

/// Most bytes that stand for one: `\u0061`.
const ESCAPE_BYTES: usize = 6;

/// A string as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'a> {
    /// Where it begins in the text.
    pub(super) at: usize,
    pub(super) bytes: &'a [u8],
    pub(super) has_escapes: bool,
}

impl<'a> Quoted<'a> {
    pub(super) fn decoded(self) -> Cow<'a, [u8]> {
        if self.has_escapes {
            unescape(self.bytes).into()
        } else {
            self.bytes.into()
        }
    }

    pub(super) fn is(self, text: &str) -> bool {
        if self.has_escapes {
            // No escape has more bytes for one. What can't be it is not decoded, as it may
            // be large and is compared with many.
            return self.bytes.len() <= ESCAPE_BYTES * text.len()
                && *self.decoded() == *text.as_bytes();
        }
        self.bytes == text.as_bytes()
    }

    /// As text, to be shown.
    pub(super) fn lossy(self) -> String {
        String::from_utf8_lossy(&self.decoded()).into_owned()
    }
}

/// The four hexadecimal digits that `text` begins with.
pub(super) fn hex(text: &[u8]) -> Option<u32> {
    let digits = text.first_chunk::<4>()?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// What a string stands for whose escapes are right.
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    while let Some(escape) = text.iter().position(|byte| *byte == b'\\') {
        plain.extend_from_slice(&text[..escape]);
        let code = text.get(escape + 1).copied().unwrap_or_default();
        text = text.get(escape + 2..).unwrap_or_default();
        let character = match code {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let mut unit = hex(text).unwrap_or_default();
                text = text.get(4..).unwrap_or_default();
                if (0xd800..0xdc00).contains(&unit) {
                    let low = text.get(2..).and_then(hex).unwrap_or_default();
                    text = text.get(6..).unwrap_or_default();
                    unit = 0x1_0000 + ((unit - 0xd800) << 10) + (low & 0x3ff);
                }
                char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            // Stands for itself.
            other => char::from(other),
        };
        plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    plain.extend_from_slice(text);
    plain
}
