//! What is counted of requests and batches: written by the threads that serve, each in
//! counters of its own, and summed only when somebody looks. Recording takes no lock and
//! shares no cache line with another thread.

mod buckets;

pub mod catalog;

mod thread_slot;

mod sharded;

mod counters;

mod failures;
pub use failures::FailureCounts;

mod totals;
pub use totals::{BatchTotals, HistogramTotals, SignatureTotals};

mod by_path;

mod loads;
pub use loads::{LoadTotals, Loads};

pub mod names;
pub use names::{Api, NameMetrics, NameTotals, Names};

mod model;
pub use model::{MessageSizes, ModelMetrics};

mod running_batch;
pub use running_batch::{BatchRows, RunningBatch};

mod tally;
pub use tally::Tally;

mod warmups;
pub use warmups::{WARMUP_BUCKETS, WarmupTotals, Warmups, warmup_bounds};

pub use crate::dispatch::Gauges;
