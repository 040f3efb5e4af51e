//! Real models through TensorFlow's own library. The environment says where both are;
//! `make test` sets it.

mod environment;
mod graph;

mod broken;
mod deadlines;
mod lifetime;
mod op_library;
mod signatures;
mod values;
