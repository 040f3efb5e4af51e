//! How a channel connects, and how often it tries.

use std::time::Duration;

use crate::tls::Tls;

/// Settings of a [`crate::Channel`].
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// HTTP/2 pings at this distance while calls are under way; `None`: no pings.
    pub keepalive_time: Option<Duration>,
    /// How long the answer to a ping may take before the connection counts as lost.
    pub keepalive_timeout: Duration,
    /// Attempts after the first, for a call that found a server unavailable.
    pub retries: u32,
    /// The pause before the first retry; it doubles with each.
    pub retry_initial_backoff: Duration,
    /// The longest such pause.
    pub retry_max_backoff: Duration,
    /// Longest message sent or received, in bytes.
    pub max_message_bytes: usize,
    /// `None`: it speaks in the clear.
    pub tls: Option<Tls>,
    /// What the `user-agent` header begins with.
    pub user_agent: String,
}
