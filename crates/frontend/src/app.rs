//! What every request can reach, never locked.

use std::sync::Arc;

use engine::Engine;

use crate::control::{CommandQueue, Permitted};
use crate::drain::Drain;
use crate::lifetime::ConnectionOptions;
use crate::listen::Refusals;
use crate::metrics::Metrics;
use crate::server::RestOptions;
use crate::services::reflection::Descriptors;
use crate::ticker::Ticker;
use crate::traffic::Traffic;
use crate::under_way::UnderWay;

/// A server's state as one I/O thread sees it.
pub(crate) struct App {
    /// What this thread has in hand.
    pub(crate) traffic: Arc<Traffic>,
    /// The requests that this thread runs itself.
    pub(crate) ticker: Ticker,
    /// Shared by all threads.
    pub(crate) server: Arc<Shared>,
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.server
    }
}

/// What all I/O threads share.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) drain: Drain,
    pub(crate) metrics: Metrics,
    /// How many connections there may be, and how long each.
    pub(crate) connections: ConnectionOptions,
    /// Connections that came to nothing.
    pub(crate) refusals: Refusals,
    pub(crate) descriptors: Descriptors,
    /// Largest request message, bytes.
    pub(crate) max_message_bytes: usize,
    /// What requests take that are still coming.
    pub(crate) under_way: UnderWay,
    /// Whether replies carry `tensor_content` even where the caller did not ask.
    pub(crate) tensor_content: bool,
    /// How the REST API answers.
    pub(crate) rest: RestOptions,
    /// Where TensorFlow Serving's metrics are; `None`: nowhere.
    pub(crate) monitoring_path: Option<String>,
    /// The text service's model where a request names none.
    pub(crate) default_model: Option<String>,
    /// Whether health knows services by TensorFlow Serving's short names as well.
    pub(crate) short_health_names: bool,
    /// Which commands callers may give.
    pub(crate) permitted: Permitted,
    /// The way to the control plane.
    pub(crate) control: CommandQueue,
}
