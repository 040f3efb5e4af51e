//! A connection or a listener, of TCP or of a Unix socket.

use std::io::Result;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use super::entrance::Entrance;
use super::unix::{SocketFile, UnixGate};

/// Connections the kernel may hold for us before they are accepted.
pub(super) const BACKLOG: i32 = 1024;

/// A peer that vanished without a word is noticed after this much silence.
const KEEPALIVE: Duration = Duration::from_mins(5);

/// A connection on its way to the thread that serves it: not waited for by anyone yet.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection, and where it came in.
pub(crate) struct Arrival {
    pub(crate) socket: Socket,
    pub(crate) entrance: Arc<Entrance>,
}

/// What is listened on, before anyone waits for it.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixGate),
}

/// The same inside a runtime. What is removed with a listener is dropped before it.
pub(crate) enum AsyncListener {
    Tcp(tokio::net::TcpListener),
    Unix {
        _file: Option<SocketFile>,
        listener: tokio::net::UnixListener,
    },
}

impl Listener {
    /// The TCP port; `None`: it is a Unix socket.
    pub(crate) fn port(&self) -> Result<Option<u16>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(|address| Some(address.port())),
            Self::Unix(_) => Ok(None),
        }
    }

    /// Must be called inside the runtime that accepts.
    pub(crate) fn into_async(self) -> Result<AsyncListener> {
        Ok(match self {
            Self::Tcp(listener) => AsyncListener::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Self::Unix(gate) => AsyncListener::Unix {
                _file: gate.file,
                listener: tokio::net::UnixListener::from_std(gate.listener)?,
            },
        })
    }
}

impl AsyncListener {
    /// Waits for the next connection.
    pub(crate) async fn accept(&self) -> Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _peer) = listener.accept().await?;
                // Without it every small reply waits for the peer's delayed
                // acknowledgement, 40 ms.
                stream.set_nodelay(true)?;
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
                SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
                stream.into_std().map(Socket::Tcp)
            }
            Self::Unix { listener, .. } => {
                let (stream, _peer) = listener.accept().await?;
                stream.into_std().map(Socket::Unix)
            }
        }
    }
}
