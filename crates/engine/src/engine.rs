//! The engine as its callers hold it: what is served, and what runs it.

use crate::metrics::{FailureCounts, Loads, Names, Warmups};
use crate::{Dispatcher, EngineOptions, Registry};

/// One process's models and the threads that run them.
#[derive(Debug)]
pub struct Engine {
    /// Which models there are.
    pub registry: Registry,
    /// Runs requests on them.
    pub dispatcher: Dispatcher,
    /// Requests that named no model that is served.
    pub unmatched: FailureCounts,
    /// What is counted by models' names, over all of their versions.
    pub names: Names,
    /// The loads of versions.
    pub loads: Loads,
    /// What running versions' own records came to when they were loaded.
    pub warmups: Warmups,
    /// What it was told.
    pub options: EngineOptions,
}

impl Engine {
    /// An engine without models, with its runner threads.
    pub fn new(options: EngineOptions) -> std::io::Result<Self> {
        Ok(Self {
            registry: Registry::default(),
            dispatcher: Dispatcher::new(&options)?,
            unmatched: FailureCounts::new(),
            names: Names::default(),
            loads: Loads::default(),
            warmups: Warmups::default(),
            options,
        })
    }
}
