//! What is kept of a model's requests, and where.

use std::path::PathBuf;
use std::time::Duration;

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A `TFRecord` file of `PredictionLog`: a model's warmup file has the same.
    TfRecord,
    /// A line for each `PredictionLog`, in protobuf's JSON.
    Jsonl,
}

impl Format {
    /// What its files' names end in.
    pub fn extension(self) -> &'static str {
        match self {
            Self::TfRecord => "tfrecord",
            Self::Jsonl => "jsonl",
        }
    }
}

/// The log of one model.
#[derive(Clone, Debug, PartialEq)]
pub struct LogOptions {
    /// What the files' names begin with, folder included.
    pub prefix: PathBuf,
    /// Their form.
    pub format: Format,
    /// The share of requests that is kept, from 0 to 1.
    pub sampling_rate: f64,
    /// Bytes after which another file is begun; one record may be larger.
    pub max_file_bytes: u64,
    /// The age after which another file is begun; `None`: whatever its age.
    pub max_file_age: Option<Duration>,
    /// Most files that are kept, the oldest are removed; 0: all.
    pub max_files: usize,
    /// Most bytes of all files that are kept; 0: any.
    pub max_total_bytes: u64,
    /// How long a record may wait in memory before it is handed to the system.
    pub flush_interval: Duration,
    /// Most records that wait to be written.
    pub queue_records: usize,
    /// Most bytes of messages that wait to be written.
    pub queue_bytes: usize,
    /// The tags the model was loaded by, as `LogMetadata` names them.
    pub saved_model_tags: Vec<String>,
}
