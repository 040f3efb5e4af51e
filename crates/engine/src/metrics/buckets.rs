//! Where a duration is among a histogram's bounds.

use std::time::Duration;

/// Finds the bucket of a duration in a few steps: every request looks for three.
pub(super) struct Buckets<const N: usize> {
    /// The bounds in whole nanoseconds.
    nanos: [u64; N],
    /// By how many binary digits a number has, how many bounds the lowest such number reaches.
    reached: [u8; 65],
}

impl<const N: usize> Buckets<N> {
    /// Of ascending bounds in microseconds.
    pub(super) const fn new(micros: &[f64; N]) -> Self {
        let mut nanos = [0; N];
        let mut at = 0;
        while at < N {
            let exact = micros[at] * 1e3;
            nanos[at] = exact as u64;
            if (nanos[at] as f64) < exact {
                nanos[at] += 1;
            }
            at += 1;
        }
        let mut reached = [0; 65];
        let mut digits = 1;
        while digits <= 64 {
            let lowest = 1 << (digits - 1);
            let mut count = reached[digits - 1];
            while (count as usize) < N && lowest >= nanos[count as usize] {
                count += 1;
            }
            reached[digits] = count;
            digits += 1;
        }
        Self { nanos, reached }
    }

    /// How many bounds a duration reaches, and its nanoseconds. A value on a bound is above
    /// it, as there.
    pub(super) fn of(&self, duration: Duration) -> (usize, u64) {
        let nanos = duration.as_nanos() as u64;
        let digits = (u64::BITS - nanos.leading_zeros()) as usize;
        let reached = usize::from(self.reached[digits]);
        let more = self.nanos[reached..].iter();
        (
            reached + more.take_while(|bound| nanos >= **bound).count(),
            nanos,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Buckets;
    use crate::metrics::names::QUEUE_BOUNDS;

    #[test]
    fn a_bucket_is_found_as_by_definition() {
        let buckets = Buckets::new(&QUEUE_BOUNDS);
        for nanos in (0..2_000_000)
            .step_by(97)
            .chain([100_000, 1 << 40, u64::MAX])
        {
            let (found, same) = buckets.of(Duration::from_nanos(nanos));
            let by_definition = QUEUE_BOUNDS.partition_point(|bound| nanos as f64 >= *bound * 1e3);
            assert_eq!((found, same), (by_definition, nanos));
        }
    }
}
