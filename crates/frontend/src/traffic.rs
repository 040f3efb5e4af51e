//! What one I/O thread has in hand, for the acceptor, which chooses by it, and for a
//! stop, which waits for it. Each thread counts for itself, so that counting is no
//! traffic between the cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The counts of one I/O thread.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    connections: AtomicUsize,
    requests: AtomicUsize,
    lingering: AtomicUsize,
}

impl Traffic {
    /// Connections that the thread has or is about to get.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Requests whose reply has not altogether left for the kernel.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Connections on which all is said, and whose clients have yet to read it.
    pub(crate) fn lingering(&self) -> usize {
        self.lingering.load(Ordering::Relaxed)
    }

    /// Counts a connection until the guard is dropped.
    pub(crate) fn open_connection(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }

    /// Counts a connection's end until the guard is dropped.
    pub(crate) fn begin_linger(self: &Arc<Self>) -> Lingering {
        self.lingering.fetch_add(1, Ordering::Relaxed);
        Lingering(Arc::clone(self))
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }
}

/// One connection at its end.
#[derive(Debug)]
pub(crate) struct Lingering(Arc<Traffic>);

impl Drop for Lingering {
    fn drop(&mut self) {
        self.0.lingering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Traffic>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Traffic>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
