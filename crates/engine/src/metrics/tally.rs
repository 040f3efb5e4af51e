//! The guard by which a request is counted however it ends.

use std::sync::Arc;

use super::MessageSizes;
use crate::{Kind, ServedModel, Timings};

/// A request on a model that was found. Dropped uncounted (its caller has gone away, or a
/// panic), it counts as CANCELLED.
#[derive(Debug)]
#[must_use = "the request counts as cancelled when this is dropped"]
pub struct Tally {
    model: Arc<ServedModel>,
    signature: Option<usize>,
    counted: bool,
}

impl Tally {
    /// Begins with the model that the request named, and the index of its signature where
    /// that is known.
    pub fn new(model: Arc<ServedModel>, signature: Option<usize>) -> Self {
        Self {
            model,
            signature,
            counted: false,
        }
    }

    /// The model.
    pub fn model(&self) -> &Arc<ServedModel> {
        &self.model
    }

    /// Counts a good end. Without a signature nothing is counted: such a request can't
    /// have run.
    pub fn succeeded(mut self, timings: &Timings, sizes: MessageSizes) {
        self.counted = true;
        if let Some(signature) = self.signature {
            self.model.metrics.record(signature, timings, sizes);
        }
    }

    /// Counts a bad end.
    pub fn failed(mut self, kind: Kind) {
        self.counted = true;
        self.model.metrics.record_failure(self.signature, kind);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.counted {
            let metrics = &self.model.metrics;
            metrics.record_failure(self.signature, Kind::Cancelled);
        }
    }
}
