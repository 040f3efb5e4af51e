//! The thread that writes: it takes what waits, encodes it, and keeps the files.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::encode::Encoder;
use crate::files::Files;
use crate::options::Format;
use crate::queue::Queued;
use crate::trouble::Seldom;

/// How long the writer lets records gather once it has found no more: while it does, no
/// serving thread has to wake it.
const GATHER: Duration = Duration::from_millis(10);

/// The longest that it sleeps while a file is open, so that ages and flushes are kept.
const TICK: Duration = Duration::from_millis(200);

/// What the writer is asked.
pub(crate) enum Job {
    /// To write a record.
    Write(Box<Queued>),
    /// To finish all files, and say so.
    Finish(Sender<()>),
}

/// All logs of a process, each with its files.
pub(crate) struct Writer {
    jobs: Receiver<Job>,
    encoder: Encoder,
    logs: HashMap<(PathBuf, Format), Files>,
    warnings: Seldom,
}

impl Writer {
    pub(crate) fn new(jobs: Receiver<Job>) -> Self {
        Self {
            jobs,
            encoder: Encoder::default(),
            logs: HashMap::new(),
            warnings: Seldom::default(),
        }
    }

    /// Works until nobody is left who could ask for anything.
    pub(crate) fn run(mut self) {
        loop {
            let job = if self.logs.values().any(Files::is_open) {
                self.jobs.recv_timeout(TICK)
            } else {
                self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match job {
                Ok(job) => {
                    self.work(job);
                    self.work_off();
                    self.tick();
                    thread::sleep(GATHER);
                }
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
        }
    }

    /// Does what is asked until nothing is.
    fn work_off(&mut self) {
        let mut ticked = Instant::now();
        while let Ok(job) = self.jobs.try_recv() {
            self.work(job);
            // Records that come faster than they are written hold up no flush and no age.
            if ticked.elapsed() >= TICK {
                self.tick();
                ticked = Instant::now();
            }
        }
    }

    fn work(&mut self, job: Job) {
        match job {
            Job::Write(queued) => self.write(&queued),
            Job::Finish(done) => {
                self.finish();
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self, queued: &Queued) {
        let source = &queued.source;
        let options = &source.options;
        // A record that can't be encoded must not end the thread that writes the others.
        let encoded = catch_unwind(AssertUnwindSafe(|| self.encoder.encode(queued)));
        match encoded.unwrap_or_else(|_| Err("the encoder broke off".to_owned())) {
            Ok(record) => {
                let key = (options.prefix.clone(), options.format);
                let files = self.logs.entry(key).or_insert_with(|| Files::new(options));
                files.write(&record, source);
            }
            Err(reason) => {
                source.counts.lost_on_disk.add(1);
                if let Some(lost) = self.warnings.told(Instant::now(), 1) {
                    log::warn!(
                        "a request of {} can't be logged: {reason}; with those before it that \
                         nobody was told of, {lost} are lost",
                        source.model
                    );
                }
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for files in self.logs.values_mut() {
            files.tick(now);
        }
    }

    fn finish(&mut self) {
        for files in self.logs.values_mut() {
            files.finish();
        }
    }
}
