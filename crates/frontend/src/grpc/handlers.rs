//! The frame around each method: message in, reply or error out.

use std::sync::Arc;

use bytes::Bytes;
use engine::ServeError;
use http::Response;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::compression::Compression;
use super::message_stream::MessageStream;
use super::reply::{self, Frame, Replies, ReplyBody, failure};
use super::{Call, message};
use crate::app::App;
use crate::drain::begun;

/// Answers a unary call with `handler`.
pub(crate) async fn unary(
    app: &Arc<App>,
    call: Call,
    body: Incoming,
    handler: impl AsyncFnOnce(&App, Call, Bytes) -> Result<Frame, ServeError>,
) -> Response<ReplyBody> {
    let in_flight = app.traffic.begin_request();
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
    let message = receive(app, &call, body).await?;
    handler(app, call, message).await
}

/// The one message of a call.
async fn receive(app: &App, call: &Call, body: Incoming) -> Result<Bytes, ServeError> {
    let compression = Compression::of(call.headers())?;
    message::read(body, compression, app.max_message_bytes).await
}

/// Answers a call of one request and many replies: `handler` keeps the sender for as
/// long as it has something to say, and the stream ends well when it drops it.
pub(crate) async fn streaming(
    app: &Arc<App>,
    call: Call,
    body: Incoming,
    handler: impl FnOnce(Arc<App>, Bytes, Replies) -> Result<(), ServeError>,
) -> Response<ReplyBody> {
    let (sender, frames) = mpsc::channel(1);
    match receive(app, &call, body)
        .await
        .and_then(|message| handler(Arc::clone(app), message, sender))
    {
        Ok(()) => reply::success(ReplyBody::stream(frames)),
        Err(error) => failure(&error),
    }
}

/// Answers a call of many requests, of at most `limit` bytes each: `answer` gives one
/// reply to each in turn, and its first error ends the call.
pub(crate) fn conversation(
    app: &Arc<App>,
    call: &Call,
    body: Incoming,
    limit: usize,
    answer: fn(&App, Bytes) -> Result<Frame, ServeError>,
) -> Response<ReplyBody> {
    let compression = match Compression::of(call.headers()) {
        Ok(compression) => compression,
        Err(error) => return failure(&error),
    };
    let messages = MessageStream::new(body, compression, limit);
    let (replies, frames) = mpsc::channel(1);
    tokio::task::spawn_local(converse(Arc::clone(app), messages, answer, replies));
    reply::success(ReplyBody::stream(frames))
}

/// Answers until the client has no more requests, is gone or has sent something that
/// is none, or until the server drains.
async fn converse(
    app: Arc<App>,
    mut messages: MessageStream<Incoming>,
    answer: fn(&App, Bytes) -> Result<Frame, ServeError>,
    replies: Replies,
) {
    loop {
        let next = tokio::select! {
            // What has arrived when the drain begins is still answered.
            biased;
            next = messages.next() => next,
            // Not a good end: a request that is on its way would seem to have got no
            // answer, and this status is the one that clients take elsewhere.
            () = begun(app.drain.subscribe()) => {
                Err(ServeError::unavailable("the server is stopping"))
            }
            () = replies.closed() => return,
        };
        let reply = match next {
            Ok(Some(message)) => answer(&app, message),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let ended = reply.is_err();
        // Waits while the client does not read. An error means that it has gone away.
        if replies.send(reply).await.is_err() || ended {
            return;
        }
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
