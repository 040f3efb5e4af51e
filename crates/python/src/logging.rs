//! Rust's log lines, handed to Python's `logging` by a thread of their own, until the
//! interpreter ends. The threads that serve never wait for Python, nor for a terminal
//! or a pipe that takes no more: over the queue's size, lines are lost and counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use log::{Level, Log, Metadata, Record};
use pyo3::prelude::*;

use crate::exit_gate;

/// Lines that may wait.
const QUEUE: usize = 1024;

struct Line {
    level: Level,
    target: String,
    text: String,
}

struct QueueLogger {
    queue: SyncSender<Line>,
    /// Lines that found the queue full since the last that did not.
    lost: AtomicUsize,
}

impl Log for QueueLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let text = match lost {
            0 => record.args().to_string(),
            lost => format!("{} ({lost} lines before this one were lost)", record.args()),
        };
        let line = Line {
            level: record.level(),
            target: record.target().to_owned(),
            text,
        };
        if self.queue.try_send(line).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}

fn hand_over(lines: &Receiver<Line>, logger: &pyo3_log::Logger) {
    for line in lines {
        exit_gate::attach(|_py| {
            logger.log(
                &Record::builder()
                    .level(line.level)
                    .target(&line.target)
                    .args(format_args!("{}", line.text))
                    .build(),
            );
        });
    }
}

/// Sends log lines to Python from now on. A second import finds them going there.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let logger = pyo3_log::Logger::new(py, pyo3_log::Caching::LoggersAndLevels)?;
    let (queue, lines) = sync_channel(QUEUE);
    let queue = QueueLogger {
        queue,
        lost: AtomicUsize::new(0),
    };
    if log::set_boxed_logger(Box::new(queue)).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
        std::thread::Builder::new()
            .name("tensorwire-log".into())
            .spawn(move || hand_over(&lines, &logger))?;
    }
    Ok(())
}
