//! gRPC over HTTP/2: what a message, a deadline and a status are on the wire.

mod call;
pub(crate) use call::Call;

mod compression;
mod message;

mod reply;
pub(crate) use reply::{Frame, ReplyBody, failure};

mod status;
mod timeout;

mod handlers;
pub(crate) use handlers::{decode, streaming, unary};
