//! Putting replies on the wire: headers, framed messages, trailers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use engine::{ServeError, Timings};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body, SizeHint};
use tokio::sync::mpsc;

use super::message::PREFIX;
use super::{compression, server_timing, status};
use crate::traffic::InFlight;

/// One message with its prefix, written in one buffer and never copied again.
pub(crate) struct Frame {
    buffer: BytesMut,
    timings: Option<Timings>,
}

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
        Ok(Self {
            buffer,
            timings: None,
        })
    }

    /// The same, with timings for the trailers.
    pub(crate) fn with_timings(self, timings: Option<Timings>) -> Self {
        Self { timings, ..self }
    }

    /// Bytes of its message.
    pub(crate) fn message_bytes(&self) -> usize {
        self.buffer.len() - PREFIX
    }

    /// A frame of a generated message.
    pub(crate) fn of(message: &impl prost::Message) -> Result<Self, ServeError> {
        Self::new(message.encoded_len(), |buffer| {
            // A `BytesMut` always has room.
            let _ = message.encode(buffer);
        })
    }
}

/// The sending end of a reply of many messages. The reply ends well when this is
/// dropped, and badly after the first error that is sent.
pub(crate) type Replies = mpsc::Sender<Result<Frame, ServeError>>;

/// A frame that counts as in flight until HTTP/2 has sent the last of it: long after
/// the body is done, if the client reads slowly.
struct HeldFrame {
    frame: Frame,
    _in_flight: InFlight,
}

impl AsRef<[u8]> for HeldFrame {
    fn as_ref(&self) -> &[u8] {
        &self.frame.buffer
    }
}

/// The body of every response.
pub(crate) enum ReplyBody {
    /// A unary reply: its frame, then the trailers of success.
    Unary {
        frame: Option<Bytes>,
        trailers: bool,
        timings: Option<Timings>,
    },
    /// Frames as they come, then the trailers: an error's, or those of success when the
    /// sender is gone.
    Stream {
        frames: mpsc::Receiver<Result<Frame, ServeError>>,
        trailers: bool,
    },
    /// A page that is none of gRPC: no trailers.
    Plain(Option<Bytes>),
    /// Nothing: the headers say it all.
    Empty,
}

impl ReplyBody {
    pub(super) fn unary(frame: Frame, in_flight: InFlight) -> Self {
        let timings = frame.timings;
        let frame = HeldFrame {
            frame,
            _in_flight: in_flight,
        };
        Self::Unary {
            frame: Some(Bytes::from_owner(frame)),
            trailers: true,
            timings,
        }
    }

    pub(super) fn stream(frames: mpsc::Receiver<Result<Frame, ServeError>>) -> Self {
        Self::Stream {
            frames,
            trailers: true,
        }
    }

    pub(crate) fn plain(page: Bytes) -> Self {
        Self::Plain((!page.is_empty()).then_some(page))
    }

    pub(crate) fn empty() -> Self {
        Self::Empty
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let data = |bytes| Poll::Ready(Some(Ok(http_body::Frame::data(bytes))));
        match self.get_mut() {
            Self::Unary {
                frame,
                trailers,
                timings,
            } => match frame.take() {
                Some(bytes) => data(bytes),
                None => Poll::Ready(end(trailers, None, *timings)),
            },
            Self::Stream { frames, trailers } => match frames.poll_recv(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => data(frame.buffer.freeze()),
                Poll::Ready(Some(Err(error))) => Poll::Ready(end(trailers, Some(&error), None)),
                Poll::Ready(None) => Poll::Ready(end(trailers, None, None)),
            },
            Self::Plain(page) => match page.take() {
                Some(bytes) => data(bytes),
                None => Poll::Ready(None),
            },
            Self::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Unary { trailers, .. } | Self::Stream { trailers, .. } => !trailers,
            Self::Plain(page) => page.is_none(),
            Self::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        // A length would become a content-length header, which trailers make wrong.
        SizeHint::default()
    }
}

/// The trailers of success or of an error, once.
fn end(
    trailers: &mut bool,
    error: Option<&ServeError>,
    timings: Option<Timings>,
) -> Option<Result<http_body::Frame<Bytes>, Infallible>> {
    std::mem::take(trailers).then(|| {
        let mut headers = HeaderMap::with_capacity(2);
        match error {
            None => status::write_ok(&mut headers),
            Some(error) => status::write(error, &mut headers),
        }
        if let Some(timings) = timings {
            server_timing::write(&timings, &mut headers);
        }
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
