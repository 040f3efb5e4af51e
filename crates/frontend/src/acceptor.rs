//! The thread that accepts connections and hands each to the I/O thread with the
//! fewest. A gRPC client opens one connection and keeps it, so the kernel's hashing
//! over several listeners would leave cores idle.

use std::io::ErrorKind;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::app::Shared;
use crate::drain::begun;
use crate::io_thread::ConnectionQueue;
use crate::listen::{Arrival, AsyncListener, Entrance, Gate, Socket};

/// How long to wait when accepting fails for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long it is quiet about a shortage that it has warned of.
const WARNING_PAUSE: Duration = Duration::from_secs(10);

/// The accepting thread.
pub(crate) struct Acceptor(JoinHandle<()>);

impl Acceptor {
    /// Accepts until the drain begins.
    pub(crate) fn start(
        gates: Vec<Gate>,
        queues: Vec<ConnectionQueue>,
        server: Arc<Shared>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let queues: Arc<[ConnectionQueue]> = queues.into();
        let mut accepting = JoinSet::new();
        {
            let _inside = runtime.enter();
            for Gate { listener, entrance } in gates {
                let gate = Accepting {
                    listener: listener.into_async()?,
                    entrance,
                    queues: Arc::clone(&queues),
                    server: Arc::clone(&server),
                    quiet_until: None,
                };
                accepting.spawn(gate.accept_connections());
            }
        }
        std::thread::Builder::new()
            .name("tensorwire-accept".into())
            .spawn(move || {
                runtime.block_on(begun(server.drain.subscribe()));
                // Closes the listeners, which are the tasks' own.
                drop(accepting);
                drop(runtime);
            })
            .map(Self)
    }

    /// Waits for the thread to end.
    pub(crate) fn join(self) {
        let _ = self.0.join();
    }
}

/// One listener, and where its connections go.
struct Accepting {
    listener: AsyncListener,
    entrance: Arc<Entrance>,
    queues: Arc<[ConnectionQueue]>,
    server: Arc<Shared>,
    /// Until when no further warning is given.
    quiet_until: Option<Instant>,
}

impl Accepting {
    async fn accept_connections(mut self) {
        loop {
            match self.listener.accept().await {
                Ok(socket) => {
                    if let Err(error) = self.hand_over(socket) {
                        log::debug!("a connection was lost on the way to its thread: {error}");
                    }
                }
                // The client gave up before we came to it: nothing of ours is short.
                Err(error) if gave_up(error.kind()) => {}
                Err(error) => {
                    self.warn(|| format!("cannot accept connections: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn hand_over(&mut self, socket: Socket) -> std::io::Result<()> {
        let limit = self.server.connections.max_connections;
        if limit > 0 && self.open_connections() >= limit {
            self.server.refusals.count_over_limit();
            let so_far = self.server.refusals.over_limit();
            self.warn(|| {
                format!(
                    "closed a new connection: {limit} are open, as many as max_connections \
                     allows; {so_far} closed so since the start"
                )
            });
            return Ok(());
        }
        let arrival = Arrival {
            socket,
            entrance: Arc::clone(&self.entrance),
        };
        match self
            .queues
            .iter()
            .min_by_key(|queue| queue.traffic().connections())
        {
            Some(queue) => queue.push(arrival),
            None => Err(std::io::Error::other("there is no I/O thread")),
        }
    }

    fn open_connections(&self) -> usize {
        let counts = self
            .queues
            .iter()
            .map(|queue| queue.traffic().connections());
        counts.sum()
    }

    fn warn(&mut self, message: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.quiet_until.is_none_or(|until| now >= until) {
            log::warn!("{}", message());
            self.quiet_until = Some(now + WARNING_PAUSE);
        }
    }
}

/// Setting up a connection that its client has reset already fails in other ways too.
fn gave_up(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::InvalidInput
    )
}
