//! What every request of a server can reach: shared by all I/O threads, never locked.

use std::sync::Arc;

use engine::Engine;

use crate::drain::Drain;
use crate::services::reflection::Descriptors;

/// A server's shared state.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) drain: Drain,
    pub(crate) descriptors: Descriptors,
    /// Largest request message, bytes.
    pub(crate) max_message_bytes: usize,
    /// Whether replies carry `tensor_content` even where the caller did not ask.
    pub(crate) tensor_content: bool,
    /// The text service's model where a request names none.
    pub(crate) default_model: Option<String>,
}
