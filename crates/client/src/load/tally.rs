//! What one thread has counted since it was last asked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::Code;
use crate::channel::ReplyMetadata;
use hdrhistogram::Histogram;

use super::server_timing::{SERVER_TIMING_KEY, phases};
use crate::channel::RawReply;
use crate::error::ClientError;

/// Longer times count as this: no request waits longer.
const LONGEST: Duration = Duration::from_hours(1);

/// Every time is kept to within 0.1%.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Different phases that are kept; a server has about ten.
const MOST_PHASES: usize = 32;

/// Nanoseconds.
pub(crate) type Times = Histogram<u64>;

/// An empty one.
pub(crate) fn times() -> Result<Times, ClientError> {
    Times::new_with_max(LONGEST.as_nanos() as u64, SIGNIFICANT_DIGITS).map_err(|error| {
        let message = format!("cannot make a histogram: {error}");
        ClientError::local(Code::Internal, message)
    })
}

/// The moments of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    /// When it should have been sent: latency counts from here.
    pub(crate) due: Instant,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// When its answer was here.
    pub(crate) answered: Instant,
}

/// Requests that failed with the same code.
#[derive(Clone, Debug)]
pub(crate) struct Failures {
    pub(crate) count: u64,
    /// The first one's message.
    pub(crate) example: String,
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
}

/// Counts and times.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    /// Not sent since too many were under way.
    pub(crate) unsent_outstanding: u64,
    /// Not sent since this thread was too far behind.
    pub(crate) unsent_late: u64,
    /// Lengths of the messages of requests that were answered, and of their replies.
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    /// From due to answered, of those that were.
    pub(crate) latency: Times,
    /// From due to sent.
    pub(crate) lateness: Times,
    pub(crate) failures: BTreeMap<i32, Failures>,
    pub(crate) phases: BTreeMap<String, Times>,
    pub(crate) last_answer: Option<Instant>,
}

impl Tally {
    pub(crate) fn new() -> Result<Self, ClientError> {
        let times = times()?;
        Ok(Self {
            answered: 0,
            failed: 0,
            unsent_outstanding: 0,
            unsent_late: 0,
            bytes_sent: 0,
            bytes_received: 0,
            lateness: times.clone(),
            latency: times,
            failures: BTreeMap::new(),
            phases: BTreeMap::new(),
            last_answer: None,
        })
    }

    /// Counts what became of a request of `bytes`.
    pub(crate) fn count(
        &mut self,
        moments: Moments,
        bytes: usize,
        result: &Result<RawReply, ClientError>,
    ) {
        let Moments {
            due,
            sent,
            answered,
        } = moments;
        let took = answered.saturating_duration_since(due);
        let late = sent.saturating_duration_since(due);
        if !late.is_zero() {
            record(&mut self.lateness, late);
        }
        match result {
            Ok(reply) => {
                self.answered += 1;
                self.bytes_sent += bytes as u64;
                self.bytes_received += reply.message.len() as u64;
                self.last_answer = self.last_answer.max(Some(answered));
                record(&mut self.latency, took);
                self.count_phases(&reply.metadata);
            }
            Err(error) => self.count_failure(error, took),
        }
    }

    fn count_failure(&mut self, error: &ClientError, took: Duration) {
        self.failed += 1;
        let failures = self
            .failures
            .entry(error.code() as i32)
            .or_insert_with(|| Failures {
                count: 0,
                example: error.message().to_owned(),
                total: Duration::ZERO,
                longest: Duration::ZERO,
            });
        failures.count += 1;
        failures.total += took;
        failures.longest = failures.longest.max(took);
    }

    fn count_phases(&mut self, metadata: &ReplyMetadata) {
        for header in metadata.get_all(SERVER_TIMING_KEY) {
            for (name, millis) in header.to_str().into_iter().flat_map(phases) {
                if !self.phases.contains_key(name) {
                    if self.phases.len() == MOST_PHASES {
                        continue;
                    }
                    let empty = Times::new_from(&self.latency);
                    self.phases.insert(name.to_owned(), empty);
                }
                if let Some(times) = self.phases.get_mut(name) {
                    let took = Duration::try_from_secs_f64(millis / 1e3).unwrap_or(LONGEST);
                    record(times, took);
                }
            }
        }
    }

    /// Adds what another has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.unsent_outstanding += other.unsent_outstanding;
        self.unsent_late += other.unsent_late;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.last_answer = self.last_answer.max(other.last_answer);
        merge(&mut self.latency, &other.latency);
        merge(&mut self.lateness, &other.lateness);
        for (code, failures) in &other.failures {
            let sum = self.failures.entry(*code).or_insert_with(|| Failures {
                count: 0,
                total: Duration::ZERO,
                ..failures.clone()
            });
            sum.count += failures.count;
            sum.total += failures.total;
            sum.longest = sum.longest.max(failures.longest);
        }
        for (name, times) in &other.phases {
            let empty = || Times::new_from(times);
            merge(self.phases.entry(name.clone()).or_insert_with(empty), times);
        }
    }

    /// Forgets everything; keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.answered = 0;
        self.failed = 0;
        self.unsent_outstanding = 0;
        self.unsent_late = 0;
        self.bytes_sent = 0;
        self.bytes_received = 0;
        self.last_answer = None;
        self.latency.reset();
        self.lateness.reset();
        self.failures.clear();
        for times in self.phases.values_mut() {
            times.reset();
        }
    }
}

fn record(times: &mut Times, time: Duration) {
    times.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

/// Adds one histogram to another.
pub(crate) fn merge(sum: &mut Times, part: &Times) {
    // Fails only where `part` has a longer range, and all have the same.
    let _ = sum.add(part);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use crate::Code;
    use crate::channel::ReplyMetadata;
    use bytes::Bytes;

    use super::{Moments, Tally};
    use crate::channel::RawReply;
    use crate::error::ClientError;

    fn moments(late: u64, took: u64) -> Moments {
        let due = Instant::now();
        let sent = due + Duration::from_millis(late);
        Moments {
            due,
            sent,
            answered: sent + Duration::from_millis(took),
        }
    }

    fn reply(timing: &'static str) -> RawReply {
        let mut metadata = ReplyMetadata::new();
        metadata.append("server-timing", timing.parse().unwrap());
        RawReply::new(Bytes::from_static(b"reply"), metadata)
    }

    #[test]
    fn latency_counts_from_when_it_was_due() {
        let mut tally = Tally::new().unwrap();
        tally.count(moments(90, 10), 7, &Ok(reply("")));
        assert_eq!(tally.latency.max() / 1_000_000, 100);
        assert_eq!(tally.lateness.max() / 1_000_000, 90);
        assert_eq!((tally.bytes_sent, tally.bytes_received), (7, 5));
    }

    #[test]
    fn failures_are_kept_apart_by_code() {
        let mut sum = Tally::new().unwrap();
        for message in ["first", "second"] {
            let mut tally = Tally::new().unwrap();
            let error = ClientError::local(Code::Unavailable, message);
            tally.count(moments(0, 5), 7, &Err(error));
            tally.count(
                moments(0, 5),
                7,
                &Err(ClientError::local(Code::Internal, "x")),
            );
            tally.count(moments(0, 1), 7, &Ok(reply("a;dur=2")));
            sum.add(&tally);
        }
        assert_eq!((sum.answered, sum.failed, sum.latency.len()), (2, 4, 2));
        let unavailable = &sum.failures[&(Code::Unavailable as i32)];
        assert_eq!(
            (unavailable.count, unavailable.example.as_str()),
            (2, "first")
        );
        assert_eq!(unavailable.total, Duration::from_millis(10));
        assert_eq!(sum.phases["a"].len(), 2);
        sum.clear();
        assert_eq!(
            (sum.failed, sum.latency.len(), sum.phases["a"].len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_server_that_invents_phases_fills_no_memory() {
        let mut tally = Tally::new().unwrap();
        for number in 0..100 {
            let mut metadata = ReplyMetadata::new();
            let timing = format!("phase{number};dur=1");
            metadata.append("server-timing", timing.parse().unwrap());
            let reply = RawReply::new(Bytes::new(), metadata);
            tally.count(moments(0, 1), 0, &Ok(reply));
        }
        assert_eq!(tally.phases.len(), super::MOST_PHASES);
    }
}
