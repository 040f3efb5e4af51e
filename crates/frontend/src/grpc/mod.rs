//! gRPC over HTTP/2: what a message, a deadline and a status are on the wire.

mod call;
pub(crate) use call::Call;

mod compression;
mod message;
mod message_stream;

mod reply;
pub(crate) use reply::{Frame, Replies, ReplyBody, failure};

pub(crate) mod server_timing;
mod status;
pub(crate) use status::cut;
mod timeout;

mod handlers;
pub(crate) use handlers::{conversation, decode, streaming, unary};
