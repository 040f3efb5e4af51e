//! Taking the messages of a client's stream off the wire, one by one.

use std::fmt::Display;

use bytes::{Buf, Bytes, BytesMut};
use engine::ServeError;
use http_body::Body;
use http_body_util::BodyExt;

use super::compression::Compression;
use super::message::{PREFIX, broken_off, is_compressed, prefix, too_large};

/// A request body as the messages in it. No more is read ahead than the chunk that a
/// message ends in, so that a client gets no further than its answers do.
pub(super) struct MessageStream<B> {
    body: B,
    received: BytesMut,
    compression: Compression,
    limit: usize,
}

impl<B> MessageStream<B>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    /// Messages of at most `limit` bytes each, compressed or not.
    pub(super) fn new(body: B, compression: Compression, limit: usize) -> Self {
        Self {
            body,
            received: BytesMut::new(),
            compression,
            limit,
        }
    }

    /// The next message; `None` when the client has no more. After an error there is
    /// nothing more to read.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ServeError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        self.received.extend_from_slice(&chunk);
                    }
                }
                Some(Err(error)) => return Err(broken_off(error)),
                None if self.received.is_empty() => return Ok(None),
                None => {
                    return Err(ServeError::internal(format!(
                        "the stream ended within a message, after {} bytes of it and its prefix",
                        self.received.len()
                    )));
                }
            }
        }
    }

    /// The next message, if all of it has arrived.
    fn take(&mut self) -> Result<Option<Bytes>, ServeError> {
        let Some((flag, length)) = prefix(&self.received) else {
            return Ok(None);
        };
        if length > self.limit {
            return Err(too_large(length, self.limit));
        }
        let compressed = is_compressed(flag)?;
        if self.received.len() < PREFIX + length {
            return Ok(None);
        }
        self.received.advance(PREFIX);
        let message = self.received.split_to(length).freeze();
        if compressed {
            self.compression.decompress(&message, self.limit).map(Some)
        } else {
            Ok(Some(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MessageStream;
    use crate::grpc::compression::Compression;
    use bytes::Bytes;
    use engine::Kind;
    use futures_util::{FutureExt, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    /// The messages of these chunks, and what ends them.
    fn read(chunks: &[&'static [u8]]) -> (Vec<Bytes>, Option<Kind>) {
        let chunks: Vec<Result<_, &str>> = chunks
            .iter()
            .map(|chunk| match *chunk {
                b"reset" => Err("reset"),
                chunk => Ok(Frame::data(Bytes::from_static(chunk))),
            })
            .collect();
        let body = StreamBody::new(stream::iter(chunks));
        let mut messages = MessageStream::new(body, Compression::Identity, 3);
        let mut read = Vec::new();
        loop {
            match messages.next().now_or_never().unwrap() {
                Ok(Some(message)) => read.push(message),
                Ok(None) => return (read, None),
                Err(error) => return (read, Some(error.kind())),
            }
        }
    }

    #[test]
    fn messages_wherever_the_chunks_end() {
        let whole = read(&[b"\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\x01d"]);
        assert_eq!(whole, (vec!["abc".into(), "".into(), "d".into()], None));
        let pieces = read(&[
            b"\0\0",
            b"\0\0\x03a",
            b"",
            b"bc\0",
            b"\0\0\0\0\0\0\0\0\x01",
            b"d",
        ]);
        assert_eq!(pieces, whole);
        assert_eq!(read(&[]), (vec![], None));
    }

    #[test]
    fn what_ends_a_stream_badly() {
        let good = || vec![Bytes::from_static(b"a")];
        for (chunk, kind) in [
            (&b"\0\0\0\0\x04abcd"[..], Kind::ResourceExhausted),
            (b"\0\xff\xff\xff\xff", Kind::ResourceExhausted),
            (b"\x02\0\0\0\x01a", Kind::Internal),
            (b"\x01\0\0\0\x01a", Kind::Internal),
            (b"\0\0\0", Kind::Internal),
            (b"\0\0\0\0\x03ab", Kind::Internal),
            (b"reset", Kind::Cancelled),
        ] {
            assert_eq!(
                read(&[b"\0\0\0\0\x01a", chunk]),
                (good(), Some(kind)),
                "{chunk:?}"
            );
        }
    }
}
