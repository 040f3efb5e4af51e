//! The messages of Classify, Regress and `MultiInference`, by hand: examples are handed on
//! as the bytes that came, never decoded, and results are written from tensors.

mod input;
pub(crate) use input::HANDLE_BYTES;
pub use input::{ExampleInput, TooLarge};

mod request;
pub use request::{ExampleRequest, MultiRequest, Task, decode_multi_request, decode_request};

mod result;
pub use result::{Classes, ExampleResult, ResultError, Values};

mod response;
pub use response::{Reply, TaskReply, write_multi_response};

#[cfg(test)]
mod tests;
