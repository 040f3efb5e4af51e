//! What HTTP/2 clients rightly send and the HTTP library does not take: it is changed on
//! its way, where it was read to, before the library sees it.
//!
//! - On Unix sockets, the `:authority` of gRPC's C core ([`authority`]).
//! - After the last GOAWAY, a `WINDOW_UPDATE` on a stream that the client began before it
//!   knew. The library ignores such a stream, as RFC 9113, section 6.8, has it, but not
//!   this: it calls it a `PROTOCOL_ERROR`, and every other request of the connection is
//!   lost. It becomes a frame of a type that nobody knows, which is ignored (section 5.5).

mod authority;

use std::future::Future;
use std::io::Result;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::read_through::Reading;

/// What every HTTP/2 client sends ahead of its frames, in bytes.
const PREFACE_BYTES: usize = 24;

/// The head of a frame: three bytes of length, type, flags, four of the stream's number.
const HEAD_BYTES: usize = 9;
const TYPE_AT: usize = 3;
const HEADERS: u8 = 0x1;
const PING: u8 = 0x6;
const WINDOW_UPDATE: u8 = 0x8;
const UNKNOWN: u8 = 0xfe;
const ACK: u8 = 0x1;

/// The PING with which the library follows its first GOAWAY: with the answer to it, it
/// sends the last one, and takes no new stream.
const LAST_PING: &[u8] = &[0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];

/// Longest block of headers that is looked at; longer ones are refused anyway.
const MOST_BLOCK_BYTES: usize = 64 << 10;

/// What an HTTP/2 connection is read through.
pub(crate) struct MendedFrames {
    is_unix: bool,
    /// Bytes of the frame under way, or of the preface, that need not be looked at.
    passing: usize,
    /// The latest stream that the library knows of.
    latest: u32,
    is_finished: bool,
    /// The beginning of a frame whose rest is still to come, and how much there must be of
    /// it.
    held: BytesMut,
    needed: usize,
    /// Whether what is held has been looked at.
    is_ready: bool,
}

impl MendedFrames {
    /// For a stream whose preface is yet to be read.
    pub(crate) fn new(is_unix: bool) -> Self {
        Self {
            is_unix,
            passing: PREFACE_BYTES,
            latest: 0,
            is_finished: false,
            held: BytesMut::new(),
            needed: 0,
            is_ready: false,
        }
    }

    /// Looks at all frames that begin in `bytes`; how many of these can be passed on.
    fn look_through(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        loop {
            let count = self.passing.min(bytes.len() - at);
            self.passing -= count;
            at += count;
            if at == bytes.len() || !self.look(&mut bytes[at..]) {
                return at;
            }
        }
    }

    /// Looks at the frame that begins here; `false`: more of it is needed.
    fn look(&mut self, bytes: &mut [u8]) -> bool {
        self.needed = HEAD_BYTES;
        let Some((&mut [a, b, c, kind, flags, ref stream @ ..], _)) =
            bytes.split_first_chunk_mut::<HEAD_BYTES>()
        else {
            return false;
        };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let stream = u32::from_be_bytes(*stream) & (u32::MAX >> 1);
        let looks_into = match kind {
            HEADERS => self.is_unix && length <= MOST_BLOCK_BYTES,
            PING => flags & ACK != 0 && length == LAST_PING.len(),
            _ => false,
        };
        if looks_into {
            self.needed += length;
        }
        let Some((head, payload)) = bytes
            .get_mut(..self.needed)
            .and_then(|frame| frame.split_at_mut_checked(HEAD_BYTES))
        else {
            return false;
        };
        match kind {
            HEADERS => {
                if !self.is_finished {
                    self.latest = self.latest.max(stream);
                }
                if looks_into {
                    // Whatever is wrong with a block, the HTTP library says.
                    let _ = authority::mend(payload, flags);
                }
            }
            PING => self.is_finished |= payload == LAST_PING,
            WINDOW_UPDATE if self.is_finished && stream > self.latest => head[TYPE_AT] = UNKNOWN,
            _ => {}
        }
        self.passing = HEAD_BYTES + length;
        true
    }
}

impl Reading for MendedFrames {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        loop {
            if self.is_ready {
                let count = self.held.len().min(buffer.remaining());
                buffer.put_slice(&self.held[..count]);
                self.held.advance(count);
                self.is_ready = !self.held.is_empty();
                return Poll::Ready(Ok(()));
            }
            if self.held.is_empty() {
                let start = buffer.filled().len();
                ready!(Pin::new(&mut *stream).poll_read(context, buffer))?;
                let fresh = &mut buffer.filled_mut()[start..];
                let count = self.look_through(fresh);
                let is_all = count == fresh.len();
                self.held.extend_from_slice(&fresh[count..]);
                buffer.set_filled(start + count);
                if is_all || count > 0 {
                    return Poll::Ready(Ok(()));
                }
            }
            let missing = self.needed - self.held.len();
            self.held.reserve(missing);
            let mut rest = (&mut self.held).limit(missing);
            let read = pin!(stream.read_buf(&mut rest)).poll(context);
            if ready!(read)? == 0 {
                // What is left of a frame that never became whole.
                self.is_ready = true;
                continue;
            }
            let mut held = std::mem::take(&mut self.held);
            self.is_ready = self.look(&mut held);
            self.held = held;
            if self.is_ready {
                self.passing -= self.held.len();
            }
        }
    }
}

#[cfg(test)]
mod tests;
