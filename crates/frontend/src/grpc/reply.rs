//! Putting replies on the wire: headers, framed messages, trailers.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BufMut, BytesMut};
use engine::ServeError;
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::sync::mpsc;

use super::message::PREFIX;
use super::{compression, status};
use crate::traffic::InFlight;

/// One message with its prefix, written in one buffer and never copied again.
pub(crate) struct Frame(BytesMut);

impl Frame {
    /// A frame for a message of exactly `length` bytes, written by `write`.
    pub(crate) fn new(
        length: usize,
        write: impl FnOnce(&mut BytesMut),
    ) -> Result<Self, ServeError> {
        let Ok(prefix) = u32::try_from(length) else {
            return Err(ServeError::resource_exhausted(format!(
                "the reply has {length} bytes, more than gRPC's {} for a message",
                u32::MAX
            )));
        };
        let mut buffer = BytesMut::with_capacity(PREFIX + length);
        buffer.put_u8(0);
        buffer.put_u32(prefix);
        write(&mut buffer);
        debug_assert_eq!(buffer.len(), PREFIX + length);
        Ok(Self(buffer))
    }

    /// A frame of a generated message.
    pub(crate) fn of(message: &impl prost::Message) -> Result<Self, ServeError> {
        Self::new(message.encoded_len(), |buffer| {
            // A `BytesMut` always has room.
            let _ = message.encode(buffer);
        })
    }
}

/// Bytes on their way out, which count as in flight until HTTP/2 has sent the last of
/// them: long after they were handed over, if the client reads slowly.
pub(crate) struct Outgoing {
    bytes: BytesMut,
    _in_flight: Option<InFlight>,
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

/// The sending end of a reply of many messages. The reply ends well when this is
/// dropped, and badly after the first error that is sent.
pub(crate) type Replies = mpsc::Sender<Result<Frame, ServeError>>;

/// The right to answer one request. Dropped unanswered, as a panic does it, it answers
/// INTERNAL.
pub(crate) struct Responder {
    respond: Option<SendResponse<Outgoing>>,
    in_flight: Option<InFlight>,
}

impl Responder {
    /// For a request that counts as in flight while `in_flight` lives.
    pub(crate) fn new(respond: SendResponse<Outgoing>, in_flight: Option<InFlight>) -> Self {
        Self {
            respond: Some(respond),
            in_flight,
        }
    }

    /// Whether the client has gone away or given up.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.poll_gone(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    /// Ready when the client has gone away or given up.
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.respond {
            Some(respond) => respond.poll_reset(context).map(drop),
            None => Poll::Ready(()),
        }
    }

    /// Answers with one message, or an error. A client that has gone away is no error.
    pub(crate) fn finish(self, outcome: Result<Frame, ServeError>) {
        match outcome {
            Ok(frame) => self.succeed(frame),
            Err(error) => self.fail(&error),
        }
    }

    fn succeed(mut self, frame: Frame) {
        let Some(mut stream) = self.begin() else {
            return;
        };
        let outgoing = Outgoing {
            bytes: frame.0,
            _in_flight: self.in_flight.take(),
        };
        if stream.send_data(outgoing, false).is_ok() {
            let _ = stream.send_trailers(trailers(None));
        }
    }

    /// Answers with an error and nothing else.
    pub(crate) fn fail(mut self, error: &ServeError) {
        self.send_failure(error);
    }

    /// Answers with many messages, as they come; the sender is `Replies`.
    pub(super) fn stream(mut self, frames: mpsc::Receiver<Result<Frame, ServeError>>) {
        if let Some(stream) = self.begin() {
            tokio::task::spawn_local(send_all(frames, stream));
        }
    }

    /// Answers a request that is not gRPC's.
    pub(crate) fn refuse(mut self, code: StatusCode) {
        if let Some(mut respond) = self.respond.take() {
            let mut response = Response::new(());
            *response.status_mut() = code;
            let _ = respond.send_response(response, true);
        }
    }

    fn begin(&mut self) -> Option<SendStream<Outgoing>> {
        self.respond.take()?.send_response(beginning(), false).ok()
    }

    fn send_failure(&mut self, error: &ServeError) {
        if let Some(mut respond) = self.respond.take() {
            let mut response = beginning();
            let headers = response.headers_mut();
            status::write(error, headers);
            if error.kind() == engine::Kind::Unimplemented {
                headers.insert("grpc-accept-encoding", compression::ACCEPTED);
            }
            let _ = respond.send_response(response, true);
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.send_failure(&ServeError::internal(
            "the request ended without an answer; this is a bug in TensorWire",
        ));
    }
}

/// Sends frames as they come, and no faster than the client reads them.
async fn send_all(
    mut frames: mpsc::Receiver<Result<Frame, ServeError>>,
    mut stream: SendStream<Outgoing>,
) {
    loop {
        let next = tokio::select! {
            next = frames.recv() => next,
            _ = poll_fn(|context| stream.poll_reset(context)) => return,
        };
        let error = match next {
            Some(Ok(frame)) => {
                if send_when_there_is_room(frame, &mut stream).await.is_none() {
                    return;
                }
                continue;
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        let _ = stream.send_trailers(trailers(error.as_ref()));
        return;
    }
}

/// `None` if the client has gone away.
async fn send_when_there_is_room(frame: Frame, stream: &mut SendStream<Outgoing>) -> Option<()> {
    stream.reserve_capacity(frame.0.len());
    while stream.capacity() == 0 {
        tokio::select! {
            room = poll_fn(|context| stream.poll_capacity(context)) => { room?.ok()?; }
        }
    }
    let outgoing = Outgoing {
        bytes: frame.0,
        _in_flight: None,
    };
    stream.send_data(outgoing, false).ok()
}

/// The trailers of success or of an error.
fn trailers(error: Option<&ServeError>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    match error {
        None => status::write_ok(&mut headers),
        Some(error) => status::write(error, &mut headers),
    }
    headers
}

/// The headers that every reply begins with.
fn beginning() -> Response<()> {
    let mut response = Response::new(());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, GRPC_PROTO);
    response
}

const GRPC_PROTO: HeaderValue = HeaderValue::from_static("application/grpc");
