//! The JSON of TensorFlow Serving's REST API: bodies of requests to tensors, outputs to
//! bodies of replies. Numbers go straight from the text into tensors, with no tree
//! between; only a body that can't be taken is looked at a second time, for the error
//! that TensorFlow Serving finds in it first. As there, `NaN`, `Infinity` and
//! `-Infinity` stand bare, and what follows the body's object is ignored.

mod predict;
pub use predict::{Format, PredictBody, SignatureInputs, check_body, parse_predict};

mod examples;
pub use examples::{ExamplesBody, parse_examples};

mod members;
mod rows;

mod column;
mod scanner;

mod number;
mod quoted;

mod outputs;
pub use outputs::{write_columns, write_rows};

mod results;
pub use results::write_result;

mod messages;
pub use messages::{metadata_json, models_json, status_json};

mod refusal;
pub use refusal::RestError;

#[cfg(test)]
mod tests;
