//! The guard that answers a request however its run ends.

use tensor::Tensor;
use tokio::sync::oneshot;

use crate::ServeError;

/// A request's outputs in the order it asked for them, or why there are none.
pub(crate) type Outcome = Result<Vec<Tensor>, ServeError>;

/// The right to answer one request. Dropped unanswered (a panic, a lost queue), it
/// answers INTERNAL, so that no caller waits for ever.
#[derive(Debug)]
pub(crate) struct Reply(Option<oneshot::Sender<Outcome>>);

impl Reply {
    /// A guard and the receiver of its answer.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Answers. A caller that has gone away is no error.
    pub(crate) fn send(mut self, outcome: Outcome) {
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
pub(crate) fn lost() -> ServeError {
    ServeError::internal("the run ended without an answer; this is a bug in TensorWire")
}

#[cfg(test)]
mod tests {
    use super::Reply;
    use crate::Kind;

    #[test]
    fn dropped_unanswered_it_still_answers() {
        let (reply, receiver) = Reply::new();
        drop(reply);
        let outcome = receiver.blocking_recv().unwrap();
        assert_eq!(outcome.unwrap_err().kind(), Kind::Internal);
    }

    #[test]
    fn knows_that_nobody_waits() {
        let (reply, receiver) = Reply::new();
        assert!(!reply.is_abandoned());
        drop(receiver);
        assert!(reply.is_abandoned());
        reply.send(Ok(vec![]));
    }
}
