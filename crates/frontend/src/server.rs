//! A listening server, from its first accept to its last reply.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, available_parallelism};
use std::time::{Duration, Instant};

use engine::Engine;
use serde::Deserialize;
use socket2::{Domain, Protocol, Socket, Type};

use crate::acceptor::Acceptor;
use crate::app::Shared;
use crate::control::{Command, CommandQueue};
use crate::drain::Drain;
use crate::io_thread::IoThread;
use crate::metrics::Metrics;
use crate::services::reflection::Descriptors;
use crate::traffic::Traffic;

/// Connections the kernel may hold for us before they are accepted.
const BACKLOG: i32 = 1024;

/// When there is nothing more to send, how long clients may still take to agree to the
/// end of their connection: those that have not by then are gone without a word.
const CLOSE_GRACE: Duration = Duration::from_secs(3);

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
    /// Whether callers may change which models there are.
    pub control: bool,
}

/// Why a server could not start; says the address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {host}:{port}: {cause}")]
pub struct ListenError {
    host: String,
    port: u16,
    cause: std::io::Error,
}

/// How long the I/O threads may take to end once they are told to.
const END_LIMIT: Duration = Duration::from_secs(1);

/// A server that listens from the moment it is made until it is stopped or dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    state: Mutex<State>,
}

enum State {
    Serving(Threads),
    /// With what [`Server::stop`] answered.
    Stopped(bool),
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
        let count = match options.io_threads {
            0 => available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let traffic: Vec<Arc<Traffic>> = (0..count).map(|_| Arc::default()).collect();
        let shared = Arc::new(Shared {
            engine,
            drain: Drain::new(),
            metrics: Metrics::new(traffic.clone()),
            descriptors: Descriptors::read(wire::proto::FILE_DESCRIPTOR_SET)
                .map_err(std::io::Error::other)
                .map_err(failed)?,
            max_message_bytes: options.max_message_bytes,
            tensor_content: options.tensor_content,
            default_model: options.default_model.clone(),
            control: options.control.then(CommandQueue::default),
        });
        let io: Vec<IoThread> = traffic
            .into_iter()
            .enumerate()
            .map(|(index, traffic)| IoThread::start(index, traffic, Arc::clone(&shared)))
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        let queues = io.iter().map(IoThread::queue).collect();
        let acceptor =
            Acceptor::start(listener, queues, shared.drain.subscribe()).map_err(failed)?;
        Ok(Self {
            shared,
            address,
            state: Mutex::new(State::Serving(Threads { acceptor, io })),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request to change the models, waited for up to `timeout`. None if there is
    /// none by then; at once if callers can't change them, and from the stop on.
    pub fn next_command(&self, timeout: Duration) -> Option<Command> {
        self.shared.control.as_ref()?.pop(timeout)
    }

    /// Turns health to `NOT_SERVING`, stops accepting, lets what is in flight finish for
    /// up to `grace`, then closes. `true`: no request was cut off. May be called from
    /// several threads: all return at the same end, with the same answer.
    pub fn stop(&self, grace: Duration) -> bool {
        self.shared.drain.begin();
        if let Some(control) = &self.shared.control {
            control.close();
        }
        self.shared.engine.dispatcher.hurry();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = match std::mem::replace(&mut *state, State::Stopped(false)) {
            State::Serving(threads) => threads.end(grace),
            State::Stopped(finished) => finished,
        };
        *state = State::Stopped(finished);
        finished
    }
}

impl Threads {
    fn end(self, grace: Duration) -> bool {
        // The acceptor ends first, so that no connection arrives after the count.
        self.acceptor.join();
        let finished = wait_for_connections(&self.io, grace);
        // Told first and waited for then, so that they end side by side.
        let ending: Vec<_> = self.io.into_iter().map(IoThread::end).collect();
        let limit = Instant::now() + END_LIMIT;
        let ended = ending.into_iter().map(|thread| join_until(thread, limit));
        ended.fold(finished, |all, one| all && one)
    }
}

/// Waits until every connection has closed by itself or `grace` is over; for those that
/// have nothing more to send and do not close, no longer than [`CLOSE_GRACE`].
fn wait_for_connections(io: &[IoThread], grace: Duration) -> bool {
    let sum = |count: fn(&Traffic) -> usize| io.iter().map(|it| count(it.traffic())).sum::<usize>();
    let begun = Instant::now();
    let mut quiet_since = begun;
    while sum(Traffic::connections) > 0 {
        let now = Instant::now();
        let busy = sum(Traffic::requests) > 0 || sum(Traffic::lingering) > 0;
        if busy {
            quiet_since = now;
        }
        if now - begun >= grace {
            return !busy;
        }
        if now - quiet_since >= CLOSE_GRACE {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// Joins a thread if it ends by `limit`. One that does not is in the middle of a run,
/// which can't be interrupted, and is left to it.
fn join_until(thread: JoinHandle<()>, limit: Instant) -> bool {
    while !thread.is_finished() {
        if Instant::now() >= limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.join().is_ok()
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
