//! What a load is: how requests are paced, and when it ends.

use std::time::Duration;

use crate::Code;

use crate::error::ClientError;

/// More than one thread can send; above it, a typing mistake.
const MOST_RATE: f64 = 1e6;

/// Each connection is a socket; more of them than systems let a process open.
const MOST_CONNECTIONS: usize = 10_000;

/// Requests under way: each holds some kilobytes here and on the server.
const MOST_OUTSTANDING: usize = 1_000_000;

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Closed loop: so many callers, each of which sends its next request when it has its
    /// answer. A slow server slows them down.
    Closed {
        /// The callers, 1 or more.
        concurrency: usize,
    },
    /// Open loop: requests come whatever the server does, as those of many users do.
    Open {
        /// Requests a second, more than 0.
        rate: f64,
        /// How they are spread.
        arrival: Arrival,
        /// Requests under way, from 1, beyond which further ones are not sent but counted.
        max_outstanding: usize,
    },
}

/// How the requests of an open loop are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At equal distances.
    Constant,
    /// At random, each independent of the others, as those of many users are.
    Poisson,
}

/// A load.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// When requests are sent.
    pub pace: Pace,
    /// The same load beforehand, not measured.
    pub warmup: Duration,
    /// How long new requests are sent; `None`: until `requests` have been.
    pub duration: Option<Duration>,
    /// After how many requests no more are sent; `None`: when `duration` is over.
    pub requests: Option<u64>,
    /// Connections, 1 or more; requests are spread over them.
    pub connections: usize,
    /// Threads that send, 1 or more; each has connections of its own.
    pub threads: usize,
}

impl LoadPlan {
    /// Refuses what can't be done.
    pub(crate) fn check(&self) -> Result<(), ClientError> {
        if self.duration.is_none() && self.requests.is_none() {
            return refuse("a load needs an end: a duration or a number of requests");
        }
        if self.connections == 0 || self.connections > MOST_CONNECTIONS {
            let given = self.connections;
            return refuse(&format!(
                "connections must be from 1 to {MOST_CONNECTIONS}; got {given}"
            ));
        }
        if self.threads == 0 || self.threads > self.connections {
            return refuse(&format!(
                "threads must be from 1 to the number of connections, {}; got {}",
                self.connections, self.threads
            ));
        }
        match self.pace {
            Pace::Closed { concurrency } => self.check_callers("concurrency", concurrency),
            Pace::Open {
                rate,
                max_outstanding,
                ..
            } => {
                if rate.is_nan() || rate <= 0.0 || rate > MOST_RATE {
                    return refuse(&format!(
                        "rate must be more than 0 and at most {MOST_RATE} requests a second; \
                         got {rate}"
                    ));
                }
                self.check_callers("max_outstanding", max_outstanding)
            }
        }
    }

    fn check_callers(&self, name: &str, count: usize) -> Result<(), ClientError> {
        if count < self.threads || count > MOST_OUTSTANDING {
            return refuse(&format!(
                "{name} must be from the number of threads, {}, to {MOST_OUTSTANDING}; got {count}",
                self.threads
            ));
        }
        Ok(())
    }
}

/// One thread's part of `total` things: the first threads take what doesn't divide.
pub(crate) fn share(total: usize, threads: usize, index: usize) -> usize {
    total / threads + usize::from(index < total % threads)
}

fn refuse(message: &str) -> Result<(), ClientError> {
    Err(ClientError::local(Code::InvalidArgument, message))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Arrival, LoadPlan, Pace, share};

    fn plan(pace: Pace) -> LoadPlan {
        LoadPlan {
            pace,
            warmup: Duration::ZERO,
            duration: Some(Duration::from_secs(1)),
            requests: None,
            connections: 2,
            threads: 2,
        }
    }

    fn open(rate: f64, max_outstanding: usize) -> Pace {
        Pace::Open {
            rate,
            arrival: Arrival::Constant,
            max_outstanding,
        }
    }

    #[test]
    fn shares_add_up() {
        for (total, threads) in [(1, 1), (7, 3), (8, 4), (2, 3)] {
            let parts = (0..threads).map(|index| share(total, threads, index));
            assert_eq!(parts.sum::<usize>(), total);
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        for (pace, says) in [
            (Pace::Closed { concurrency: 1 }, "concurrency"),
            (open(0.0, 10), "rate"),
            (open(-1.0, 10), "rate"),
            (open(f64::NAN, 10), "rate"),
            (open(1e9, 10), "1000000000"),
            (open(10.0, 1), "max_outstanding"),
        ] {
            let error = plan(pace).check().unwrap_err();
            assert!(error.message().contains(says), "{error}");
        }
        let mut endless = plan(Pace::Closed { concurrency: 2 });
        assert!(endless.check().is_ok());
        endless.threads = 3;
        assert!(endless.check().unwrap_err().message().contains("threads"));
        endless.threads = 1;
        endless.duration = None;
        assert!(endless.check().unwrap_err().message().contains("an end"));
    }
}
