//! A cursor over JSON text: values go straight from the text into tensors, with no tree
//! between, so that numbers keep every digit and a large text costs no multiple of its
//! size.

use std::borrow::Cow;

use super::TextError;

/// Longest piece of the text that an error quotes, in bytes.
const EXCERPT: usize = 40;

/// A place in a JSON text.
pub(super) struct Json<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Json<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().take_while(blank).count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.at += 1;
        }
        is_next
    }

    /// Steps over `byte`, which must be next.
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), TextError> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(self.wrong(&format!("`{}`", byte as char)))
    }

    /// After an entry of a list or an object: whether another follows. `close` ends it.
    pub(super) fn goes_on(&mut self, close: u8) -> Result<bool, TextError> {
        if self.eat(b',') {
            return Ok(true);
        }
        if self.eat(close) {
            return Ok(false);
        }
        Err(self.wrong(&format!("`,` or `{}`", close as char)))
    }

    /// A number, `true`, `NaN` or whatever else stands there without quotes; empty if
    /// nothing does. Steps over it.
    pub(super) fn word(&mut self) -> &'a str {
        self.peek();
        let rest = &self.text[self.at..];
        let in_word = |c: char| c.is_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let word = &rest[..rest.find(|c| !in_word(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// A string in quotes. Steps over it.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, TextError> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("a string"));
        }
        let start = self.at;
        let mut escaped = false;
        let mut plain = true;
        for (offset, byte) in self.text.as_bytes()[start + 1..].iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => (escaped, plain) = (true, false),
                b'"' => {
                    let quoted = &self.text[start..start + offset + 2];
                    self.at += quoted.len();
                    if plain {
                        return Ok(quoted[1..quoted.len() - 1].into());
                    }
                    return serde_json::from_str(quoted).map_err(|_| {
                        let quoted = excerpt(quoted);
                        TextError::new(format!(
                            "the text is not JSON: the string {quoted} at byte {start} has an \
                             invalid escape or a control character"
                        ))
                    });
                }
                0..0x20 => plain = false,
                _ => {}
            }
        }
        Err(TextError::new(format!(
            "the text is not JSON: the string at byte {start} has no end"
        )))
    }

    /// Nothing but white space must follow.
    pub(super) fn end(&mut self) -> Result<(), TextError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("nothing after the value")),
        }
    }

    /// What is next, in words; steps nowhere.
    pub(super) fn found(&mut self) -> String {
        match self.peek() {
            None => "the end of the text".into(),
            Some(b'[') => "a list".into(),
            Some(b'{') => "an object".into(),
            Some(b'"') => format!("the string {}", excerpt(self.line())),
            Some(_) => {
                let at = self.at;
                let word = self.word();
                self.at = at;
                if word.is_empty() {
                    let next = self.line().chars().take(1);
                    format!("`{}`", next.collect::<String>())
                } else {
                    quote(word)
                }
            }
        }
    }

    fn line(&self) -> &'a str {
        self.text[self.at..].lines().next().unwrap_or_default()
    }

    /// The error of text that is no JSON.
    fn wrong(&mut self, expected: &str) -> TextError {
        let found = self.found();
        TextError::new(format!(
            "the text is not JSON: expected {expected} at byte {}, found {found}",
            self.at
        ))
    }
}

/// `text` or its beginning.
fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= EXCERPT {
        return text.into();
    }
    format!("{}...", &text[..text.floor_char_boundary(EXCERPT)]).into()
}

/// `text` or its beginning, in backticks.
pub(super) fn quote(text: &str) -> String {
    format!("`{}`", excerpt(text))
}

/// Whether `word` is a number as JSON writes them.
pub(super) fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let exponent_is_fine = exponent
        .map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
        .is_none_or(digits);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent_is_fine
}
