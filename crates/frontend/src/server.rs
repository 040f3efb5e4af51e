//! A listening server, from its first accept to its last reply.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use engine::Engine;
use serde::Deserialize;
use socket2::{Domain, Protocol, Socket, Type};

use crate::acceptor::Acceptor;
use crate::app::App;
use crate::drain::Drain;
use crate::io_thread::IoThread;
use crate::services::reflection::Descriptors;

/// Connections the kernel may hold for us before they are accepted.
const BACKLOG: i32 = 1024;

/// After the last reply was handed over, how long a connection may take to close
/// before it is closed on a peer that no longer answers.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// How a server listens and what it takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerOptions {
    /// Host name or address to listen on.
    pub host: String,
    /// Port; 0: any free one.
    pub port: u16,
    /// I/O threads; 0: one for each core the process may use.
    pub io_threads: usize,
    /// Largest request message, bytes.
    pub max_message_bytes: usize,
    /// Whether replies carry `tensor_content` even where the caller did not ask.
    pub tensor_content: bool,
    /// The text service's model where a request names none.
    pub default_model: Option<String>,
}

/// Why a server could not start; says the address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {host}:{port}: {cause}")]
pub struct ListenError {
    host: String,
    port: u16,
    cause: std::io::Error,
}

/// A server that listens from the moment it is made until it is stopped or dropped.
pub struct Server {
    app: Arc<App>,
    address: SocketAddr,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    acceptor: Acceptor,
    io: Vec<IoThread>,
}

impl Server {
    /// Listens and serves the engine's models, those it has now and those to come.
    pub fn start(engine: Arc<Engine>, options: &ServerOptions) -> Result<Self, ListenError> {
        let failed = |cause| ListenError {
            host: options.host.clone(),
            port: options.port,
            cause,
        };
        let listener = listen(&options.host, options.port).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let app = Arc::new(App {
            engine,
            drain: Drain::new(),
            descriptors: Descriptors::read(wire::proto::FILE_DESCRIPTOR_SET)
                .map_err(std::io::Error::other)
                .map_err(failed)?,
            max_message_bytes: options.max_message_bytes,
            tensor_content: options.tensor_content,
            default_model: options.default_model.clone(),
        });
        let count = match options.io_threads {
            0 => available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let io: Vec<IoThread> = (0..count)
            .map(|index| IoThread::start(index, Arc::clone(&app)))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let queues = io.iter().map(IoThread::queue).collect();
        let acceptor = Acceptor::start(listener, queues, app.drain.subscribe()).map_err(failed)?;
        Ok(Self {
            app,
            address,
            threads: Mutex::new(Some(Threads { acceptor, io })),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Turns health to `NOT_SERVING`, stops accepting, lets what is in flight finish for
    /// up to `grace`, then closes. `true`: no request was cut off. May be called from
    /// several threads: all return at the same end.
    pub fn stop(&self, grace: Duration) -> bool {
        self.app.drain.begin();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Threads { acceptor, io }) = threads.take() else {
            return true;
        };
        // The acceptor ends first, so that no connection arrives after the count.
        acceptor.join();
        let finished = self.wait_for_connections(&io, grace);
        for thread in io {
            thread.end();
        }
        finished
    }

    /// Waits until every connection has closed by itself, `grace` is over, or only
    /// connections without a request are left and do not close.
    fn wait_for_connections(&self, io: &[IoThread], grace: Duration) -> bool {
        let begun = Instant::now();
        let mut idle_since = None;
        while io.iter().any(|thread| thread.connections() > 0) {
            let now = Instant::now();
            let idle = self.app.drain.requests() == 0;
            if now - begun >= grace {
                return idle;
            }
            let since = *idle_since.get_or_insert(now);
            if !idle {
                idle_since = None;
            } else if now - since >= CLOSE_GRACE {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// Opens the first of the host's addresses that can be listened on.
fn listen(host: &str, port: u16) -> std::io::Result<TcpListener> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut refused = None;
    for address in (bare, port).to_socket_addrs()? {
        match open(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| std::io::Error::other("the host has no address")))
}

fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // `::` means every address, the old ones too.
        socket.set_only_v6(false)?;
    }
    // A restarted server must not wait for its predecessor's closed connections.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
