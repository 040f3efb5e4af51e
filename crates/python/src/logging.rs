//! Rust's log lines, handed to Python's `logging`, until the interpreter ends.

use log::{Log, Metadata, Record};
use pyo3::prelude::*;

use crate::exit_gate;

/// `pyo3_log`'s logger behind the gate: a server that nobody stopped still has threads
/// that log while the interpreter ends.
struct GatedLogger(pyo3_log::Logger);

impl Log for GatedLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            exit_gate::attach(|_py| self.0.log(record));
        }
    }

    fn flush(&self) {}
}

/// Sends log lines to Python from now on. A second import finds them going there.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let logger = pyo3_log::Logger::new(py, pyo3_log::Caching::LoggersAndLevels)?;
    if log::set_boxed_logger(Box::new(GatedLogger(logger))).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
    Ok(())
}
