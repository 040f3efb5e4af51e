//! The frame around each method: message in, reply or error out.

use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use engine::{ServeError, expired};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::Call;
use super::body::RequestBody;
use super::compression::Compression;
use super::message::MessageReader;
use super::message_stream::MessageStream;
use super::reply::{Frame, Replies, Responder};
use crate::app::App;
use crate::drain::begun;
use crate::under_way::Coming;

/// A call as it came in.
pub(crate) struct Exchange {
    pub(crate) call: Call,
    pub(crate) body: RequestBody,
    pub(crate) responder: Responder,
}

/// A unary call whose message is there.
pub(crate) struct Received {
    pub(crate) call: Call,
    pub(crate) message: Bytes,
    pub(crate) responder: Responder,
}

/// Answers a unary call with what `answer` makes of its message.
pub(crate) fn unary(
    app: &Rc<App>,
    exchange: Exchange,
    answer: fn(&App, Bytes) -> Result<Frame, ServeError>,
) {
    receive(app, exchange, move |app, received| {
        let Received {
            message, responder, ..
        } = received;
        responder.finish(answer(app, message));
    });
}

/// Hands a unary call to `then` when its message is there: at once, where it came with
/// its headers, as most do.
pub(crate) fn receive(
    app: &Rc<App>,
    exchange: Exchange,
    then: impl FnOnce(&Rc<App>, Received) + 'static,
) {
    let Exchange {
        mut call,
        body,
        responder,
    } = exchange;
    let compression = match Compression::of(call.headers()) {
        Ok(compression) => compression,
        Err(error) => return responder.fail(&error),
    };
    let mut reader = MessageReader::new(body, compression, app.max_message_bytes);
    if let Poll::Ready(message) = reader.poll(&mut Context::from_waker(Waker::noop())) {
        return hand_over(app, (call, message, responder), then);
    }
    let app = Rc::clone(app);
    tokio::task::spawn_local(async move {
        let mut coming = app.under_way.begin();
        let message = rest_of(&mut reader, call.deadline(), &mut coming).await;
        call.whole_now();
        // The reader stays until the call is answered or queued: an answer that comes
        // before the body's end must not look like a broken stream.
        hand_over(&app, (call, message, responder), then);
        drop(reader);
        drop(coming);
    });
}

/// Waits for the rest of a message, though neither past the call's deadline nor for one of
/// which nothing more comes.
async fn rest_of(
    reader: &mut MessageReader,
    deadline: Option<Instant>,
    coming: &mut Coming<'_>,
) -> Result<Bytes, ServeError> {
    let whole = poll_fn(|context| {
        if let Poll::Ready(message) = reader.poll(context) {
            return Poll::Ready(message);
        }
        coming.hold(reader.length())?;
        coming.poll_silence(context).map(Err)
    });
    let too_late = async {
        match deadline {
            Some(deadline) => sleep_until(deadline.into()).await,
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        message = whole => message,
        () = too_late => Err(expired()),
    }
}

fn hand_over(
    app: &Rc<App>,
    (call, message, responder): (Call, Result<Bytes, ServeError>, Responder),
    then: impl FnOnce(&Rc<App>, Received),
) {
    match message {
        Err(error) => responder.fail(&error),
        Ok(message) => then(
            app,
            Received {
                call,
                message,
                responder,
            },
        ),
    }
}

/// Answers a call of one request and many replies: `handler` keeps the sender for as
/// long as it has something to say, and the stream ends well when it drops it.
pub(crate) fn streaming(
    app: &Rc<App>,
    exchange: Exchange,
    handler: fn(Rc<App>, Bytes, Replies) -> Result<(), ServeError>,
) {
    receive(app, exchange, move |app, received| {
        let (sender, frames) = mpsc::channel(1);
        match handler(Rc::clone(app), received.message, sender) {
            Ok(()) => received.responder.stream(frames),
            Err(error) => received.responder.fail(&error),
        }
    });
}

/// Answers a call of many requests, of at most `limit` bytes each: `answer` gives one
/// reply to each in turn, and its first error ends the call.
pub(crate) fn conversation(
    app: &Rc<App>,
    exchange: Exchange,
    limit: usize,
    answer: fn(&App, Bytes) -> Result<Frame, ServeError>,
) {
    let compression = match Compression::of(exchange.call.headers()) {
        Ok(compression) => compression,
        Err(error) => return exchange.responder.fail(&error),
    };
    let messages = MessageStream::new(exchange.body, compression, limit);
    let (replies, frames) = mpsc::channel(1);
    tokio::task::spawn_local(converse(Rc::clone(app), messages, answer, replies));
    exchange.responder.stream(frames);
}

/// Answers until the client has no more requests, is gone or has sent something that
/// is none, or until the server drains.
async fn converse(
    app: Rc<App>,
    mut messages: MessageStream<RequestBody>,
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
            // The body must outlive the error's trailers.
            replies.closed().await;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use engine::Kind;
    use http::Request;
    use tokio::time::Instant;

    use super::rest_of;
    use crate::grpc::body::RequestBody;
    use crate::grpc::compression::Compression;
    use crate::grpc::message::MessageReader;
    use crate::under_way::UnderWay;

    #[tokio::test(start_paused = true)]
    async fn half_a_message_is_not_waited_for_for_ever() {
        let (client, server) = tokio::io::duplex(1 << 16);
        let (mut sender, connection) = h2::client::handshake(client).await.unwrap();
        tokio::spawn(connection);
        let mut server = h2::server::handshake(server).await.unwrap();
        let request = Request::post("http://x/").body(()).unwrap();
        let (_reply, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"\0\0\0\0\x09abc"), false)
            .unwrap();
        let (request, _respond) = server.accept().await.unwrap().unwrap();
        tokio::spawn(async move { while server.accept().await.is_some() {} });
        let body = RequestBody::new(request.into_body());
        let mut reader = MessageReader::new(body, Compression::Identity, 100);
        let under_way = UnderWay::new(0);
        let mut coming = under_way.begin();

        let begun = Instant::now();
        let deadline = Some(begun.into_std() + Duration::from_secs(2));
        let late = rest_of(&mut reader, deadline, &mut coming).await;
        assert_eq!(late.unwrap_err().kind(), Kind::DeadlineExceeded);
        assert!(begun.elapsed() < Duration::from_secs(3));

        let silent = rest_of(&mut reader, None, &mut coming).await.unwrap_err();
        assert_eq!(silent.kind(), Kind::Cancelled);
        assert_eq!(silent.message(), "nothing of the request came for 75 s");
        assert_eq!(reader.length(), 8);
    }
}
