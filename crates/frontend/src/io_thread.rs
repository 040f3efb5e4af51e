//! One thread a core, each with a runtime of its own: nothing is shared between them
//! on the way of a request but the registry's snapshot.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use engine::RUN_STACK;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::app::{App, Shared};
use crate::connection;
use crate::listen::Arrival;
use crate::ticker::{Ticker, run_ticks};
use crate::traffic::{OpenConnection, Traffic};

/// The end that hands connections to a thread.
#[derive(Clone)]
pub(crate) struct ConnectionQueue {
    queue: mpsc::UnboundedSender<(Arrival, OpenConnection)>,
    traffic: Arc<Traffic>,
}

impl ConnectionQueue {
    /// What the thread has in hand.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Hands a connection over; it counts from now.
    pub(crate) fn push(&self, arrival: Arrival) -> std::io::Result<()> {
        self.queue
            .send((arrival, self.traffic.open_connection()))
            .map_err(|_closed| std::io::Error::other("the I/O thread has ended"))
    }
}

/// A running I/O thread.
pub(crate) struct IoThread {
    queue: ConnectionQueue,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl IoThread {
    /// Starts a thread that serves the connections pushed to its queue.
    pub(crate) fn start(
        index: usize,
        traffic: Arc<Traffic>,
        server: Arc<Shared>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (queue, connections) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let counted = Arc::clone(&traffic);
        let thread = std::thread::Builder::new()
            .name(format!("tensorwire-io-{index}"))
            .stack_size(RUN_STACK)
            .spawn(move || {
                let app = Rc::new(App {
                    traffic: counted,
                    ticker: Ticker::default(),
                    server,
                });
                let tasks = LocalSet::new();
                tasks.spawn_local(run_ticks(Rc::clone(&app)));
                tasks.spawn_local(serve_connections(connections, app));
                // Dropping the tasks closes whatever is still open.
                let _ = tasks.block_on(&runtime, ended);
            })?;
        Ok(Self {
            queue: ConnectionQueue { queue, traffic },
            end,
            thread,
        })
    }

    /// The end to push connections to.
    pub(crate) fn queue(&self) -> ConnectionQueue {
        self.queue.clone()
    }

    /// What the thread has in hand.
    pub(crate) fn traffic(&self) -> &Traffic {
        self.queue.traffic()
    }

    /// Has it close what is still open, and end.
    pub(crate) fn end(self) -> JoinHandle<()> {
        let _ = self.end.send(());
        self.thread
    }
}

async fn serve_connections(
    mut connections: mpsc::UnboundedReceiver<(Arrival, OpenConnection)>,
    app: Rc<App>,
) {
    while let Some((arrival, counted)) = connections.recv().await {
        let app = Rc::clone(&app);
        tokio::task::spawn_local(async move {
            let _counted = counted;
            if let Err(error) = connection::serve(arrival, app).await {
                log::debug!("a connection ended with an error: {error}");
            }
        });
    }
}
