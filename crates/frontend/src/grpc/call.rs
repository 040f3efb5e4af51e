//! What a handler knows of its call beside the message.

use std::time::Instant;

use engine::{Clock, ServeError};
use http::{HeaderMap, HeaderName};

use super::{server_timing, timeout};

const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A call's metadata and when it arrived.
pub(crate) struct Call {
    headers: HeaderMap,
    arrived: Instant,
    /// When its message was there.
    whole: Instant,
}

impl Call {
    pub(crate) fn new(headers: HeaderMap) -> Self {
        let arrived = Instant::now();
        Self {
            headers,
            arrived,
            whole: arrived,
        }
    }

    /// Notes that its message took until now to come.
    pub(super) fn whole_now(&mut self) {
        self.whole = Instant::now();
    }

    /// When it came, and when the caller stops waiting, if it says so.
    pub(crate) fn clock(&self) -> Result<Clock, ServeError> {
        Ok(Clock {
            arrived: self.whole,
            deadline: self.stated_deadline()?,
        })
    }

    /// When the caller stops waiting, if it says so in a way that can be understood.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stated_deadline().ok().flatten()
    }

    fn stated_deadline(&self) -> Result<Option<Instant>, ServeError> {
        let Some(value) = self.headers.get(TIMEOUT) else {
            return Ok(None);
        };
        let timeout = timeout::parse(value.as_bytes()).ok_or_else(|| {
            ServeError::invalid_argument(format!("grpc-timeout {value:?} is not a timeout"))
        })?;
        // Further away than the clock can say is no deadline.
        Ok(self.arrived.checked_add(timeout))
    }

    /// Whether the caller asks where the time went.
    pub(crate) fn wants_timings(&self) -> bool {
        server_timing::is_asked(&self.headers)
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A metadata value that is text.
    pub(crate) fn metadata(&self, key: &HeaderName) -> Option<&str> {
        self.headers.get(key).and_then(|value| value.to_str().ok())
    }
}
