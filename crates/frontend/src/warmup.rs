//! A version's own recorded requests, run before it is served: TensorFlow Serving's warm-up,
//! with its rules and texts. In the thread that loads, by the code that answers requests.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use engine::{Kind, ServeError, ServedModel};
use serde::Deserialize;
use wire::warmup::{FILE, Log, LogKind, RecordError, Records, read_log};

use crate::recorded::Recorded;

/// Most records of a file.
const MAX_RECORDS: usize = 1000;

/// Most warnings about single records of one file.
const MOST_WARNINGS: u64 = 5;

/// How a version is warmed up; Python gives all of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmupOptions {
    /// Whether it is at all.
    pub enabled: bool,
    /// How often each record is run.
    pub iterations: u32,
    /// What a record comes to that fails.
    pub failing: Failing,
    /// The file of records; `None`: the one in the version's folder, if it has one.
    pub file: Option<PathBuf>,
}

/// What a failure comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failing {
    /// The version is not served, as in TensorFlow Serving.
    Refuse,
    /// It is served, and a warning says what failed.
    Warn,
}

/// What warming up came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warmed {
    /// Records that were read.
    pub records: u64,
    /// Those of them that failed; more than none only where that is no error.
    pub failed: u64,
}

/// Runs the records of the version in the folder at `path` on `model`, which is not served
/// yet, until `cancelled` is set; `None`: it has none. `warmed` counts them as they go.
///
/// # Errors
/// What TensorFlow Serving says of a file that can't be used, or what a record failed with,
/// unless failures are warnings; CANCELLED.
pub fn warm_up(
    model: &Arc<ServedModel>,
    path: &Path,
    options: &WarmupOptions,
    cancelled: &AtomicBool,
    warmed: &mut Warmed,
) -> Option<Result<(), ServeError>> {
    if !options.enabled {
        return None;
    }
    let path = options.file.clone().unwrap_or_else(|| path.join(FILE));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && options.file.is_none() => {
            return None;
        }
        Err(error) => {
            let message = format!("{} can't be read: {error}", path.display());
            return Some(settle(ServeError::failed_precondition(message), options));
        }
    };
    let mut run = Run {
        model,
        path: &path,
        options,
        cancelled,
        warmed,
    };
    let outcome = run.all(Records::of(BufReader::new(file)));
    Some(outcome.or_else(|error| settle(error, options)))
}

/// The error, or a warning of it.
fn settle(error: ServeError, options: &WarmupOptions) -> Result<(), ServeError> {
    if options.failing == Failing::Refuse || error.kind() == Kind::Cancelled {
        return Err(error);
    }
    log::warn!("warming up goes no further: {}", error.message());
    Ok(())
}

struct Run<'a> {
    model: &'a Arc<ServedModel>,
    path: &'a Path,
    options: &'a WarmupOptions,
    cancelled: &'a AtomicBool,
    warmed: &'a mut Warmed,
}

impl Run<'_> {
    fn all(&mut self, records: Records<BufReader<File>>) -> Result<(), ServeError> {
        for (number, record) in records.enumerate() {
            let record = record.map_err(|error| unreadable(&error, self.path))?;
            if number >= MAX_RECORDS {
                return Err(ServeError::invalid_argument(format!(
                    "Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {}",
                    self.path.display()
                )));
            }
            self.warmed.records += 1;
            if let Err(error) = self.one(&record) {
                self.warmed.failed += 1;
                let known = error.kind() == Kind::Unimplemented;
                let error = if known {
                    error
                } else {
                    self.about(number, &error)
                };
                let is_fatal = self.options.failing == Failing::Refuse;
                if is_fatal || error.kind() == Kind::Cancelled {
                    return Err(error);
                }
                if self.warmed.failed <= MOST_WARNINGS {
                    log::warn!("warming up {}: {}", self.model.name, error.message());
                }
            }
        }
        Ok(())
    }

    fn about(&self, number: usize, error: &ServeError) -> ServeError {
        let path = self.path.display();
        let message = format!("warmup record {number} of {path}: {}", error.message());
        ServeError::new(error.kind(), message)
    }

    fn one(&self, record: &Bytes) -> Result<(), ServeError> {
        let log = read_log(record).map_err(|error| {
            ServeError::invalid_argument(format!("Failed to parse warmup record: {error}"))
        })?;
        let recorded = match log {
            Log::Request(LogKind::Predict, request) => Recorded::Predict(request),
            Log::Request(LogKind::Classify, request) => Recorded::Classify(request),
            Log::Request(LogKind::Regress, request) => Recorded::Regress(request),
            Log::Request(LogKind::MultiInference, request) => Recorded::MultiInference(request),
            Log::Other(number) => return Err(unsupported(number)),
        };
        for _ in 0..self.options.iterations {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(ServeError::new(Kind::Cancelled, "the server is stopping"));
            }
            recorded.run(self.model, usize::MAX)?;
        }
        Ok(())
    }
}

fn unsupported(number: u32) -> ServeError {
    ServeError::unimplemented(format!("Unsupported log_type for warmup: {number}"))
}

fn unreadable(error: &RecordError, path: &Path) -> ServeError {
    let damage = match error {
        RecordError::Io(error) => {
            let message = format!("{} can't be read: {error}", path.display());
            return ServeError::failed_precondition(message);
        }
        RecordError::CutShort { offset, .. } => format!("truncated record at {offset}"),
        RecordError::Checksum { offset, .. } => format!("corrupted record at {offset}"),
        RecordError::TooLong { .. } => error.to_string(),
    };
    let message = format!(
        "{}: {damage}. Please verify your warmup data is in TFRecord format.",
        path.display()
    );
    ServeError::new(Kind::DataLoss, message)
}
