//! Real models through TensorFlow's own library. The environment says where both are;
//! `make test` sets it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a test that fails panics"
)]

mod environment;
mod graph;

mod alone;
mod broken;
mod deadlines;
mod lifetime;
mod op_library;
mod signatures;
mod values;
