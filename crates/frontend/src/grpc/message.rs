//! Taking a unary call's one message off the wire.

use std::fmt::Display;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use engine::ServeError;

use super::body::RequestBody;
use super::compression::Compression;

/// A flag and a length before each message.
pub(super) const PREFIX: usize = 5;

/// The largest buffer that is reserved on a length's word alone. A client that names
/// a large one gets memory as it sends, not as it promises.
const RESERVE_LIMIT: usize = 4 << 20;

/// Reads the one message of a call, of at most `limit` bytes, compressed or not.
pub(super) struct MessageReader {
    body: RequestBody,
    received: Received,
    compression: Compression,
    limit: usize,
}

impl MessageReader {
    pub(super) fn new(body: RequestBody, compression: Compression, limit: usize) -> Self {
        Self {
            body,
            received: Received::default(),
            compression,
            limit,
        }
    }

    /// The message, when its body has ended. Not to be polled after that.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, ServeError>> {
        while let Some(chunk) = ready!(self.body.poll_chunk(context)) {
            let pushed = chunk
                .map_err(broken_off)
                .and_then(|chunk| self.received.push(chunk, self.limit));
            if let Err(error) = pushed {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(self.finish())
    }

    /// Bytes of it that have come.
    pub(super) fn length(&self) -> usize {
        self.received.bytes().len()
    }

    fn finish(&mut self) -> Result<Bytes, ServeError> {
        let (compressed, message) = std::mem::take(&mut self.received).message()?;
        if compressed {
            self.compression.decompress(&message, self.limit)
        } else {
            Ok(message)
        }
    }
}

/// What has arrived of a message: at first the one chunk that most requests are, then
/// a buffer.
#[derive(Default)]
struct Received {
    first: Bytes,
    buffer: BytesMut,
}

impl Received {
    fn push(&mut self, chunk: Bytes, limit: usize) -> Result<(), ServeError> {
        if self.first.is_empty() && self.buffer.is_empty() {
            self.first = chunk;
        } else {
            if self.buffer.is_empty() {
                let promised = prefix(&self.first).map_or(0, |(_, length)| length);
                self.buffer.reserve(promised.min(RESERVE_LIMIT) + PREFIX);
                self.buffer.extend_from_slice(&self.first);
                self.first = Bytes::new();
            }
            self.buffer.extend_from_slice(&chunk);
        }
        match prefix(self.bytes()) {
            Some((_, length)) if length > limit => Err(too_large(length, limit)),
            Some((_, length)) if self.bytes().len() - PREFIX > length => Err(extra(length)),
            _ => Ok(()),
        }
    }

    fn bytes(&self) -> &[u8] {
        if self.buffer.is_empty() {
            &self.first
        } else {
            &self.buffer
        }
    }

    /// The compression flag and the message, once the body has ended.
    fn message(self) -> Result<(bool, Bytes), ServeError> {
        let mut bytes = if self.buffer.is_empty() {
            self.first
        } else {
            self.buffer.freeze()
        };
        let Some((flag, length)) = prefix(&bytes) else {
            return Err(ServeError::internal(format!(
                "the request ended after {} of the {PREFIX} bytes before its message",
                bytes.len()
            )));
        };
        bytes.advance(PREFIX);
        if bytes.len() < length {
            return Err(ServeError::internal(format!(
                "the request ended after {} of its message's {length} bytes",
                bytes.len()
            )));
        }
        Ok((is_compressed(flag)?, bytes))
    }
}

/// The flag and the length that a message begins with, once they have arrived.
pub(super) fn prefix(bytes: &[u8]) -> Option<(u8, usize)> {
    let (flag, rest) = bytes.split_first()?;
    let length = rest.first_chunk::<4>()?;
    Some((*flag, u32::from_be_bytes(*length) as usize))
}

/// What the flag before a message says.
pub(super) fn is_compressed(flag: u8) -> Result<bool, ServeError> {
    match flag {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ServeError::internal(format!(
            "the flag before the message is {flag}, neither 0 (plain) nor 1 (compressed)"
        ))),
    }
}

/// The error of a body that did not come to its end.
pub(super) fn broken_off(error: impl Display) -> ServeError {
    ServeError::new(
        engine::Kind::Cancelled,
        format!("the request broke off: {error}"),
    )
}

/// The error of a message whose length alone is too much.
pub(super) fn too_large(length: usize, limit: usize) -> ServeError {
    ServeError::resource_exhausted(format!(
        "Received message larger than max ({length} vs. {limit})"
    ))
}

fn extra(length: usize) -> ServeError {
    ServeError::internal(format!(
        "the request goes on after its one message of {length} bytes"
    ))
}

#[cfg(test)]
mod tests {
    use super::Received;
    use bytes::Bytes;
    use engine::Kind;

    fn receive(chunks: &[&'static [u8]], limit: usize) -> Result<(bool, Bytes), Kind> {
        let mut received = Received::default();
        for chunk in chunks {
            received
                .push(Bytes::from_static(chunk), limit)
                .map_err(|error| error.kind())?;
        }
        received.message().map_err(|error| error.kind())
    }

    #[test]
    fn whole_and_in_pieces() {
        let whole = Ok((false, Bytes::from_static(b"abc")));
        assert_eq!(receive(&[b"\0\0\0\0\x03abc"], 3), whole);
        assert_eq!(receive(&[b"\0\0", b"\0\0\x03a", b"bc"], 3), whole);
        assert_eq!(
            receive(&[b"\x01\0\0\0\0"], 3),
            Ok((true, Bytes::from_static(b"")))
        );
    }

    #[test]
    fn too_large_is_refused_by_its_length_alone() {
        assert_eq!(
            receive(&[b"\0\xc0\0\0\0a"], 1 << 31),
            Err(Kind::ResourceExhausted)
        );
        assert_eq!(
            receive(&[b"\0\0\0", b"\0\x04a"], 3),
            Err(Kind::ResourceExhausted)
        );
    }

    #[test]
    fn broken_framing() {
        assert_eq!(receive(&[], 100), Err(Kind::Internal));
        for chunk in [
            &b"\0\0"[..],
            b"\0\0\0\0\x03ab",
            b"\0\0\0\0\x03abcd",
            b"\x02\0\0\0\0",
        ] {
            assert_eq!(receive(&[chunk], 100), Err(Kind::Internal), "{chunk:?}");
        }
    }
}
