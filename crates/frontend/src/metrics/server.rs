//! The metrics of the server as a whole: what it has in hand, and what it is.

use std::sync::Arc;

use engine::metrics::Gauges;
use engine::metrics::catalog::{self, IO_THREAD, Metric};

use super::family::Family;
use crate::listen::Refusals;
use crate::traffic::Traffic;

/// All families of the server.
pub(super) fn families(
    gauges: Gauges,
    io_threads: &[Arc<Traffic>],
    refusals: &Refusals,
) -> Vec<Family> {
    let gauge = |metric, value: usize| Family::gauges(metric).with(&[], value as f64);
    let counter = |metric, value: u64| Family::counters(metric).with(&[], value as f64);
    vec![
        gauge(catalog::IN_FLIGHT_REQUESTS, gauges.requests),
        gauge(catalog::IN_FLIGHT_ROWS, gauges.rows),
        gauge(catalog::IN_FLIGHT_BYTES, gauges.bytes),
        gauge(catalog::QUEUED_REQUESTS, gauges.queued),
        of_each(io_threads, catalog::CONNECTIONS, Traffic::connections),
        of_each(io_threads, catalog::OPEN_REQUESTS, Traffic::requests),
        counter(catalog::CONNECTIONS_REFUSED, refusals.over_limit()),
        counter(catalog::TLS_HANDSHAKE_FAILURES, refusals.handshakes()),
        Family::gauges(catalog::BUILD_INFO)
            .with(&[(catalog::VERSION, env!("CARGO_PKG_VERSION"))], 1.0),
    ]
}

fn of_each(threads: &[Arc<Traffic>], metric: Metric, count: fn(&Traffic) -> usize) -> Family {
    let mut family = Family::gauges(metric);
    for (index, traffic) in threads.iter().enumerate() {
        family.add(&[(IO_THREAD, &index.to_string())], count(traffic) as f64);
    }
    family
}
