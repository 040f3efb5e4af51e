//! Messages to tensors and back: the generated messages, the hot ones read and written by
//! hand, the JSON of REST and of the text service, and records of requests. Knows no network
//! and no model.

pub mod proto;

pub mod examples;
pub mod predict;
pub mod tensor_proto;

pub mod text;

pub mod rest;

pub mod signatures;

mod segments;
pub use segments::{Segments, Sink};

pub mod warmup;

mod protobuf;
pub use protobuf::Malformed;
