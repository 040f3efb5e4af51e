//! What a handler knows of its call beside the message.

use std::time::Instant;

use engine::ServeError;
use http::HeaderMap;
use http::request::Parts;

use super::{server_timing, timeout};

/// A call's metadata and when it arrived.
pub(crate) struct Call {
    headers: HeaderMap,
    arrived: Instant,
}

impl Call {
    pub(crate) fn new(head: Parts) -> Self {
        Self {
            headers: head.headers,
            arrived: Instant::now(),
        }
    }

    /// When the caller stops waiting, if it says so.
    pub(crate) fn deadline(&self) -> Result<Option<Instant>, ServeError> {
        let Some(value) = self.headers.get("grpc-timeout") else {
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
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.headers.get(key).and_then(|value| value.to_str().ok())
    }
}
