//! gRPC's C core, which Python's and C++'s clients are built on, names a server behind a
//! Unix socket by the socket's path: `:authority` is `%2Frun%2Fserver.sock`. The HTTP
//! library takes no percent sign in a host, and would reset each such call. So on Unix
//! sockets these signs become dashes before it sees them: as many bytes as before, so
//! that neither frames nor header tables change their size.

use std::future::Future;
use std::io::Result;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::read_through::Reading;

/// What every HTTP/2 client sends ahead of its frames, in bytes.
const PREFACE_BYTES: usize = 24;

/// The head of a frame: three bytes of length, type, flags, four of the stream's number.
const FRAME_HEAD_BYTES: usize = 9;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Longest block of headers that is looked at; longer ones are refused anyway.
const MOST_BLOCK_BYTES: usize = 64 << 10;

const READ_BYTES: usize = 32 << 10;

/// `:authority` in HPACK's static table.
const AUTHORITY_INDEX: usize = 1;
const AUTHORITY: &[u8] = b":authority";

/// What an HTTP/2 connection over a Unix socket is read through, for the HTTP library to
/// take it.
pub(crate) struct UnixAuthority {
    held: BytesMut,
    /// Bytes at the beginning of `held` that have been looked at.
    ready: usize,
    /// Bytes of the frame under way that need not be looked at.
    passing: usize,
}

impl UnixAuthority {
    /// For a stream whose preface is yet to be read.
    pub(crate) fn new() -> Self {
        Self {
            held: BytesMut::new(),
            ready: 0,
            passing: PREFACE_BYTES,
        }
    }

    /// Looks at what is held, as far as frames are whole that must be.
    fn look(&mut self) {
        loop {
            let rest = &mut self.held[self.ready..];
            if self.passing > 0 {
                let count = self.passing.min(rest.len());
                self.passing -= count;
                self.ready += count;
                if count == 0 {
                    return;
                }
                continue;
            }
            let Some(&[a, b, c, kind, flags, ..]) = rest.first_chunk::<FRAME_HEAD_BYTES>() else {
                return;
            };
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let whole = FRAME_HEAD_BYTES + length;
            if kind != HEADERS || length > MOST_BLOCK_BYTES {
                self.passing = whole;
                continue;
            }
            let Some(frame) = rest.get_mut(..whole) else {
                return;
            };
            // Whatever is wrong with a block, the HTTP library says.
            let _ = mend(&mut frame[FRAME_HEAD_BYTES..], flags);
            self.ready += whole;
        }
    }
}

/// Mends the authority in the payload of a HEADERS frame; `None`: the block is broken.
fn mend(payload: &mut [u8], flags: u8) -> Option<()> {
    let mut start = 0;
    let mut end = payload.len();
    if flags & PADDED != 0 {
        end = end.checked_sub(usize::from(*payload.first()?))?;
        start += 1;
    }
    if flags & PRIORITY != 0 {
        start += 5;
    }
    let mut block = Block {
        bytes: payload.get_mut(start..end)?,
        at: 0,
    };
    while let Some(first) = block.peek() {
        let prefix = match first {
            0x80.. => 7,
            0x40..0x80 => 6,
            0x20..0x40 => 5,
            0..0x20 => 4,
        };
        let number = block.integer(prefix)?;
        if prefix == 7 || prefix == 5 {
            // A field of a table, and a table's new size.
            continue;
        }
        let is_authority = match number {
            0 => {
                let (plain, name) = block.string()?;
                plain && name == AUTHORITY
            }
            index => index == AUTHORITY_INDEX,
        };
        let (plain, value) = block.string()?;
        // The C core compresses no such value.
        if is_authority && plain {
            for byte in value.iter_mut().filter(|byte| **byte == b'%') {
                *byte = b'-';
            }
        }
    }
    Some(())
}

/// A block of headers in HPACK's representation, RFC 7541.
struct Block<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Block<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// An integer whose first byte has so many bits of it; section 5.1.
    fn integer(&mut self, prefix: u32) -> Option<usize> {
        let most = (1_usize << prefix) - 1;
        let mut value = usize::from(self.next()?) & most;
        if value < most {
            return Some(value);
        }
        for shift in (0..28).step_by(7) {
            let byte = usize::from(self.next()?);
            value += (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A string, and whether it is in the clear; section 5.2.
    fn string(&mut self) -> Option<(bool, &mut [u8])> {
        let plain = self.peek()? & 0x80 == 0;
        let length = self.integer(7)?;
        let start = self.at;
        self.at = start.checked_add(length)?;
        Some((plain, self.bytes.get_mut(start..self.at)?))
    }
}

impl Reading for UnixAuthority {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        while self.ready == 0 {
            self.held.reserve(READ_BYTES);
            let read = pin!(stream.read_buf(&mut self.held)).poll(context);
            if ready!(read)? == 0 {
                // What is left of a frame that never became whole.
                self.ready = self.held.len();
                break;
            }
            self.look();
        }
        let count = self.ready.min(buffer.remaining());
        buffer.put_slice(&self.held[..count]);
        self.held.advance(count);
        self.ready -= count;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::{PREFACE_BYTES, UnixAuthority};
    use crate::read_through::ReadThrough;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    fn string(text: &[u8]) -> Vec<u8> {
        assert!(text.len() < 127);
        [&[u8::try_from(text.len()).unwrap()], text].concat()
    }

    /// What comes of these bytes, sent a few at a time.
    async fn passed(bytes: Vec<u8>, chunk: usize) -> Vec<u8> {
        let (mut client, server) = duplex(chunk);
        let send = async move {
            client.write_all(&bytes).await.unwrap();
            drop(client);
        };
        let receive = async move {
            let mut all = Vec::new();
            ReadThrough::new(server, UnixAuthority::new())
                .read_to_end(&mut all)
                .await
                .unwrap();
            all
        };
        tokio::join!(send, receive).1
    }

    #[tokio::test]
    async fn percent_signs_of_the_authority_become_dashes_and_nothing_else_changes() {
        let other = [&[0x40][..], &string(b"x-other"), &string(b"50%2F")].concat();
        let by_name = |value: &[u8]| [&[0x40][..], &string(b":authority"), &string(value)].concat();
        let by_index = |value: &[u8]| [&[0x01][..], &string(value)].concat();
        let whole = |one: &[u8], two: &[u8]| {
            let block = [&[0x83, 0x3f, 0xe1, 0x1f, 0x86][..], &other, one, &other].concat();
            let padded = [&[2][..], &[0; 5], two, &other, &b"%%"[..]].concat();
            [
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
                frame(4, 0, &[]),
                frame(1, 4, &block),
                frame(0, 0, &b"100% data".repeat(9000)),
                frame(1, 0x28, &padded),
                frame(0, 1, b""),
            ]
            .concat()
        };
        let sent = whole(&by_name(b"%2Frun%2Fx"), &by_index(b"%2Frun%2Fy"));
        let wanted = whole(&by_name(b"-2Frun-2Fx"), &by_index(b"-2Frun-2Fy"));
        for chunk in [1, 7, 1000, 1 << 20] {
            assert!(passed(sent.clone(), chunk).await == wanted, "{chunk}");
        }
    }

    #[tokio::test]
    async fn what_is_broken_passes_as_it_is() {
        let preface = vec![b'x'; PREFACE_BYTES];
        for broken in [
            frame(1, 0x08, &[200, 1]),
            frame(1, 0x20, &[1]),
            frame(1, 0, &[0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            frame(1, 0, &[0x41, 100, b'%']),
            frame(1, 0, b"")[..5].to_vec(),
            [&[0, 1, 0, 1, 4, 0, 0, 0, 1][..], &[0x41, 2, b'%', b'%']].concat(),
        ] {
            let sent = [preface.clone(), broken].concat();
            assert_eq!(passed(sent.clone(), 64).await, sent);
        }
    }
}
