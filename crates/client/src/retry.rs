//! When to try again: only what was UNAVAILABLE, after a pause that doubles and is
//! spread at random, so that clients of a restarted server don't come back as one.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::code::Code;
use crate::failure::{Cause, Failure};
use crate::options::ChannelOptions;
use crate::status::Pushback;

/// The attempts of one call.
pub(crate) struct Retries<'a> {
    options: &'a ChannelOptions,
    /// Attempts on other addresses that cost nothing, since nobody was reached.
    free_moves: usize,
    used: u32,
    unlimited: bool,
}

impl<'a> Retries<'a> {
    /// `unlimited`: the caller waits for a server to come up.
    pub(crate) fn new(options: &'a ChannelOptions, addresses: usize, unlimited: bool) -> Self {
        Self {
            options,
            free_moves: addresses.saturating_sub(1),
            used: 0,
            unlimited,
        }
    }

    /// The pause before the next attempt; `None`: there is none.
    pub(crate) fn pause_after(&mut self, failure: &Failure) -> Option<Duration> {
        if failure.error.code() != Code::Unavailable {
            return None;
        }
        if failure.cause == Cause::Unreached && self.free_moves > 0 {
            self.free_moves -= 1;
            return Some(Duration::ZERO);
        }
        if self.used >= self.options.retries && !self.unlimited {
            return None;
        }
        let backoff = self.backoff();
        self.used = self.used.saturating_add(1);
        match failure.pushback {
            Pushback::Unsaid => Some(backoff),
            Pushback::After(pause) => Some(pause),
            Pushback::Never => None,
        }
    }

    /// Half of the doubled pause, and up to as much again.
    fn backoff(&self) -> Duration {
        let doubled = 2_u32
            .checked_pow(self.used)
            .and_then(|factor| self.options.retry_initial_backoff.checked_mul(factor))
            .unwrap_or(self.options.retry_max_backoff)
            .min(self.options.retry_max_backoff);
        doubled.mul_f64(0.5 + 0.5 * random_fraction())
    }
}

/// From 0 to 1. The standard library's hash keys are random enough for a pause.
fn random_fraction() -> f64 {
    RandomState::new().hash_one(0) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Retries;
    use crate::code::Code;
    use crate::failure::{Cause, Failure};
    use crate::options::ChannelOptions;
    use crate::status::{Pushback, Status};

    fn options(retries: u32) -> ChannelOptions {
        ChannelOptions {
            connect_timeout: Duration::from_secs(1),
            keepalive_time: None,
            keepalive_timeout: Duration::from_secs(1),
            retries,
            retry_initial_backoff: Duration::from_millis(100),
            retry_max_backoff: Duration::from_millis(300),
            max_message_bytes: 1,
            tls: None,
            user_agent: String::new(),
        }
    }

    fn unavailable() -> Failure {
        Failure::answered(Status::new(Code::Unavailable, "down"), "a:1")
    }

    #[test]
    fn pauses_double_up_to_the_limit() {
        let options = options(4);
        let mut retries = Retries::new(&options, 1, false);
        for longest in [100, 200, 300, 300] {
            let pause = retries.pause_after(&unavailable()).unwrap();
            let longest = Duration::from_millis(longest);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        }
        assert_eq!(retries.pause_after(&unavailable()), None);
    }

    #[test]
    fn only_unavailable() {
        let options = options(4);
        let mut retries = Retries::new(&options, 2, true);
        for code in [Code::Internal, Code::ResourceExhausted] {
            let failure = Failure::answered(Status::new(code, "x"), "a:1");
            assert_eq!(retries.pause_after(&failure), None);
        }
    }

    #[test]
    fn unreached_addresses_cost_nothing_once() {
        let options = options(1);
        let mut retries = Retries::new(&options, 3, false);
        let unreached = Failure {
            cause: Cause::Unreached,
            ..unavailable()
        };
        for _ in 0..2 {
            assert_eq!(retries.pause_after(&unreached), Some(Duration::ZERO));
        }
        assert!(retries.pause_after(&unreached).unwrap() > Duration::ZERO);
        assert_eq!(retries.pause_after(&unreached), None);
    }

    #[test]
    fn pushback_decides() {
        let options = options(3);
        let mut retries = Retries::new(&options, 1, false);
        let later = Failure {
            pushback: Pushback::After(Duration::from_secs(9)),
            ..unavailable()
        };
        assert_eq!(retries.pause_after(&later), Some(Duration::from_secs(9)));
        let never = Failure {
            pushback: Pushback::Never,
            ..unavailable()
        };
        assert_eq!(retries.pause_after(&never), None);
    }

    #[test]
    fn waiting_for_ready_never_gives_up() {
        let options = options(0);
        let mut retries = Retries::new(&options, 1, true);
        for _ in 0..100 {
            assert!(retries.pause_after(&unavailable()).is_some());
        }
    }
}
