//! From an address to an open HTTP/2 connection, and the task that moves its bytes.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use h2::{Ping, PingPong};
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::address::Address;
use crate::options::ChannelOptions;

/// What a server may send ahead of our reading, for one call and for all of them:
/// enough that a reply of megabytes never waits for a round trip.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// Longest HTTP/2 frame we take: fewer, larger frames for large replies.
const FRAME_BYTES: u32 = 1 << 20;

/// The system's own probes find a peer that is gone even where pings are off, and no
/// server minds them.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);

const TIMED_OUT: &str = "no answer within connect_timeout";

/// An open connection; clones share it. It closes when the last of them is gone.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) sender: SendRequest<Bytes>,
    health: Arc<Health>,
}

/// Why a connection could not be made.
#[derive(Clone, Debug)]
pub(crate) struct NoLink {
    /// The cause in a few words.
    pub(crate) why: String,
    /// Whether trying again would end in the same way.
    pub(crate) lasting: bool,
}

impl NoLink {
    pub(crate) fn lasting(why: &str) -> Self {
        Self {
            why: why.to_owned(),
            lasting: true,
        }
    }

    pub(crate) fn passing(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl From<String> for NoLink {
    fn from(why: String) -> Self {
        Self {
            why,
            lasting: false,
        }
    }
}

/// What is known of a connection beside what HTTP/2 says.
#[derive(Default)]
struct Health {
    /// Why we gave it up, if it was we.
    given_up: OnceLock<String>,
    /// Calls under way.
    calls: AtomicUsize,
}

/// A call under way, until dropped: the server is pinged meanwhile.
pub(crate) struct UnderWay(Arc<Health>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// Connects; must run inside the runtime.
    pub(crate) async fn open(address: &Address, options: &ChannelOptions) -> Result<Self, NoLink> {
        let opened = timeout(options.connect_timeout, async {
            if let Some(path) = address.unix_path() {
                let stream = UnixStream::connect(path).await.map_err(|e| cause(&e))?;
                return Self::secure(stream, address, options).await;
            }
            let stream = connect_tcp(address, options).await?;
            Self::secure(stream, address, options).await
        });
        opened
            .await
            .unwrap_or_else(|_| Err(NoLink::passing(TIMED_OUT)))
    }

    async fn secure<S>(
        stream: S,
        address: &Address,
        options: &ChannelOptions,
    ) -> Result<Self, NoLink>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match &options.tls {
            None => Ok(Self::start(stream, options).await?),
            // In a box: most connections are in the clear and need none of its room.
            Some(tls) => {
                let stream = Box::pin(tls.connect(address, stream)).await?;
                Ok(Self::start(stream, options).await?)
            }
        }
    }

    async fn start<S>(stream: S, options: &ChannelOptions) -> Result<Self, String>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, mut connection) = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(|error| cause(&error))?;
        let health = Arc::new(Health::default());
        let pings = options.keepalive_time.and_then(|time| {
            Some(Pings {
                ping_pong: connection.ping_pong()?,
                time,
                timeout: options.keepalive_timeout,
                health: Arc::clone(&health),
            })
        });
        tokio::spawn(drive(connection, pings));
        Ok(Self { sender, health })
    }

    /// Says that a call goes over it.
    pub(crate) fn enter(&self) -> UnderWay {
        self.health.calls.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.health))
    }

    /// Why it was given up on this side.
    pub(crate) fn given_up(&self) -> Option<&str> {
        self.health.given_up.get().map(String::as_str)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.health, &other.health)
    }
}

async fn connect_tcp(address: &Address, options: &ChannelOptions) -> Result<TcpStream, String> {
    let uri: Uri = address
        .uri
        .parse()
        .map_err(|error: http::uri::InvalidUri| error.to_string())?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_keepalive(Some(TCP_KEEPALIVE));
    // Of its own too, which it divides between the addresses of a host name.
    connector.set_connect_timeout(Some(options.connect_timeout));
    let connected = connector.call(uri).await.map_err(|error| cause(&error))?;
    Ok(connected.into_inner())
}

/// Moves the connection's bytes until it ends. What ended it the calls under way learn
/// from HTTP/2 themselves.
async fn drive<S>(connection: Connection<S, Bytes>, pings: Option<Pings>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(pings) = pings else {
        let _ = connection.await;
        return;
    };
    tokio::select! {
        _ = connection => {}
        () = pings.until_unanswered() => {}
    }
}

/// Pings while calls are under way.
struct Pings {
    ping_pong: PingPong,
    time: Duration,
    timeout: Duration,
    health: Arc<Health>,
}

impl Pings {
    /// Ends when a ping was not answered in time; the connection is then dropped.
    async fn until_unanswered(mut self) {
        loop {
            sleep(self.time).await;
            if self.health.calls.load(Ordering::Relaxed) == 0 {
                continue;
            }
            match timeout(self.timeout, self.ping_pong.ping(Ping::opaque())).await {
                Ok(Ok(_)) => {}
                // The connection has ended, and is about to notice.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => {
                    let seconds = self.timeout.as_secs_f64();
                    let why = format!("a ping was not answered within {seconds} s");
                    let _ = self.health.given_up.set(why);
                    return;
                }
            }
        }
    }
}

/// The innermost error's text, without the number that `io::Error` adds to it.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    loop {
        let timed_out = innermost
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
        if timed_out {
            return TIMED_OUT.to_owned();
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => break,
        }
    }
    let text = innermost.to_string();
    match text.split_once(" (os error ") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}
