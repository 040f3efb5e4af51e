//! Putting replies on the wire: headers, framed messages, trailers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use engine::ServeError;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body, SizeHint};
use tokio::sync::mpsc;

use super::{compression, status};
use crate::drain::InFlight;

/// The bytes before each message.
const PREFIX: usize = 5;

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

/// The body of every response.
pub(crate) enum ReplyBody {
    /// A unary reply: its frame, then the trailers of success.
    Unary {
        frame: Option<Bytes>,
        trailers: bool,
        _in_flight: InFlight,
    },
    /// Frames as they come; the trailers of success when the sender is gone.
    Stream {
        frames: mpsc::Receiver<Frame>,
        trailers: bool,
    },
    /// A body that tonic made.
    Tonic(tonic::body::Body),
    /// Nothing: the headers say it all.
    Empty,
}

impl ReplyBody {
    pub(super) fn unary(frame: Frame, in_flight: InFlight) -> Self {
        Self::Unary {
            frame: Some(frame.0.freeze()),
            trailers: true,
            _in_flight: in_flight,
        }
    }

    pub(super) fn stream(frames: mpsc::Receiver<Frame>) -> Self {
        Self::Stream {
            frames,
            trailers: true,
        }
    }

    pub(crate) fn empty() -> Self {
        Self::Empty
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, tonic::Status>>> {
        let data = |bytes| Poll::Ready(Some(Ok(http_body::Frame::data(bytes))));
        match self.get_mut() {
            Self::Unary {
                frame, trailers, ..
            } => match frame.take() {
                Some(bytes) => data(bytes),
                None => Poll::Ready(end(trailers)),
            },
            Self::Stream { frames, trailers } => match frames.poll_recv(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(frame)) => data(frame.0.freeze()),
                Poll::Ready(None) => Poll::Ready(end(trailers)),
            },
            Self::Tonic(body) => Pin::new(body).poll_frame(context),
            Self::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Unary { trailers, .. } | Self::Stream { trailers, .. } => !trailers,
            Self::Tonic(body) => body.is_end_stream(),
            Self::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        // A length would become a content-length header, which trailers make wrong.
        SizeHint::default()
    }
}

/// The trailers of success, once.
fn end(trailers: &mut bool) -> Option<Result<http_body::Frame<Bytes>, tonic::Status>> {
    std::mem::take(trailers).then(|| {
        let mut headers = HeaderMap::with_capacity(1);
        status::write_ok(&mut headers);
        Ok(http_body::Frame::trailers(headers))
    })
}

/// A response that has begun well.
pub(super) fn success(body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, GRPC_PROTO);
    response
}

/// A response that is an error and nothing else.
pub(crate) fn failure(error: &ServeError) -> Response<ReplyBody> {
    let mut response = success(ReplyBody::Empty);
    let headers = response.headers_mut();
    status::write(error, headers);
    if error.kind() == engine::Kind::Unimplemented {
        headers.insert("grpc-accept-encoding", compression::ACCEPTED);
    }
    response
}

const GRPC_PROTO: HeaderValue = HeaderValue::from_static("application/grpc");
