//! The open loop: requests are sent when they are due, whatever became of those before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::arrivals::Arrivals;
use super::generator::{Generator, Span, lock};
use super::pacer::Pacer;
use super::plan::{Pace, share};

/// How long after the end requests are still sent that were due before it.
const LONGEST_OVERTIME: Duration = Duration::from_secs(1);

/// Sends this thread's requests, each in a task of its own.
pub(crate) async fn send(generator: &Arc<Generator>, span: Span) {
    let shared = &generator.shared;
    let Pace::Open {
        rate,
        arrival,
        max_outstanding,
    } = shared.plan.pace
    else {
        return;
    };
    let threads = shared.plan.threads;
    let mut dispatch = Dispatch {
        generator,
        arrivals: Arrivals::new(rate, arrival, threads, generator.index),
        pacer: Pacer::new(),
        most_outstanding: share(max_outstanding, threads, generator.index),
        outstanding: Arc::new(AtomicUsize::new(0)),
        turn: 0,
    };
    tokio::select! {
        () = shared.stopping.cancelled() => {}
        () = dispatch.run(span) => {}
    }
}

struct Dispatch<'a> {
    generator: &'a Arc<Generator>,
    arrivals: Arrivals,
    pacer: Pacer,
    most_outstanding: usize,
    outstanding: Arc<AtomicUsize>,
    /// Which connection is next.
    turn: usize,
}

impl Dispatch<'_> {
    async fn run(&mut self, span: Span) {
        loop {
            let due = self.arrivals.next();
            let Some(due) = span.begin.checked_add(due) else {
                return;
            };
            if span.until.is_some_and(|until| due >= until) {
                return;
            }
            self.pacer.wait_until(due).await;
            let measured = due >= span.measured_from;
            if measured && !self.generator.shared.take() {
                return;
            }
            let too_late = |until| Instant::now() > until + LONGEST_OVERTIME;
            if span.until.is_some_and(too_late) {
                lock(&self.generator.lane().tally).unsent_late += 1;
            } else if self.outstanding.load(Ordering::Relaxed) < self.most_outstanding {
                self.start(due, measured);
            } else if measured {
                lock(&self.generator.lane().tally).unsent_outstanding += 1;
            }
        }
    }

    fn start(&mut self, due: Instant, measured: bool) {
        let turn = self.turn;
        self.turn = self.turn.wrapping_add(1);
        let generator = Arc::clone(self.generator);
        let under_way = UnderWay::new(&self.outstanding);
        self.generator.tasks.spawn(async move {
            generator.call(turn, Some(due), measured).await;
            drop(under_way);
        });
    }
}

/// Counts as one under way until dropped.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
