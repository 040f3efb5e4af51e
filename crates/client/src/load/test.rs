//! A load test: starts the threads, says how far they are, ends them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::Code;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

use super::generator::{Generator, Lane, Shared, Span, lock};
use super::plan::{LoadPlan, share};
use super::report::{self, LoadReport, Recent, Summary, buckets, errors};
use super::tally::{Tally, Times, merge};
use crate::channel::{CallOptions, Channel};
use crate::error::ClientError;
use crate::options::ChannelOptions;
use crate::request::Request;

/// Who is called, and with what.
#[derive(Clone, Debug)]
pub struct Target {
    /// The servers' addresses; each connection takes them in turn.
    pub addresses: Vec<String>,
    /// How to connect, and how often to try again.
    pub channel: ChannelOptions,
    /// What is sent, each time.
    pub request: Request,
    /// How each call is made.
    pub call: CallOptions,
}

/// A load under way, or one that has ended. Dropping it ends the load.
pub struct LoadTest {
    shared: Arc<Shared>,
    collected: Mutex<Collected>,
}

/// What has been taken from the threads.
struct Collected {
    total: Tally,
    /// Empty; changes places with a thread's, so that the thread is not kept waiting.
    spare: Tally,
    taken_at: Instant,
}

impl LoadTest {
    /// Starts the load.
    pub fn start(target: &Target, plan: LoadPlan) -> Result<Self, ClientError> {
        plan.check()?;
        let threads = plan.threads;
        let lane = || {
            Ok(Lane {
                tally: Mutex::new(Tally::new()?),
                sent: 0.into(),
                effort: Mutex::new(None),
            })
        };
        let lanes = (0..threads).map(|_| lane()).collect::<Result<_, _>>()?;
        let connections = plan.connections;
        let (request, call) = (target.request.clone(), target.call.clone());
        let shared = Arc::new(Shared::new(plan, request, call, lanes));
        let mut ready = Vec::new();
        for index in 0..threads {
            let own = 0..share(connections, threads, index);
            let channel = |_| Channel::new(&target.addresses, target.channel.clone());
            let generator = Generator {
                shared: Arc::clone(&shared),
                index,
                channels: own.map(channel).collect::<Result<_, _>>()?,
                tasks: TaskTracker::new(),
            };
            ready.push((generator, runtime()?));
        }
        let test = Self {
            shared,
            collected: Mutex::new(Collected {
                total: Tally::new()?,
                spare: Tally::new()?,
                taken_at: Instant::now(),
            }),
        };
        for (generator, runtime) in ready {
            thread::Builder::new()
                .name(format!("tensorwire-load-{}", generator.index))
                .spawn(move || generator.run(runtime))
                .map_err(|error| cannot_start(&error))?;
        }
        Ok(test)
    }

    /// Waits for the end, but no longer than `most`; whether it has come.
    pub fn wait(&self, most: Duration) -> bool {
        self.shared.end.wait(most).is_some()
    }

    /// Sends no more; what is under way is still waited for.
    pub fn stop(&self) {
        self.shared.stopping.cancel();
    }

    /// Gives up what is under way too.
    pub fn cancel(&self) {
        self.shared.stopping.cancel();
        self.shared.cancelled.cancel();
    }

    /// What it has come to so far.
    pub fn report(&self) -> LoadReport {
        let ended = self.shared.end.wait(Duration::ZERO);
        let mut collected = lock(&self.collected);
        let recent = collected.take(&self.shared);
        let total = &collected.total;
        let now = ended.unwrap_or_else(Instant::now);
        let span = self.shared.span();
        let begun = span.filter(|span| now >= span.measured_from);
        // Once it has ended, waiting for a request that failed late is no part of it.
        let upto = total.last_answer.filter(|_| ended.is_some()).unwrap_or(now);
        let lanes = &self.shared.lanes;
        let sent = lanes.iter().map(|lane| lane.sent.load(Ordering::Relaxed));
        let sent = sent.sum::<u64>().max(total.answered + total.failed);
        let efforts: Vec<_> = lanes.iter().map(|lane| *lock(&lane.effort)).collect();
        LoadReport {
            stage: self.stage(ended, span, now),
            seconds: begun.map_or(0.0, |span| {
                upto.saturating_duration_since(span.measured_from)
                    .as_secs_f64()
            }),
            sent,
            answered: total.answered,
            failed: total.failed,
            outstanding: sent - total.answered - total.failed,
            unsent_outstanding: total.unsent_outstanding,
            unsent_late: total.unsent_late,
            bytes_sent: total.bytes_sent,
            bytes_received: total.bytes_received,
            latency_ms: Summary::of(&total.latency),
            histogram: buckets(&total.latency),
            errors: errors(total),
            phases_ms: total
                .phases
                .iter()
                .map(|(name, times)| (name.clone(), Summary::of(times)))
                .collect(),
            generator: report::Generator::of(&efforts, &total.lateness),
            recent,
        }
    }

    fn stage(&self, ended: Option<Instant>, span: Option<Span>, now: Instant) -> &'static str {
        match span {
            _ if ended.is_some() => "ended",
            None => "connecting",
            Some(_) if self.shared.sending.load(Ordering::SeqCst) == 0 => "finishing",
            Some(span) if now < span.measured_from => "warming_up",
            Some(_) => "measuring",
        }
    }
}

impl Drop for LoadTest {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Collected {
    /// Takes what the threads have counted since the last time.
    fn take(&mut self, shared: &Shared) -> Recent {
        let now = Instant::now();
        let mut recent = Recent {
            seconds: (now - self.taken_at).as_secs_f64(),
            answered: 0,
            failed: 0,
            latency_ms: Summary::default(),
        };
        self.taken_at = now;
        let mut latency = None;
        for lane in &shared.lanes {
            std::mem::swap(&mut *lock(&lane.tally), &mut self.spare);
            recent.answered += self.spare.answered;
            recent.failed += self.spare.failed;
            let sum = latency.get_or_insert_with(|| Times::new_from(&self.spare.latency));
            merge(sum, &self.spare.latency);
            self.total.add(&self.spare);
            self.spare.clear();
        }
        recent.latency_ms = latency.as_ref().map(Summary::of).unwrap_or_default();
        recent
    }
}

/// One thread's: nothing in it needs another.
fn runtime() -> Result<Runtime, ClientError> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| cannot_start(&error))
}

fn cannot_start(error: &std::io::Error) -> ClientError {
    let message = format!("cannot start a thread that sends: {error}");
    ClientError::local(Code::ResourceExhausted, message)
}
