//! When the requests of an open loop are due.

use std::time::Duration;

use fastrand::Rng;

use super::plan::Arrival;

/// The same load twice has the same arrivals.
const SEED: u64 = 0x7e50;

/// The times at which one thread's requests are due, after the load's begin; without end.
pub(crate) enum Arrivals {
    /// By multiplication, so that errors don't add up.
    Constant { first: u64, step: u64, rate: f64 },
    /// The threads' independent streams together are one of the whole rate.
    Poisson {
        seconds: f64,
        mean_gap: f64,
        random: Rng,
    },
}

impl Arrivals {
    /// The part of thread `index` of `threads`, of `rate` requests a second in all.
    pub(crate) fn new(rate: f64, arrival: Arrival, threads: usize, index: usize) -> Self {
        match arrival {
            Arrival::Constant => Self::Constant {
                first: index as u64,
                step: threads as u64,
                rate,
            },
            Arrival::Poisson => Self::Poisson {
                seconds: 0.0,
                mean_gap: threads as f64 / rate,
                random: Rng::with_seed(SEED + index as u64),
            },
        }
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> Duration {
        let seconds = match self {
            Self::Constant { first, step, rate } => {
                let number = *first;
                *first += *step;
                number as f64 / *rate
            }
            Self::Poisson {
                seconds,
                mean_gap,
                random,
            } => {
                // From (0, 1], so that the logarithm is finite.
                *seconds -= (1.0 - random.f64()).ln() * *mean_gap;
                *seconds
            }
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Arrivals;
    use crate::load::plan::Arrival;

    #[test]
    fn constant_ones_are_shared_between_threads() {
        let times = |index| {
            let mut arrivals = Arrivals::new(100.0, Arrival::Constant, 2, index);
            [arrivals.next(), arrivals.next(), arrivals.next()].map(|time| time.as_millis())
        };
        assert_eq!((times(0), times(1)), ([0, 20, 40], [10, 30, 50]));
    }

    #[test]
    fn random_ones_keep_the_rate_and_spread_as_poisson_says() {
        let mut arrivals = Arrivals::new(1000.0, Arrival::Poisson, 1, 0);
        let mut each_tenth = [0_u32; 1000];
        let mut last = Duration::ZERO;
        loop {
            let time = arrivals.next();
            assert!(time >= last);
            last = time;
            let Some(count) = each_tenth.get_mut(time.as_millis() as usize / 100) else {
                break;
            };
            *count += 1;
        }
        let mean = f64::from(each_tenth.iter().sum::<u32>()) / 1000.0;
        let squares = each_tenth.iter().map(|n| (f64::from(*n) - mean).powi(2));
        let variance = squares.sum::<f64>() / 1000.0;
        // A Poisson process has as much variance as mean.
        assert!((99.0..101.0).contains(&mean), "{mean}");
        assert!((85.0..115.0).contains(&variance), "{variance}");
    }

    #[test]
    fn threads_have_arrivals_of_their_own() {
        let first = |index| Arrivals::new(10.0, Arrival::Poisson, 2, index).next();
        assert_ne!(first(0), first(1));
        assert_eq!(first(0), first(0));
    }
}
