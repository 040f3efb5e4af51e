//! The closed loop: callers that send their next request when they have their answer.

use std::sync::Arc;
use std::time::Instant;

use super::generator::{Generator, Span};
use super::plan::{Pace, share};

/// Starts this thread's callers; returns when the first of them has stopped, and with it
/// the whole load.
pub(crate) async fn send(generator: &Arc<Generator>, span: Span) {
    let shared = &generator.shared;
    let Pace::Closed { concurrency } = shared.plan.pace else {
        return;
    };
    let stopping = shared.stopping.child_token();
    for number in 0..share(concurrency, shared.plan.threads, generator.index) {
        let this = Arc::clone(generator);
        let stopped = stopping.clone();
        generator.tasks.spawn(async move {
            this.keep_calling(number, span).await;
            stopped.cancel();
        });
    }
    stopping.cancelled().await;
}

impl Generator {
    async fn keep_calling(&self, number: usize, span: Span) {
        let shared = &self.shared;
        while !shared.stopping.is_cancelled() {
            let now = Instant::now();
            if span.until.is_some_and(|until| now >= until) {
                return;
            }
            let measured = now >= span.measured_from;
            if measured && !shared.take() {
                return;
            }
            self.call(number, None, measured).await;
        }
    }
}
