//! The guard that answers a queued request however its run ends.

use tokio::sync::oneshot;

use crate::ServeError;
use crate::respond::{Outcome, Respond};

/// The right to answer one queued request. Dropped unanswered (a panic, a lost queue),
/// it answers INTERNAL, so that no caller waits for ever.
#[derive(Debug)]
pub struct Reply(Option<oneshot::Sender<Outcome>>);

impl Reply {
    /// A guard and the receiver of its answer.
    pub fn new() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }
}

impl Respond for Reply {
    fn is_gone(&mut self) -> bool {
        self.0.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn respond(mut self, outcome: Outcome) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(outcome);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(Err(lost()));
        }
    }
}

/// What a caller is told whose run ended without an answer.
pub fn lost() -> ServeError {
    ServeError::internal("the run ended without an answer; this is a bug in TensorWire")
}

#[cfg(test)]
mod tests {
    use super::Reply;
    use crate::Kind;
    use crate::respond::Respond;

    #[test]
    fn dropped_unanswered_it_still_answers() {
        let (reply, receiver) = Reply::new();
        drop(reply);
        let outcome = receiver.blocking_recv().unwrap();
        assert_eq!(outcome.unwrap_err().kind(), Kind::Internal);
    }

    #[test]
    fn knows_that_nobody_waits() {
        let (mut reply, receiver) = Reply::new();
        assert!(!reply.is_gone());
        drop(receiver);
        assert!(reply.is_gone());
    }
}
