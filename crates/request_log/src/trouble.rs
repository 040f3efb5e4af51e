//! What is wrong with a log's disk, and what has been said of it.

use std::io;
use std::time::{Duration, Instant};

use crate::options::LogOptions;

/// After a failure, records are lost for so long before the disk is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The shortest time between two warnings of one kind.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// A log's trouble.
#[derive(Default)]
pub(crate) struct Trouble {
    since: Option<Instant>,
    warnings: Seldom,
}

impl Trouble {
    /// Whether it is too early to try again.
    pub(crate) fn lasts(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now < since + PAUSE)
    }

    /// A record was lost without a try.
    pub(crate) fn lose(&mut self) {
        self.warnings.untold += 1;
    }

    /// So many records were lost in a try.
    pub(crate) fn met(&mut self, lost: usize, error: &io::Error, options: &LogOptions) {
        let now = Instant::now();
        self.since = Some(now);
        if let Some(lost) = self.warnings.told(now, lost as u64) {
            log::warn!(
                "the request log {} can't be written: {error}; {lost} records are lost, and so \
                 are more until it can",
                options.prefix.display()
            );
        }
    }

    /// The disk took something.
    pub(crate) fn over(&mut self, options: &LogOptions) {
        if self.since.take().is_some() {
            let lost = std::mem::take(&mut self.warnings.untold);
            log::info!(
                "the request log {} is written again; {lost} more records were lost",
                options.prefix.display()
            );
        }
    }
}

/// Lets a warning pass now and then, and adds up what was not said.
#[derive(Default)]
pub(crate) struct Seldom {
    last: Option<Instant>,
    untold: u64,
}

impl Seldom {
    /// What a warning is to say of: `more` and all that was not told; `None`: not yet.
    pub(crate) fn told(&mut self, now: Instant, more: u64) -> Option<u64> {
        self.untold += more;
        if self.last.is_some_and(|last| now < last + WARN_EVERY) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Seldom, WARN_EVERY};

    #[test]
    fn what_was_not_said_is_said_later() {
        let (mut seldom, start) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.told(start, 2), Some(2));
        assert_eq!(seldom.told(start, 3), None);
        assert_eq!(seldom.told(start + WARN_EVERY / 2, 1), None);
        assert_eq!(seldom.told(start + WARN_EVERY, 1), Some(5));
    }
}
