//! Classify and Regress, whatever the protocol: which signature, from encoded examples to a
//! call, and from its outputs to a result. Rules and texts are TensorFlow Serving's.

mod method;
pub(crate) use method::Method;

mod call;
pub(crate) use call::{ExampleCall, Reader, example_limit};
