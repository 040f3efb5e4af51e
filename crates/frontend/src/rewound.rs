//! The bytes that were read from a stream to begin with, read once more.

use std::io::Result;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use crate::read_through::Reading;

/// What was taken from a stream, and is read before the rest of it.
pub(crate) struct Rewound(pub(crate) Bytes);

impl Reading for Rewound {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let Self(first) = self;
        if first.is_empty() {
            return Pin::new(stream).poll_read(context, buffer);
        }
        let length = first.len().min(buffer.remaining());
        buffer.put_slice(&first[..length]);
        first.advance(length);
        Poll::Ready(Ok(()))
    }
}
