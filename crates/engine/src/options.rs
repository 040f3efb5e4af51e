//! What the control plane tells the engine, for all models and for one.

use std::time::Duration;

/// What the engine as a whole is told.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Threads that run what would hold an I/O thread up; 0: one for each core.
    pub runner_threads: usize,
    /// How much work may wait or run at once.
    pub limits: Limits,
    /// The deadline of requests that come without one.
    pub default_timeout: Option<Duration>,
}

/// How much admitted work there may be at once, waiting and running together; 0 of any:
/// without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests.
    pub requests: usize,
    /// Rows: the sizes of the requests' first dimensions; 1 for one without.
    pub rows: usize,
    /// Bytes of input tensors.
    pub bytes: usize,
}

/// What the engine is told of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelOptions {
    /// How its requests become batches.
    pub batching: Batching,
    /// Whether a signature answers only the kind of request that its `method_name` says,
    /// as TensorFlow Serving does with `--enable_signature_method_name_check`.
    pub check_method_name: bool,
}

/// How a model's requests become batches: TensorFlow Serving's `BatchingParameters`,
/// each with its meaning there. What is `None` comes from the model's measured cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batching {
    /// `false`: each request runs alone.
    pub enabled: bool,
    /// Most rows (not requests) of a batch, and of a request unless large ones are split.
    pub max_batch_size: Option<usize>,
    /// How long a batch that is not full waits for more while a thread is free. None
    /// and zero: not at all.
    pub batch_timeout: Option<Duration>,
    /// Most full batches that may wait for each signature; over it requests are refused
    /// with UNAVAILABLE, as TensorFlow Serving does. None: only the engine's limits.
    pub max_enqueued_batches: Option<usize>,
    /// Most batches of the model that run at once. None: as many as there are threads.
    pub num_batch_threads: Option<usize>,
    /// Sizes that a batch is padded up to, ascending, the last `max_batch_size`; empty:
    /// any size.
    pub allowed_batch_sizes: Vec<usize>,
    /// Whether requests of different inner sizes may share a batch, padded to the
    /// largest with the first element of each tensor.
    pub pad_variable_length_inputs: bool,
    /// Whether a request larger than `max_execution_batch_size` is split over batches.
    pub enable_large_batch_splitting: bool,
    /// Most rows of a batch that is run, where large requests are split. None:
    /// `max_batch_size`.
    pub max_execution_batch_size: Option<usize>,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            enabled: true,
            max_batch_size: None,
            batch_timeout: None,
            max_enqueued_batches: None,
            num_batch_threads: None,
            allowed_batch_sizes: Vec::new(),
            pad_variable_length_inputs: false,
            enable_large_batch_splitting: false,
            max_execution_batch_size: None,
        }
    }
}
