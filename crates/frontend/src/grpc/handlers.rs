//! The frame around each method: message in, reply or error out.

use std::sync::Arc;

use bytes::Bytes;
use engine::ServeError;
use http::Response;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::compression::Compression;
use super::reply::{self, Frame, ReplyBody, failure};
use super::{Call, message};
use crate::app::App;

/// Answers a unary call with `handler`.
pub(crate) async fn unary(
    app: &Arc<App>,
    call: Call,
    body: Incoming,
    handler: impl AsyncFnOnce(&App, Call, Bytes) -> Result<Frame, ServeError>,
) -> Response<ReplyBody> {
    let in_flight = app.drain.enter();
    match receive_and_handle(app, call, body, handler).await {
        Ok(frame) => reply::success(ReplyBody::unary(frame, in_flight)),
        Err(error) => failure(&error),
    }
}

async fn receive_and_handle(
    app: &App,
    call: Call,
    body: Incoming,
    handler: impl AsyncFnOnce(&App, Call, Bytes) -> Result<Frame, ServeError>,
) -> Result<Frame, ServeError> {
    let compression = Compression::of(call.headers())?;
    let message = message::read(body, compression, app.max_message_bytes).await?;
    handler(app, call, message).await
}

/// Answers a call of one request and many replies: `handler` keeps the sender for as
/// long as it has something to say, and the stream ends well when it drops it.
pub(crate) async fn streaming(
    app: &Arc<App>,
    call: Call,
    body: Incoming,
    handler: impl FnOnce(Arc<App>, Bytes, mpsc::Sender<Frame>) -> Result<(), ServeError>,
) -> Response<ReplyBody> {
    let received = async {
        let compression = Compression::of(call.headers())?;
        message::read(body, compression, app.max_message_bytes).await
    };
    let (sender, frames) = mpsc::channel(1);
    match received
        .await
        .and_then(|message| handler(Arc::clone(app), message, sender))
    {
        Ok(()) => reply::success(ReplyBody::stream(frames)),
        Err(error) => failure(&error),
    }
}

/// Decodes a generated message, `name` in words. What can't be parsed is INTERNAL by
/// gRPC's own table.
pub(crate) fn decode<M: prost::Message + Default>(
    message: Bytes,
    name: &str,
) -> Result<M, ServeError> {
    M::decode(message).map_err(|error| {
        ServeError::internal(format!("cannot parse the request as {name}: {error}"))
    })
}
