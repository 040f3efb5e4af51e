//! When an I/O thread runs what it has gathered: after every connection that had
//! something to read has been read, so that what arrived together runs together.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use engine::{Call, Tick};

use crate::app::App;
use crate::services::inference::Pending;

/// The gathered requests of one I/O thread.
#[derive(Default)]
pub(crate) struct Ticker {
    tick: RefCell<Tick<Pending>>,
    /// Who runs them, while it waits for the first.
    runner: Cell<Option<Waker>>,
}

impl Ticker {
    /// Gathers a request; it runs at the end of this turn of the event loop.
    pub(crate) fn push(&self, call: Call, pending: Pending) {
        self.tick.borrow_mut().push(call, pending);
        if let Some(runner) = self.runner.take() {
            // It goes to the end of the line, behind the connections that are to be
            // read in this turn.
            runner.wake();
        }
    }
}

/// Runs what is gathered, for as long as the I/O thread lives.
pub(crate) async fn run_ticks(app: Rc<App>) {
    loop {
        poll_fn(|context| {
            if !app.ticker.tick.borrow().is_empty() {
                return Poll::Ready(());
            }
            app.ticker.runner.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
        app.ticker.tick.borrow_mut().run();
        // If there is more, the connections are looked at first.
        tokio::task::yield_now().await;
    }
}
