//! Every metric: its name, help, labels and buckets.

use std::time::Duration;

use crate::Timings;

/// A metric as it is described to whoever collects it. Durations are in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, with its unit.
    pub name: &'static str,
    /// What it counts, in a sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $name:literal, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric { name: $name, help: $help };
        )*
        /// All of them, in the order they are declared.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    REQUESTS = "tensorwire_requests_total",
        "Requests by the gRPC code they ended with. Those that named no model that is \
         served have empty model, version and signature labels.";
    REQUEST_SECONDS = "tensorwire_request_seconds",
        "Time from a request's whole message to its written reply, of requests that went well.";
    REQUEST_PHASE_SECONDS = "tensorwire_request_phase_seconds",
        "Time a request spent in each phase, of requests that went well. A batch's phases \
         count in full for each of its requests.";
    REQUEST_ROWS = "tensorwire_request_rows",
        "Rows of a request that went well; 1 without a batch dimension.";
    REQUEST_BYTES = "tensorwire_request_bytes_total",
        "Bytes of request messages that were answered well, after decompression.";
    REPLY_BYTES = "tensorwire_reply_bytes_total",
        "Bytes of reply messages.";
    BATCH_ROWS = "tensorwire_batch_rows",
        "Rows of a batch that ran well, without padding.";
    BATCH_REQUESTS = "tensorwire_batch_requests_total",
        "Requests that ran in those batches.";
    BATCH_PADDING_ROWS = "tensorwire_batch_padding_rows_total",
        "Rows that were added to those batches to reach an allowed size.";
    BATCH_EXECUTE_SECONDS = "tensorwire_batch_execute_seconds_total",
        "Time that runs of batches took, each counted once.";
    BATCH_FAILURES = "tensorwire_batch_failures_total",
        "Batches whose run failed.";
    BATCHES_RUNNING = "tensorwire_batches_running",
        "Batches that run at the moment.";
    MODEL_VERSIONS = "tensorwire_model_versions",
        "Versions of each model by their state.";
    KEPT_REQUESTS = "tensorwire_request_log_records_total",
        "Requests that were to be kept in a model's request log, by what became of them: \
         written, lost_in_queue (too many waited) or lost_on_disk.";
    WARMUP_SECONDS = "tensorwire_warmup_seconds_total",
        "Time that warming versions up took, by how it ended.";
    WARMUP_RECORDS = "tensorwire_warmup_records_total",
        "Records that were read to warm versions up.";
    MODEL_FILE_BYTES = "tensorwire_model_file_bytes",
        "Bytes of the files that an available version was loaded from: about what its graph \
         and variables take in memory.";
    IN_FLIGHT_REQUESTS = "tensorwire_in_flight_requests",
        "Requests that were admitted and are not answered.";
    IN_FLIGHT_ROWS = "tensorwire_in_flight_rows",
        "Rows of the requests that were admitted and are not answered.";
    IN_FLIGHT_BYTES = "tensorwire_in_flight_bytes",
        "Bytes of the input tensors of the requests that were admitted and are not answered.";
    QUEUED_REQUESTS = "tensorwire_queued_requests",
        "Requests that wait for a runner thread.";
    CONNECTIONS = "tensorwire_connections",
        "Open connections of each I/O thread.";
    CONNECTIONS_REFUSED = "tensorwire_connections_refused_total",
        "Connections that were closed at once because the limit of connections was reached.";
    TLS_HANDSHAKE_FAILURES = "tensorwire_tls_handshake_failures_total",
        "Connections that ended in a TLS handshake: a wrong or missing certificate, or no TLS.";
    OPEN_REQUESTS = "tensorwire_open_requests",
        "Requests of each I/O thread whose reply has not altogether left.";
    BUILD_INFO = "tensorwire_build_info",
        "Always 1; the labels say what this server is.";
    // The names that every Prometheus client gives these.
    PROCESS_CPU_SECONDS = "process_cpu_seconds_total",
        "Processor time that the process has used, in user and system mode together.";
    PROCESS_RESIDENT_BYTES = "process_resident_memory_bytes",
        "Memory of the process that is resident.";
    PROCESS_VIRTUAL_BYTES = "process_virtual_memory_bytes",
        "Address space of the process.";
    PROCESS_OPEN_FDS = "process_open_fds",
        "File descriptors that are open.";
    PROCESS_MAX_FDS = "process_max_fds",
        "File descriptors that may be open.";
    PROCESS_THREADS = "process_threads",
        "Threads of the process.";
    PROCESS_START_SECONDS = "process_start_time_seconds",
        "When the process started, in seconds since 1970.";
}

/// The name a model is served under.
pub const MODEL: &str = "model";
/// Its version.
pub const VERSION: &str = "version";
/// The signature; empty for requests that failed before one was found.
pub const SIGNATURE: &str = "signature";
/// gRPC's name of a status code.
pub const CODE: &str = "code";
/// One of [`PHASES`].
pub const PHASE: &str = "phase";
/// A version's state.
pub const STATE: &str = "state";
/// What became of a request that was to be kept.
pub const OUTCOME: &str = "outcome";
/// A version's folder; of the many that come after the first 512, the one that its model is in.
pub const PATH: &str = "path";
/// The index of an I/O thread.
pub const IO_THREAD: &str = "io_thread";

/// The parts of a request's time, in their order; together they are about the whole.
pub const PHASES: [&str; PHASE_COUNT] = ["decode", "queue", "merge", "execute", "split", "encode"];
pub(super) const PHASE_COUNT: usize = 6;

/// The phases' durations, in the order of [`PHASES`].
pub fn phases(timings: &Timings) -> [Duration; PHASE_COUNT] {
    [
        timings.decode,
        timings.queue,
        timings.merge,
        timings.execute,
        timings.split,
        timings.encode,
    ]
}

/// The lowest bound of a duration: what a small model takes in all starts well above it.
const FIRST_BOUND_NANOS: u64 = 5_000;

/// Bounds of a request's time: doubling from 5 µs to 84 s, so that a quantile read from
/// them is at most a factor of two off over seven decades.
pub(super) const TIME_BOUNDS: usize = 25;

/// Bounds of a phase's time: every second one of those. There are six phases, and six
/// times the series to keep for whoever collects them.
pub(super) const PHASE_BOUNDS: usize = TIME_BOUNDS.div_ceil(2);

/// Bounds of row counts: the powers of two to 2048; batches are made in these sizes.
pub(super) const ROW_BOUNDS: usize = 12;

/// Upper bounds of [`REQUEST_SECONDS`]'s buckets, seconds.
pub fn time_bounds() -> impl Iterator<Item = f64> {
    (0..TIME_BOUNDS).map(|bucket| seconds(FIRST_BOUND_NANOS << bucket))
}

/// Upper bounds of [`REQUEST_PHASE_SECONDS`]'s buckets, seconds.
pub fn phase_bounds() -> impl Iterator<Item = f64> {
    time_bounds().step_by(2)
}

/// Upper bounds of the buckets of [`REQUEST_ROWS`] and [`BATCH_ROWS`].
pub fn row_bounds() -> impl Iterator<Item = f64> {
    (0..ROW_BOUNDS).map(|bucket| (1_u64 << bucket) as f64)
}

/// Nanoseconds as seconds.
pub fn seconds(nanos: u64) -> f64 {
    // Divided, not multiplied: 5 µs is then written 0.000005.
    nanos as f64 / 1e9
}

/// The bucket of a duration among [`time_bounds`]; the one above them all for longer.
pub(super) fn time_bucket(nanos: u64) -> usize {
    power_of_two_above(nanos.div_ceil(FIRST_BOUND_NANOS)).min(TIME_BOUNDS)
}

/// The bucket of a duration among [`phase_bounds`].
pub(super) fn phase_bucket(nanos: u64) -> usize {
    time_bucket(nanos).div_ceil(2)
}

/// The bucket of a row count among [`row_bounds`].
pub(super) fn row_bucket(rows: u64) -> usize {
    power_of_two_above(rows).min(ROW_BOUNDS)
}

/// The exponent of the lowest power of two that is not below `number`; 0 for 0.
fn power_of_two_above(number: u64) -> usize {
    (u64::BITS - number.saturating_sub(1).leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        ALL, PHASE_BOUNDS, phase_bounds, phase_bucket, row_bounds, row_bucket, seconds,
        time_bounds, time_bucket,
    };

    /// The bucket by its definition: the first bound that is not below the value.
    fn by_definition(bounds: impl Iterator<Item = f64>, value: f64) -> usize {
        let bounds: Vec<f64> = bounds.collect();
        let found = bounds.iter().position(|bound| value <= *bound);
        found.unwrap_or(bounds.len())
    }

    #[test]
    fn durations_fall_below_their_bound() {
        let edges = (0..30).flat_map(|power| {
            let bound = 5_000_u64 << power;
            [bound - 1, bound, bound + 1]
        });
        for nanos in edges.chain([0, 1, 4_999, 12_345_678, u64::MAX]) {
            let value = seconds(nanos);
            assert_eq!(
                time_bucket(nanos),
                by_definition(time_bounds(), value),
                "{nanos}"
            );
            assert_eq!(
                phase_bucket(nanos),
                by_definition(phase_bounds(), value),
                "{nanos}"
            );
        }
    }

    #[test]
    fn rows_fall_below_their_bound() {
        for rows in (0..5000).chain([u64::MAX]) {
            assert_eq!(
                row_bucket(rows),
                by_definition(row_bounds(), rows as f64),
                "{rows}"
            );
        }
    }

    #[test]
    fn phases_have_every_second_bound() {
        assert_eq!(phase_bounds().count(), PHASE_BOUNDS);
        assert_eq!(phase_bounds().last(), time_bounds().last());
        assert_eq!(
            phase_bounds().next().map(|bound| bound.to_string()),
            Some("0.000005".into())
        );
    }

    #[test]
    fn names_are_unique_and_helped() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            assert!(
                metric.help.ends_with('.') || metric.help.contains(';'),
                "{metric:?}"
            );
            assert!(!metric.help.contains("  "), "{metric:?}");
        }
    }
}
