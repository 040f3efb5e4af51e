//! The client's classes: `Request`, `Channel`, `Inbox` and `Call`.

use pyo3::prelude::*;

mod options;
pub(crate) use options::{Entries, call_options, channel_options, duration};

mod request;
pub(crate) use request::Request;

mod channel;
pub(crate) use channel::Channel;

mod call;
pub(crate) use call::Call;

mod inbox;
pub(crate) use inbox::Inbox;

mod reply;

pub(crate) fn native_error(error: &client::ClientError) -> PyErr {
    crate::error::native_error(
        client::code_name(error.code()),
        error.message(),
        error.address(),
    )
}
