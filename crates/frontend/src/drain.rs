//! The way a server stops: told once, seen by every connection, and the count of
//! what is still in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Whether the server is stopping, and what it still has to finish.
#[derive(Debug)]
pub(crate) struct Drain {
    draining: watch::Sender<bool>,
    requests: Arc<AtomicUsize>,
}

impl Drain {
    pub(crate) fn new() -> Self {
        Self {
            draining: watch::Sender::new(false),
            requests: Arc::default(),
        }
    }

    /// From now on: no new connection, every open one finishes and closes.
    pub(crate) fn begin(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.draining.borrow()
    }

    /// A receiver that wakes when [`Self::begin`] is called.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Counts a request until the ticket is dropped.
    pub(crate) fn enter(&self) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.requests))
    }

    /// Requests that have been taken on and whose reply has not yet been handed to
    /// the connection.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Wakes when the drain begins; at once if it has.
pub(crate) async fn begun(mut draining: watch::Receiver<bool>) {
    // An error means that the server is gone altogether.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// One request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
