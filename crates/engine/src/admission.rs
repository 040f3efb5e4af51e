//! How much work is let in: over the limits a request is refused at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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
    requests: usize,
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
        let limits = self.limits;
        check_alone(rows, limits.rows, "rows")?;
        check_alone(bytes, limits.bytes, "bytes of input")?;
        take(&self.requests, 1, limits.requests, "requests")?;
        // From here on what was taken is given back on the way out.
        let mut permit = Permit {
            admission: Arc::clone(self),
            requests: 1,
            rows: 0,
            bytes: 0,
        };
        take(&self.rows, rows, limits.rows, "rows")?;
        permit.rows = rows;
        take(&self.bytes, bytes, limits.bytes, "bytes of input")?;
        permit.bytes = bytes;
        Ok(permit)
    }

    /// Requests, rows and bytes let in and not given back.
    pub(crate) fn in_flight(&self) -> Limits {
        Limits {
            requests: self.requests.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// A request that could never be let in is told so: no later try can go well.
fn check_alone(wanted: usize, limit: usize, unit: &str) -> Result<(), ServeError> {
    if limit == 0 || wanted <= limit {
        return Ok(());
    }
    Err(ServeError::resource_exhausted(format!(
        "the request alone has {wanted} {unit}, and the server takes {limit} {unit} at once for \
         all requests together; send it in smaller ones"
    )))
}

/// Takes `wanted` if that stays within the limit; 0: without a limit.
fn take(taken: &AtomicUsize, wanted: usize, limit: usize, unit: &str) -> Result<(), ServeError> {
    let before = taken.fetch_add(wanted, Ordering::Relaxed);
    if limit == 0 || before.saturating_add(wanted) <= limit {
        return Ok(());
    }
    taken.fetch_sub(wanted, Ordering::Relaxed);
    let full = ServeError::resource_exhausted(format!(
        "the server is full: {before} {unit} of {limit} are in flight, and this request has \
         {wanted}; try again later"
    ));
    // A hint in any case; the dispatcher knows a better one.
    Err(full.retry_after(Duration::ZERO))
}

impl Permit {
    /// Takes over the share of another request of the same engine, for a reply to both.
    pub fn join(&mut self, mut other: Self) {
        debug_assert!(Arc::ptr_eq(&self.admission, &other.admission));
        self.requests += std::mem::take(&mut other.requests);
        self.rows += std::mem::take(&mut other.rows);
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission
            .requests
            .fetch_sub(self.requests, Ordering::Relaxed);
        self.admission.rows.fetch_sub(self.rows, Ordering::Relaxed);
        self.admission
            .bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
