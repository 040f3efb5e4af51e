use std::thread;
use std::time::Duration;

use super::{MessageSizes, ModelMetrics};
use crate::metrics::BatchRows;
use crate::{Kind, Timings};

/// A request of 1 µs decoding, 2 µs waiting and so on, and a reply of 64 bytes.
fn timings(rows: usize) -> Timings {
    let micros = Duration::from_micros;
    Timings {
        decode: micros(1),
        queue: micros(2),
        merge: micros(3),
        execute: micros(4),
        split: micros(5),
        encode: micros(6),
        total: micros(21),
        rows,
        batch_rows: rows,
    }
}

const SIZES: MessageSizes = MessageSizes {
    received: 100,
    sent: 64,
};

#[test]
fn what_was_recorded_is_what_is_read() {
    let metrics = ModelMetrics::new(2);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (1..=100).for_each(|rows| metrics.record(1, &timings(rows), SIZES)));
        }
    });
    let totals = metrics.totals(1).unwrap();
    assert_eq!(totals.total.count(), 800);
    // 21 µs is above 20 and below 40, the fourth of the bounds.
    assert_eq!(totals.total.counts[3], 800);
    assert_eq!(totals.total.sum, 800 * 21_000);
    for (phase, expected) in totals.phases.iter().zip(1..) {
        assert_eq!((phase.count(), phase.sum), (800, 800 * 1000 * expected));
    }
    assert_eq!(totals.phases[4].counts[0], 800);
    assert_eq!(totals.phases[5].counts[1], 800);
    assert_eq!((totals.rows.count(), totals.rows.sum), (800, 8 * 5050));
    // 1; 2; 3 and 4; 5 to 8 ...
    assert_eq!(totals.rows.counts[..8], [8, 8, 16, 32, 64, 128, 256, 288]);
    assert_eq!((totals.received_bytes, totals.sent_bytes), (80_000, 51_200));
    assert_eq!(metrics.totals(0).unwrap().total.count(), 0);
    assert!(metrics.totals(2).is_none());
}

#[test]
fn failures_count_by_kind_and_not_in_the_histograms() {
    let metrics = ModelMetrics::new(1);
    metrics.record_failure(Some(0), Kind::Cancelled);
    metrics.record_failure(Some(0), Kind::Unauthenticated);
    metrics.record_failure(Some(0), Kind::Unauthenticated);
    metrics.record_failure(None, Kind::FailedPrecondition);
    metrics.record_failure(Some(7), Kind::Internal);
    let totals = metrics.totals(0).unwrap();
    assert_eq!(
        totals.failures,
        [(Kind::Cancelled, 1), (Kind::Unauthenticated, 2)]
    );
    assert_eq!(totals.total.count(), 0);
    assert_eq!(
        metrics.without_signature().totals(),
        [(Kind::FailedPrecondition, 1), (Kind::Internal, 1)]
    );
}

#[test]
fn batches_run_until_they_end_one_way_or_the_other() {
    let metrics = ModelMetrics::new(1);
    let rows = BatchRows {
        rows: 6,
        padding: 2,
        requests: 3,
    };
    let running = || metrics.totals(0).unwrap().batches;
    let (good, bad) = (metrics.begin_batch(0), metrics.begin_batch(0));
    assert_eq!(running().running, 2);
    good.succeeded(rows, Duration::from_millis(7));
    assert_eq!(running().running, 1);
    // A batch may end in another thread than it began in.
    thread::scope(|scope| scope.spawn(move || drop(bad)).join().unwrap());
    let totals = running();
    assert_eq!((totals.running, totals.failed), (0, 1));
    assert_eq!((totals.rows.count(), totals.rows.sum), (1, 6));
    assert_eq!((totals.padding_rows, totals.requests), (2, 3));
    assert_eq!(totals.execute_nanos, 7_000_000);
}

#[test]
fn a_signature_takes_the_memory_that_is_said() {
    use crate::metrics::counters::{BatchCounters, RequestCounters};
    assert_eq!(size_of::<RequestCounters>(), 1280);
    assert_eq!(size_of::<BatchCounters>(), 256);
    assert_eq!(size_of::<super::SignatureMetrics>(), 48);
}

#[test]
fn activity_changes_with_every_answer() {
    let metrics = ModelMetrics::new(2);
    let mut seen = vec![metrics.activity()];
    for signature in [0, 1, 1] {
        metrics.record(signature, &timings(1), SIZES);
        assert!(!seen.contains(&metrics.activity()));
        seen.push(metrics.activity());
    }
}
