//! Connections that came to nothing, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of a server; changed only where a connection ends.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    over_limit: AtomicU64,
    handshakes: AtomicU64,
}

impl Refusals {
    /// A connection was closed because there were too many.
    pub(crate) fn count_over_limit(&self) {
        self.over_limit.fetch_add(1, Ordering::Relaxed);
    }

    /// A TLS handshake failed.
    pub(crate) fn count_handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections closed because there were too many.
    pub(crate) fn over_limit(&self) -> u64 {
        self.over_limit.load(Ordering::Relaxed)
    }

    /// TLS handshakes that failed.
    pub(crate) fn handshakes(&self) -> u64 {
        self.handshakes.load(Ordering::Relaxed)
    }
}
