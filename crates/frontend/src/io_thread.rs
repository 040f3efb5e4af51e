//! One thread a core, each with a runtime of its own: nothing is shared between them
//! on the way of a request but the registry's snapshot.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use engine::RUN_STACK;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::app::App;
use crate::connection;

/// The end that hands connections to a thread.
#[derive(Clone)]
pub(crate) struct ConnectionQueue {
    queue: mpsc::UnboundedSender<(TcpStream, OpenConnection)>,
    open: Arc<AtomicUsize>,
}

impl ConnectionQueue {
    /// How many connections the thread has or is about to get.
    pub(crate) fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Hands a connection over; it counts from now.
    pub(crate) fn push(&self, stream: TcpStream) -> std::io::Result<()> {
        self.open.fetch_add(1, Ordering::Relaxed);
        let counted = OpenConnection(Arc::clone(&self.open));
        self.queue
            .send((stream, counted))
            .map_err(|_closed| std::io::Error::other("the I/O thread has ended"))
    }
}

/// One open connection, counted until dropped.
struct OpenConnection(Arc<AtomicUsize>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
    pub(crate) fn start(index: usize, app: Arc<App>) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (queue, connections) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(format!("tensorwire-io-{index}"))
            .stack_size(RUN_STACK)
            .spawn(move || {
                let tasks = LocalSet::new();
                tasks.spawn_local(serve_connections(connections, app));
                // Dropping the tasks closes whatever is still open.
                let _ = tasks.block_on(&runtime, ended);
            })?;
        Ok(Self {
            queue: ConnectionQueue {
                queue,
                open: Arc::default(),
            },
            end,
            thread,
        })
    }

    /// The end to push connections to.
    pub(crate) fn queue(&self) -> ConnectionQueue {
        self.queue.clone()
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.queue.connections()
    }

    /// Closes what is still open and waits for the thread to end.
    pub(crate) fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}

async fn serve_connections(
    mut connections: mpsc::UnboundedReceiver<(TcpStream, OpenConnection)>,
    app: Arc<App>,
) {
    while let Some((stream, counted)) = connections.recv().await {
        let app = Arc::clone(&app);
        tokio::task::spawn_local(async move {
            let _counted = counted;
            if let Err(error) = connection::serve(stream, app).await {
                log::debug!("a connection ended with an error: {error}");
            }
        });
    }
}
