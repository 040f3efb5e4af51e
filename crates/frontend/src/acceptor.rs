//! The thread that accepts connections and hands each to the I/O thread with the
//! fewest. A gRPC client opens one connection and keeps it, so the kernel's hashing
//! over several listeners would leave cores idle.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::drain::begun;
use crate::io_thread::ConnectionQueue;

/// A peer that vanished without a word is noticed after this much silence.
const KEEPALIVE: Duration = Duration::from_mins(5);

/// How long to wait when accepting fails for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long it is quiet about a shortage that it has warned of.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// The accepting thread.
pub(crate) struct Acceptor(JoinHandle<()>);

impl Acceptor {
    /// Accepts until the drain begins.
    pub(crate) fn start(
        listener: TcpListener,
        queues: Vec<ConnectionQueue>,
        draining: watch::Receiver<bool>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let accept = async move {
            tokio::select! {
                () = begun(draining) => {}
                () = accept_connections(&listener, &queues) => {}
            }
        };
        std::thread::Builder::new()
            .name("tensorwire-accept".into())
            .spawn(move || runtime.block_on(accept))
            .map(Self)
    }

    /// Waits for the thread to end.
    pub(crate) fn join(self) {
        let _ = self.0.join();
    }
}

async fn accept_connections(listener: &tokio::net::TcpListener, queues: &[ConnectionQueue]) {
    let mut warned: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => {
                if let Err(error) = hand_over(stream, queues) {
                    log::debug!("a connection was lost on the way to its thread: {error}");
                }
            }
            // The client gave up before we came to it: nothing of ours is short.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if warned.is_none_or(|last| last.elapsed() >= WARNING_PAUSE) {
                    log::warn!("cannot accept connections: {error}");
                    warned = Some(Instant::now());
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn hand_over(stream: TcpStream, queues: &[ConnectionQueue]) -> std::io::Result<()> {
    // Without it every small reply waits for the peer's delayed acknowledgement, 40 ms.
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    let stream = stream.into_std()?;
    match queues
        .iter()
        .min_by_key(|queue| queue.traffic().connections())
    {
        Some(queue) => queue.push(stream),
        None => Err(std::io::Error::other("there is no I/O thread")),
    }
}
