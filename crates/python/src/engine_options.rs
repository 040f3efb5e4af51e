//! What the engine and a model are told, as Python's JSON has it. `config` in Python
//! checks the values and gives them all; here nothing has a default.

use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use engine::{Batching, Limits, ModelOptions};
use frontend::WarmupOptions;
use pyo3::PyResult;
use request_log::{Format, LogOptions};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use tensorflow::{SessionOptions, Tags};

use crate::error::{invalid_argument, serve_error};

/// The engine's options; times are in seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EngineOptions {
    pub(crate) tensorflow_dir: PathBuf,
    pub(crate) op_libraries: Vec<PathBuf>,
    runner_threads: usize,
    #[serde(with = "LimitFields")]
    limits: Limits,
    #[serde(deserialize_with = "optional_seconds")]
    default_timeout: Option<Duration>,
    pub(crate) measuring: Measuring,
    #[serde(with = "SessionFields")]
    pub(crate) session: SessionOptions,
}

/// How a model is measured when it is loaded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measuring {
    /// The time that measuring one version may take; zero: it is not measured.
    #[serde(deserialize_with = "seconds")]
    pub(crate) budget: Duration,
    /// The folder where measurements are kept for later starts; None: they are not.
    pub(crate) cache: Option<PathBuf>,
}

impl EngineOptions {
    /// Reads the engine's options.
    pub(crate) fn from_json(json: &str) -> PyResult<Self> {
        from_json("the engine's options", json)
    }

    /// What the engine itself is told.
    pub(crate) fn core(&self) -> engine::EngineOptions {
        engine::EngineOptions {
            runner_threads: match self.runner_threads {
                0 => available_parallelism().map_or(1, usize::from),
                count => count,
            },
            limits: self.limits,
            default_timeout: self.default_timeout,
        }
    }
}

/// How one version is loaded and served.
pub(crate) struct LoadOptions {
    /// What the engine is told of it.
    pub(crate) model: ModelOptions,
    /// Which of its graphs is served.
    pub(crate) tags: Tags,
    /// Which requests it runs before it is served.
    pub(crate) warmup: WarmupOptions,
    /// Which of its requests are kept; `None`: none.
    pub(crate) logging: Option<LogOptions>,
}

impl LoadOptions {
    /// Reads the options of one version.
    pub(crate) fn from_json(json: &str) -> PyResult<Self> {
        let ModelFields {
            batching,
            tags,
            warmup,
            logging,
            check_method_name,
        } = from_json("the model's options", json)?;
        Ok(Self {
            model: ModelOptions {
                batching,
                check_method_name,
            },
            tags: Tags::new(tags).map_err(serve_error)?,
            warmup,
            logging: logging.map(|Logging(options)| options),
        })
    }
}

fn from_json<Options: DeserializeOwned>(what: &str, json: &str) -> PyResult<Options> {
    serde_json::from_str(json).map_err(|error| invalid_argument(&format!("{what}: {error}")))
}

#[derive(Deserialize)]
#[serde(remote = "Limits", deny_unknown_fields)]
struct LimitFields {
    requests: usize,
    rows: usize,
    bytes: usize,
}

#[derive(Deserialize)]
#[serde(remote = "SessionOptions", deny_unknown_fields)]
struct SessionFields {
    base: Option<Vec<u8>>,
    intra_op_threads: Option<u32>,
    inter_op_threads: Option<u32>,
    xla: Option<bool>,
    xla_on_cpu: Option<bool>,
    bfloat16: Option<bool>,
    gpu_memory_growth: Option<bool>,
    gpu_memory_fraction: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFields {
    #[serde(with = "BatchingFields")]
    batching: Batching,
    warmup: WarmupOptions,
    logging: Option<Logging>,
    tags: Vec<String>,
    check_method_name: bool,
}

#[derive(Deserialize)]
#[serde(remote = "Batching", deny_unknown_fields)]
struct BatchingFields {
    enabled: bool,
    max_batch_size: Option<usize>,
    #[serde(rename = "batch_timeout_micros", deserialize_with = "optional_micros")]
    batch_timeout: Option<Duration>,
    max_enqueued_batches: Option<usize>,
    num_batch_threads: Option<usize>,
    allowed_batch_sizes: Vec<usize>,
    pad_variable_length_inputs: bool,
    enable_large_batch_splitting: bool,
    max_execution_batch_size: Option<usize>,
}

/// A name for what is given or not: a remote definition has none for an option.
#[derive(Deserialize)]
struct Logging(#[serde(with = "LogFields")] LogOptions);

#[derive(Deserialize)]
#[serde(remote = "LogOptions", deny_unknown_fields)]
struct LogFields {
    prefix: PathBuf,
    #[serde(with = "FormatName")]
    format: Format,
    sampling_rate: f64,
    max_file_bytes: u64,
    #[serde(deserialize_with = "optional_seconds")]
    max_file_age: Option<Duration>,
    max_files: usize,
    max_total_bytes: u64,
    #[serde(deserialize_with = "seconds")]
    flush_interval: Duration,
    queue_records: usize,
    queue_bytes: usize,
    saved_model_tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(remote = "Format", rename_all = "lowercase")]
enum FormatName {
    TfRecord,
    Jsonl,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn optional_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    Option::<f64>::deserialize(deserializer)?
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(D::Error::custom)
}

fn optional_micros<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(Duration::from_micros))
}
