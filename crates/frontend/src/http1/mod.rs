//! Plain HTTP on the port of gRPC: telling it apart, HTTP/1.1, and the pages there are.

pub(crate) mod sniff;

mod forsaken;

mod connection;
pub(crate) use connection::{Farewell, serve};

pub(crate) mod pages;

mod responder;
pub(crate) use responder::{HeldPage, HttpResponder};
