//! The engine as its callers hold it: what is served, and what runs it.

use crate::{Dispatcher, Registry};

/// One process's models and the threads that run them.
#[derive(Debug)]
pub struct Engine {
    /// Which models there are.
    pub registry: Registry,
    /// Runs requests on them.
    pub dispatcher: Dispatcher,
}

impl Engine {
    /// An engine without models, with this many runner threads.
    pub fn new(runners: usize) -> std::io::Result<Self> {
        Ok(Self {
            registry: Registry::default(),
            dispatcher: Dispatcher::new(runners)?,
        })
    }
}
