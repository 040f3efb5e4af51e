//! gRPC over HTTP/2: what a message, a deadline and a status are on the wire.

mod call;
pub(crate) use call::Call;

mod body;
pub(crate) use body::RequestBody;

mod compression;
pub(crate) use compression::Compression;

mod message;
mod message_stream;

mod reply;
pub(crate) use reply::{Frame, Outgoing, Replies, Responder};

pub(crate) mod server_timing;
mod status;
pub(crate) use status::cut;
mod timeout;

mod handlers;
pub(crate) use handlers::{Exchange, Received, conversation, decode, receive, streaming, unary};
