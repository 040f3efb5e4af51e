//! The way a server stops: told once, seen by every connection.

use tokio::sync::watch;

/// Whether the server is stopping.
#[derive(Debug)]
pub(crate) struct Drain(watch::Sender<bool>);

impl Drain {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// From now on: no new connection, every open one finishes and closes.
    pub(crate) fn begin(&self) {
        self.0.send_replace(true);
    }

    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// A receiver that wakes when [`Self::begin`] is called.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.0.subscribe()
    }
}

/// Wakes when the drain begins; at once if it has.
pub(crate) async fn begun(mut draining: watch::Receiver<bool>) {
    // An error means that the server is gone altogether.
    let _ = draining.wait_for(|draining| *draining).await;
}
