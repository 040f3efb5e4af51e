//! The request logs of a process: one thread writes them all.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use engine::Recorder;

use crate::counts::Counts;
use crate::options::LogOptions;
use crate::queue::{Load, Source};
use crate::recorder::LogRecorder;
use crate::writer::{Job, Writer};

/// The request logs of a process. Its thread starts with the first log, and ends when this
/// and every recorder have gone.
#[derive(Default)]
pub struct RequestLogs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    writer: Option<Sender<Job>>,
    /// What the versions of a model share.
    models: HashMap<String, (Arc<Counts>, Arc<Load>)>,
}

impl RequestLogs {
    /// Keeps requests of this version of a model.
    ///
    /// # Errors
    /// If the thread that writes can't be started.
    pub fn recorder(
        &self,
        model: &str,
        version: i64,
        options: LogOptions,
    ) -> std::io::Result<Box<dyn Recorder>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let writer = if let Some(writer) = &state.writer {
            writer.clone()
        } else {
            let (sender, jobs) = channel();
            thread::Builder::new()
                .name("tensorwire-log".to_owned())
                .spawn(move || Writer::new(jobs).run())?;
            state.writer.insert(sender).clone()
        };
        let (counts, load) = state.models.entry(model.to_owned()).or_default();
        let source = Arc::new(Source {
            model: model.to_owned(),
            version,
            options,
            counts: Arc::clone(counts),
            load: Arc::clone(load),
        });
        Ok(Box::new(LogRecorder { source, writer }))
    }

    /// Writes what waits and finishes all files; `false`: that took longer than `limit`. A
    /// request that is kept after this begins another file.
    pub fn finish(&self, limit: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = state.writer.clone() else {
            return true;
        };
        drop(state);
        let (done, finished) = channel();
        writer.send(Job::Finish(done)).is_ok() && finished.recv_timeout(limit).is_ok()
    }
}

#[cfg(test)]
#[path = "logs_tests.rs"]
pub(crate) mod tests;
