//! A request's body as it comes off HTTP/2.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame};

/// The chunks of a request. What is taken makes room for as much on the wire.
pub(crate) struct RequestBody(RecvStream);

impl RequestBody {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self(stream)
    }

    /// The next chunk; `None` when the client has sent all.
    pub(super) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let chunk = ready!(self.0.poll_data(context));
        if let Some(Ok(chunk)) = &chunk {
            // An error means that the stream is gone, which the next poll says.
            let _ = self.0.flow_control().release_capacity(chunk.len());
        }
        Poll::Ready(chunk)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let chunk = ready!(self.get_mut().poll_chunk(context));
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
