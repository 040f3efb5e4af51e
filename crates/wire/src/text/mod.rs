//! The text service's JSON: one string to a signature's inputs, its outputs to one
//! string. As Python's `json`, it reads and writes `NaN`, `Infinity` and `-Infinity`
//! bare, which strict JSON has no form for.

mod inputs;
pub use inputs::{InputForm, ParsedInputs, parse_inputs};

pub(crate) mod values;

mod json;

pub(crate) mod numbers;

mod outputs;
pub use outputs::write_outputs;

#[cfg(test)]
mod tests;

/// One clear sentence: what was found where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TextError(String);

impl TextError {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}
