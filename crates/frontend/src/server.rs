//! A listening server, from its first accept to its last reply.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, available_parallelism};
use std::time::{Duration, Instant};

use engine::Engine;
use serde::Deserialize;

use crate::acceptor::Acceptor;
use crate::app::Shared;
use crate::control::{Command, CommandQueue};
use crate::drain::Drain;
use crate::io_thread::IoThread;
use crate::lifetime::{ConnectionOptions, seconds};
use crate::listen::{
    self, Entrance, Gate, ListenError, ListenerOptions, Refusals, TlsError, TlsOptions,
};
use crate::metrics::Metrics;
use crate::services::reflection::Descriptors;
use crate::traffic::Traffic;

/// When there is nothing more to send, how long clients may still take to agree to the
/// end of their connection: those that have not by then are gone without a word.
const CLOSE_GRACE: Duration = Duration::from_secs(3);

/// How a server listens and what it takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerOptions {
    /// Where it listens: one place or more.
    pub listeners: Vec<ListenerOptions>,
    /// How many connections there may be, and how long each.
    pub connections: ConnectionOptions,
    /// I/O threads; 0: one for each core the process may use.
    pub io_threads: usize,
    /// Largest request message, bytes.
    pub max_message_bytes: usize,
    /// Whether replies carry `tensor_content` even where the caller did not ask.
    pub tensor_content: bool,
    /// How the REST API answers.
    pub rest: RestOptions,
    /// Path of the page with metrics under TensorFlow Serving's names; `None`: there is none.
    pub monitoring_path: Option<String>,
    /// The text service's model where a request names none.
    pub default_model: Option<String>,
    /// Whether health knows services by TensorFlow Serving's short names as well.
    pub short_health_names: bool,
    /// Whether callers may change which models there are.
    pub control: bool,
}

/// How the REST API answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestOptions {
    /// Deadline of its requests, from when their body is there, seconds.
    #[serde(deserialize_with = "seconds")]
    pub timeout: Option<Duration>,
    /// Whether its pages may be read by scripts of any origin.
    pub cors: bool,
}

/// How long the I/O threads may take to end once they are told to.
const END_LIMIT: Duration = Duration::from_secs(1);

/// A server that listens from the moment it is made until it is stopped or dropped.
pub struct Server {
    shared: Arc<Shared>,
    ports: Vec<u16>,
    entrances: Vec<Arc<Entrance>>,
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
        let gates: Vec<Option<Gate>> = options
            .listeners
            .iter()
            .map(open)
            .collect::<Result<_, _>>()?;
        Self::serve(engine, options, gates).map_err(|error| ListenError {
            place: places(&options.listeners),
            cause: error.to_string(),
        })
    }

    fn serve(
        engine: Arc<Engine>,
        options: &ServerOptions,
        gates: Vec<Option<Gate>>,
    ) -> std::io::Result<Self> {
        let ports = gates.iter().filter_map(|gate| match gate {
            Some(gate) => gate.listener.port().transpose(),
            None => Some(Ok(0)),
        });
        let ports = ports.collect::<Result<_, _>>()?;
        let gates: Vec<Gate> = gates.into_iter().flatten().collect();
        let entrances = gates.iter().map(|gate| Arc::clone(&gate.entrance));
        let entrances = entrances.collect();
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
                .map_err(std::io::Error::other)?,
            connections: options.connections.clone(),
            refusals: Refusals::default(),
            max_message_bytes: options.max_message_bytes,
            tensor_content: options.tensor_content,
            rest: options.rest.clone(),
            monitoring_path: options.monitoring_path.clone(),
            default_model: options.default_model.clone(),
            short_health_names: options.short_health_names,
            control: options.control.then(CommandQueue::default),
        });
        let io: Vec<IoThread> = traffic
            .into_iter()
            .enumerate()
            .map(|(index, traffic)| IoThread::start(index, traffic, Arc::clone(&shared)))
            .collect::<Result<_, _>>()?;
        let queues = io.iter().map(IoThread::queue).collect();
        let acceptor = Acceptor::start(gates, queues, Arc::clone(&shared))?;
        Ok(Self {
            shared,
            ports,
            entrances,
            state: Mutex::new(State::Serving(Threads { acceptor, io })),
        })
    }

    /// The port of each TCP listener, in the order of the options; 0: an optional one that
    /// could not be had.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Greets the connections to come with another certificate and key, wherever there is
    /// TLS. On an error the present ones stay.
    pub fn renew_tls(&self, options: &TlsOptions) -> Result<(), TlsError> {
        let config = listen::server_config(options)?;
        for entrance in &self.entrances {
            entrance.renew_tls(&config);
        }
        Ok(())
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

/// Listens; none where that can't be and need not be.
fn open(options: &ListenerOptions) -> Result<Option<Gate>, ListenError> {
    match listen::open(options) {
        Err(error) if options.is_optional() => {
            log::error!("{error}; the server goes on without it");
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

/// All of them, as a message names them.
fn places(listeners: &[ListenerOptions]) -> String {
    let names: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    names.join(", ")
}
