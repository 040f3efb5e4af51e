//! A call's whole way through a dispatcher, in one future.

use crate::respond::Outcome;
use crate::{Call, Dispatcher, expired, lost};

impl Dispatcher {
    /// Lets a call in, runs it here or has a runner do so, and waits for its answer.
    pub(crate) async fn dispatch(&self, mut call: Call) -> Outcome {
        self.admit(&mut call)?;
        if self.is_inline(&call) {
            return call.run();
        }
        let deadline = call.deadline;
        let answer = self.submit(call)?;
        match deadline {
            None => answer.await,
            Some(deadline) => tokio::time::timeout_at(deadline.into(), answer)
                .await
                .unwrap_or_else(|_elapsed| Ok(Err(expired()))),
        }
        .unwrap_or_else(|_lost| Err(lost()))
    }
}
