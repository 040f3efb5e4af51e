//! The engine's only way out: whoever runs the graph.

use std::time::Instant;

use tensor::Tensor;

use crate::{Feed, RunMode, ServeError};

/// One run of one signature.
#[derive(Debug)]
pub struct Run<'a> {
    /// Index into the model's signatures.
    pub signature: usize,
    /// One feed for each input of the signature, in its order.
    pub feeds: Vec<Feed>,
    /// Which outputs to fetch, as indices into the signature's outputs.
    pub outputs: &'a [usize],
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// In whose threads, where the executor has the choice.
    pub mode: RunMode,
}

/// Runs a loaded model's signatures; one executor a model version.
///
/// Runs may come from many threads at once. Dropping the executor frees the model.
pub trait Executor: Send + Sync + 'static {
    /// Runs, and returns when it is done; answers one tensor for each of `run.outputs`, in
    /// their order.
    fn run(&self, run: Run<'_>) -> Result<Vec<Tensor>, ServeError>;

    /// Whether the time of a run can depend on the values of its inputs and not only on
    /// their sizes (a loop): then no measure of earlier runs says how long the next is.
    fn is_unpredictable(&self) -> bool {
        false
    }

    /// Whether a run of this signature (its index) may change what later runs answer or do
    /// something outside of the model: then it must not be run but for a request.
    fn has_effects(&self, _signature: usize) -> bool {
        false
    }
}
