//! What is counted by a model's name, for all of its versions together and for good: the
//! figures that TensorFlow Serving gives, in its buckets. They outlive the versions, as a
//! counter that falls would look like a restart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::buckets::Buckets;
use super::failures::CODES;
use super::sharded::{Counter, Sharded};
use super::{BatchRows, HistogramTotals};
use crate::{Kind, Timings};

/// The calls that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Predict over gRPC.
    Predict,
    /// Classify over gRPC.
    Classify,
    /// Regress over gRPC.
    Regress,
    /// `:predict` over REST.
    RestPredict,
    /// `:classify` over REST.
    RestClassify,
    /// `:regress` over REST.
    RestRegress,
    /// What models there are and what they take, over REST: runs none of them.
    RestLookUp,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Predict,
        Self::Classify,
        Self::Regress,
        Self::RestPredict,
        Self::RestClassify,
        Self::RestRegress,
        Self::RestLookUp,
    ];

    /// TensorFlow Serving's labels for it: `API` and `entrypoint`.
    pub fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Predict => ("Predict", "GRPC"),
            Self::Classify => ("Classify", "GRPC"),
            Self::Regress => ("Regress", "GRPC"),
            Self::RestPredict => ("predict", "REST"),
            Self::RestClassify => ("classify", "REST"),
            Self::RestRegress => ("regress", "REST"),
            Self::RestLookUp => ("", "REST"),
        }
    }

    /// Whether its rows are tf.Examples.
    fn has_examples(self) -> bool {
        !matches!(self, Self::Predict | Self::RestPredict | Self::RestLookUp)
    }
}

/// How many bounds there are.
const LATENCY: usize = 33;
const QUEUE: usize = 52;
const EXAMPLES: usize = 15;
const SIZES: usize = 10;

/// Executed batch sizes that are told apart: the powers of two to this exponent.
const EXECUTED: usize = 13;

/// Bounds of latencies, microseconds: TensorFlow Serving's.
pub const LATENCY_BOUNDS: [f64; LATENCY] = bounds(10.0, 1.8);

/// Bounds of the time in a queue, microseconds: TensorFlow Serving's.
pub const QUEUE_BOUNDS: [f64; QUEUE] = bounds(100.0, 1.2);

/// Bounds of a request's count of examples.
pub const EXAMPLE_BOUNDS: [f64; EXAMPLES] = bounds(1.0, 2.0);

/// Bounds of batch sizes and of padding, rows.
pub const SIZE_BOUNDS: [f64; SIZES] = bounds(1.0, 2.0);

/// Each bound is the one before it times `growth`, rounded each time, as there.
const fn bounds<const N: usize>(first: f64, growth: f64) -> [f64; N] {
    let mut bounds = [first; N];
    let mut at = 1;
    while at < N {
        bounds[at] = bounds[at - 1] * growth;
        at += 1;
    }
    bounds
}

/// Where latencies and waits are among their bounds.
static LATENCIES: Buckets<LATENCY> = Buckets::new(&LATENCY_BOUNDS);
static WAITS: Buckets<QUEUE> = Buckets::new(&QUEUE_BOUNDS);

/// Counts of one histogram: `N` is one more than its bounds.
#[derive(Debug)]
struct Histogram<const N: usize> {
    buckets: [Counter; N],
    sum: Counter,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| Counter::default()),
            sum: Counter::default(),
        }
    }
}

#[derive(Debug, Default)]
struct ApiCounters {
    latency: Histogram<{ LATENCY + 1 }>,
    runtime: Histogram<{ LATENCY + 1 }>,
    queue: Histogram<{ QUEUE + 1 }>,
    rows: Histogram<{ SIZES + 1 }>,
    examples: Histogram<{ EXAMPLES + 1 }>,
}

#[derive(Debug, Default)]
struct Batches {
    processed: Histogram<{ SIZES + 1 }>,
    padding: [Histogram<{ SIZES + 1 }>; EXECUTED],
    execute_nanos: Counter,
}

/// The counts of one name.
pub struct NameMetrics {
    ok: [Sharded<ApiCounters>; Api::ALL.len()],
    failed: Sharded<[Counter; CODES]>,
    examples: Sharded<Histogram<{ EXAMPLES + 1 }>>,
    batches: Sharded<Batches>,
}

impl Default for NameMetrics {
    fn default() -> Self {
        Self {
            ok: std::array::from_fn(|_| Sharded::new()),
            failed: Sharded::new(),
            examples: Sharded::new(),
            batches: Sharded::new(),
        }
    }
}

impl std::fmt::Debug for NameMetrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("NameMetrics")
    }
}

impl NameMetrics {
    /// Counts a request that was answered well.
    pub fn succeeded(&self, api: Api, timings: &Timings) {
        self.ok[api as usize].write(|counters, writer| {
            let ApiCounters {
                latency,
                runtime,
                queue,
                rows,
                examples,
            } = counters;
            add(latency, writer, LATENCIES.of(timings.total));
            add(runtime, writer, LATENCIES.of(timings.execute));
            add(queue, writer, WAITS.of(timings.queue));
            add(rows, writer, rows_in(timings.rows, SIZES));
            if api.has_examples() {
                add(examples, writer, rows_in(timings.rows, EXAMPLES));
            }
        });
    }

    /// Counts a look-up over REST that was answered well.
    pub fn looked_up(&self, latency: Duration) {
        self.ok[Api::RestLookUp as usize].write(|counters, writer| {
            add(&counters.latency, writer, LATENCIES.of(latency));
        });
    }

    /// Counts one that was not.
    pub fn failed(&self, kind: Kind) {
        self.failed
            .write(|counters, writer| writer.add(&counters[kind as usize], 1));
    }

    /// Counts the examples of a request that is none of [`Api`].
    pub fn examples(&self, count: usize) {
        self.examples
            .write(|histogram, writer| add(histogram, writer, rows_in(count, EXAMPLES)));
    }

    pub(super) fn batch(&self, batch: BatchRows, execute: Duration) {
        let executed = batch.rows.saturating_add(batch.padding);
        let size = power_above(executed).min(EXECUTED - 1);
        self.batches.write(|counters, writer| {
            add(&counters.processed, writer, rows_in(executed, SIZES));
            let padding = &counters.padding[size];
            add(padding, writer, rows_in(batch.padding, SIZES));
            writer.add(&counters.execute_nanos, execute.as_nanos() as u64);
        });
    }

    /// All of it, summed.
    pub fn totals(&self) -> NameTotals {
        let of_api = |api: Api| ApiTotals {
            latency: sum(&self.ok[api as usize], |it| &it.latency),
            runtime: sum(&self.ok[api as usize], |it| &it.runtime),
            queue: sum(&self.ok[api as usize], |it| &it.queue),
            rows: sum(&self.ok[api as usize], |it| &it.rows),
            examples: sum(&self.ok[api as usize], |it| &it.examples),
        };
        NameTotals {
            apis: Api::ALL.map(of_api),
            failed: super::failures::by_kind(|code| self.failed.sum(|it| &it[code])),
            examples: sum(&self.examples, |it| it),
            processed: sum(&self.batches, |it| &it.processed),
            padding: (0..EXECUTED)
                .map(|size| (1 << size, sum(&self.batches, |it| &it.padding[size])))
                .collect(),
            execute_nanos: self.batches.sum(|it| &it.execute_nanos),
        }
    }
}

/// What was counted of a name. Sums of durations are in nanoseconds.
#[derive(Clone, Debug)]
pub struct NameTotals {
    /// Requests that went well, in the order of [`Api::ALL`].
    pub apis: [ApiTotals; Api::ALL.len()],
    /// Those that did not, kinds of none left out.
    pub failed: Vec<(Kind, u64)>,
    /// Examples of each request that is none of [`Api`].
    pub examples: HistogramTotals,
    /// Rows of each batch that ran well, with padding.
    pub processed: HistogramTotals,
    /// Rows that were added to batches, by what they were executed with: a power of two, or
    /// the next above.
    pub padding: Vec<(usize, HistogramTotals)>,
    /// What their runs took.
    pub execute_nanos: u64,
}

/// What was counted of requests of one kind that went well.
#[derive(Clone, Debug)]
pub struct ApiTotals {
    /// From whole message to written reply.
    pub latency: HistogramTotals,
    /// In the model.
    pub runtime: HistogramTotals,
    /// Before its batch.
    pub queue: HistogramTotals,
    /// Rows of each.
    pub rows: HistogramTotals,
    /// Examples of each.
    pub examples: HistogramTotals,
}

/// The counts of all names that were ever loaded.
#[derive(Debug, Default)]
pub struct Names {
    by_name: Mutex<BTreeMap<String, Arc<NameMetrics>>>,
    /// Of requests that named no model that is served.
    pub unknown: NameMetrics,
}

impl Names {
    /// The counts of this name.
    pub fn of(&self, name: &str) -> Arc<NameMetrics> {
        let mut names = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(names.entry(name.to_owned()).or_default())
    }

    /// The same, if there is such a name.
    pub fn find(&self, name: &str) -> Option<Arc<NameMetrics>> {
        let names = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).map(Arc::clone)
    }

    /// All names and what was counted of them, sorted; first those who named none.
    pub fn totals(&self) -> Vec<(String, NameTotals)> {
        let names = self
            .by_name
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let known = names.iter().map(|(name, it)| (name.clone(), it.totals()));
        std::iter::once((String::new(), self.unknown.totals()))
            .chain(known)
            .collect()
    }
}

fn add<const N: usize>(
    histogram: &Histogram<N>,
    writer: super::sharded::Writer,
    (bucket, amount): (usize, u64),
) {
    writer.add(&histogram.buckets[bucket.min(N - 1)], 1);
    writer.add(&histogram.sum, amount);
}

fn sum<T: Default, const N: usize>(
    sharded: &Sharded<T>,
    histogram: impl Fn(&T) -> &Histogram<N>,
) -> HistogramTotals {
    HistogramTotals::of(
        sharded,
        |it| &histogram(it).buckets,
        |it| &histogram(it).sum,
    )
}

/// The bucket of a count of rows among so many powers of two, and the count.
fn rows_in(rows: usize, bounds: usize) -> (usize, u64) {
    // 1 is above the bound 1: as many bounds as the number has binary digits.
    let below = (usize::BITS - rows.leading_zeros()) as usize;
    (below.min(bounds), rows as u64)
}

/// The exponent of the lowest power of two that is not below `number`; 0 for 0.
fn power_above(number: usize) -> usize {
    (usize::BITS - number.saturating_sub(1).leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        Api, BatchRows, EXAMPLE_BOUNDS, LATENCIES, LATENCY_BOUNDS, NameMetrics, Names,
        QUEUE_BOUNDS, SIZE_BOUNDS, rows_in,
    };
    use crate::{Kind, Timings};

    #[test]
    fn bounds_are_tensorflow_servings() {
        assert!((LATENCY_BOUNDS[0] - 10.0).abs() < 1e-9);
        assert!((LATENCY_BOUNDS[2] - 32.4).abs() < 1e-9);
        assert!((QUEUE_BOUNDS[1] - 120.0).abs() < 1e-9);
        assert_eq!(EXAMPLE_BOUNDS.last(), Some(&16384.0));
        assert_eq!(SIZE_BOUNDS.last(), Some(&512.0));
    }

    #[test]
    fn a_value_on_a_bound_is_above_it() {
        let bucket = |micros| LATENCIES.of(Duration::from_micros(micros)).0;
        assert_eq!(
            (bucket(9), bucket(10), bucket(17), bucket(18)),
            (0, 1, 1, 2)
        );
        for rows in [0, 1, 2, 3, 4, 5, 511, 512, 513, 1 << 20] {
            let by_definition = SIZE_BOUNDS.partition_point(|bound| rows as f64 >= *bound);
            assert_eq!(rows_in(rows, 10).0, by_definition, "{rows}");
        }
    }

    #[test]
    fn names_keep_their_counts() {
        let names = Names::default();
        let timings = Timings {
            total: Duration::from_micros(25),
            rows: 3,
            ..Timings::default()
        };
        names.of("b").succeeded(Api::Regress, &timings);
        names.of("b").succeeded(Api::Predict, &timings);
        names.of("a").failed(Kind::InvalidArgument);
        names.unknown.failed(Kind::NotFound);
        let totals = names.totals();
        let order: Vec<&str> = totals.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(order, ["", "a", "b"]);
        assert_eq!(totals[0].1.failed, [(Kind::NotFound, 1)]);
        let of_b = &totals[2].1.apis;
        let regress = &of_b[Api::Regress as usize];
        assert_eq!(
            (regress.latency.counts[2], regress.latency.sum),
            (1, 25_000)
        );
        assert_eq!((regress.examples.count(), regress.examples.sum), (1, 3));
        assert_eq!(of_b[Api::Predict as usize].examples.count(), 0);
    }

    #[test]
    fn batches_by_what_they_were_executed_with() {
        let metrics = NameMetrics::default();
        let batch = |rows, padding| BatchRows {
            rows,
            padding,
            requests: 1,
        };
        metrics.batch(batch(5, 3), Duration::from_nanos(10));
        metrics.batch(batch(8, 0), Duration::from_nanos(20));
        metrics.batch(batch(1 << 20, 0), Duration::ZERO);
        let totals = metrics.totals();
        assert_eq!(totals.processed.count(), 3);
        assert_eq!(totals.execute_nanos, 30);
        let used: Vec<(usize, u64, u64)> = totals
            .padding
            .iter()
            .map(|(size, padding)| (*size, padding.count(), padding.sum))
            .filter(|(_, count, _)| *count > 0)
            .collect();
        assert_eq!(used, [(8, 2, 3), (4096, 1, 0)]);
    }
}
