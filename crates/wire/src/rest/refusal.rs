//! Why a body can't be taken, or a reply can't be written.

use crate::examples::TooLarge;

use super::scanner::{Scanner, Syntax};

/// Longest piece of a body that an error quotes, in bytes.
const EXCERPT: usize = 256;

/// What was wrong, in TensorFlow Serving's words where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// The request, or what there is to reply, is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The type of a tensor has no form in JSON here.
    #[error("{0}")]
    Unimplemented(String),
    /// The examples of a request would take more memory than they may.
    #[error(transparent)]
    TooLarge(TooLarge),
}

/// The same, small enough to be passed on from value to value.
#[derive(Debug)]
pub(super) struct Refusal(Box<RestError>);

impl Refusal {
    pub(super) fn into_error(self) -> RestError {
        *self.0
    }

    /// The status that TensorFlow Serving's text of an error within an error begins with.
    pub(super) fn with_code(&self) -> String {
        match &*self.0 {
            RestError::Invalid(message) => format!("INVALID_ARGUMENT: {message}"),
            RestError::Unimplemented(message) => format!("UNIMPLEMENTED: {message}"),
            RestError::TooLarge(problem) => format!("RESOURCE_EXHAUSTED: {problem}"),
        }
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    RestError::Invalid(message.into()).into()
}

impl From<RestError> for Refusal {
    fn from(error: RestError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Syntax> for Refusal {
    fn from(error: Syntax) -> Self {
        invalid(format!("JSON Parse error: {error}"))
    }
}

/// The text from where `scanner` stands to the value's end, or the beginning of it.
pub(super) fn excerpt(bytes: &[u8], mut scanner: Scanner<'_>) -> String {
    scanner.peek();
    let start = scanner.at();
    let end = scanner.skip().map_or(bytes.len(), |()| scanner.at());
    let text = String::from_utf8_lossy(&bytes[start..end.min(start + EXCERPT)]);
    // A character that the end cut in two is none.
    let cut = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    if end - start > EXCERPT {
        cut.to_owned()
    } else {
        text.into_owned()
    }
}

/// A value's type as its parser names it, by its first byte.
pub(super) fn type_name(first: u8) -> &'static str {
    match first {
        b'{' => "Object",
        b'[' => "Array",
        b'"' => "String",
        b't' => "True",
        b'f' => "False",
        b'n' => "Null",
        _ => "Number",
    }
}
