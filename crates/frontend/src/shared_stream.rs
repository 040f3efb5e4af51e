//! A connection's socket, shared between its protocol and whoever waits for its end.
//!
//! Closing a socket while the peer still sends (its acknowledgements, say) makes the
//! kernel drop what the peer has not read yet. So after the last reply the socket stays
//! until the peer has closed its side: see [`SharedStream::linger`].

use std::future::pending;
use std::io::{ErrorKind, IoSlice, Result};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::listen::Socket;

/// One of the holders of a socket, which closes with the last of them.
#[derive(Clone)]
pub(crate) struct SharedStream(Arc<Shared>);

struct Shared {
    stream: Stream,
    /// Reads that brought something; it wraps around.
    reads: AtomicUsize,
    /// The same for writes that took something.
    writes: AtomicUsize,
    /// Whether the last one took nothing.
    is_blocked: AtomicBool,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The same expression for a stream of either kind.
macro_rules! either {
    ($stream:expr, $it:ident => $result:expr) => {
        match $stream {
            Stream::Tcp($it) => $result,
            Stream::Unix($it) => $result,
        }
    };
}

impl SharedStream {
    /// Must be called inside the runtime that serves the connection.
    pub(crate) fn new(socket: Socket) -> Result<Self> {
        let stream = match socket {
            Socket::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream)?),
            Socket::Unix(stream) => Stream::Unix(UnixStream::from_std(stream)?),
        };
        Ok(Self(Arc::new(Shared {
            stream,
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            is_blocked: AtomicBool::new(false),
        })))
    }

    /// Whether it is a Unix socket.
    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.0.stream, Stream::Unix(_))
    }

    /// Changes whenever something has come from the peer.
    pub(crate) fn reads(&self) -> usize {
        self.0.reads.load(Ordering::Relaxed)
    }

    /// How far it has come in sending.
    pub(crate) fn sending(&self) -> Sending {
        Sending {
            writes: self.0.writes.load(Ordering::Relaxed),
            is_blocked: self.0.is_blocked.load(Ordering::Relaxed),
        }
    }

    /// Says that no more will be sent, and waits until the peer does the same; what it
    /// still sends is of no interest.
    pub(crate) async fn linger(&self) {
        let _ = self.shut_down();
        let mut discarded = [0; 4096];
        while either!(&self.0.stream, it => it.readable().await).is_ok() {
            match either!(&self.0.stream, it => it.try_read(&mut discarded)) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_gone) => return,
            }
        }
    }

    /// Waits until the peer has closed its side, or the connection has broken. What the
    /// peer sends is left to be read; once there is some, its end is out of sight, and
    /// this waits for ever.
    pub(crate) async fn closed_by_peer(&self) {
        let mut next = [MaybeUninit::uninit()];
        while either!(&self.0.stream, it => it.readable().await).is_ok() {
            let looked = either!(&self.0.stream, it => {
                it.try_io(Interest::READABLE, || SockRef::from(it).peek(&mut next))
            });
            match looked {
                Ok(0) => return,
                Ok(_) => pending().await,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_gone) => return,
            }
        }
    }

    fn shut_down(&self) -> Result<()> {
        either!(&self.0.stream, it => SockRef::from(it).shutdown(Shutdown::Write))
    }

    /// Writes when the socket takes it.
    fn poll_write_with(
        &self,
        context: &mut Context<'_>,
        mut write: impl FnMut(&Stream) -> Result<usize>,
    ) -> Poll<Result<usize>> {
        loop {
            let ready = either!(&self.0.stream, it => it.poll_write_ready(context));
            if ready.is_pending() {
                self.0.is_blocked.store(true, Ordering::Relaxed);
            }
            ready!(ready)?;
            match write(&self.0.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                written => {
                    count(&self.0.writes);
                    self.0.is_blocked.store(false, Ordering::Relaxed);
                    return Poll::Ready(written);
                }
            }
        }
    }
}

/// How far a connection has come in sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sending {
    /// Changes whenever the peer has taken something.
    pub(crate) writes: usize,
    /// Whether more waits to be taken.
    pub(crate) is_blocked: bool,
}

/// Counts what one thread alone does: no need to do it in one step.
fn count(counter: &AtomicUsize) {
    let next = counter.load(Ordering::Relaxed).wrapping_add(1);
    counter.store(next, Ordering::Relaxed);
}

impl AsyncRead for SharedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let Shared { stream, reads, .. } = &*self.0;
        loop {
            ready!(either!(stream, it => it.poll_read_ready(context)))?;
            match either!(stream, it => it.try_read_buf(buffer)) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(_read) => {
                    count(reads);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for SharedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.poll_write_with(context, |stream| either!(stream, it => it.try_write(bytes)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.poll_write_with(
            context,
            |stream| either!(stream, it => it.try_write_vectored(slices)),
        )
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(self.shut_down())
    }
}
