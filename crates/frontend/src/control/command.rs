//! One request to the control plane.

use bytes::Bytes;
use engine::ServeError;
use tokio::sync::oneshot;

/// What a command came to: its reply's message, or why it failed.
pub(super) type Outcome = Result<Bytes, ServeError>;

/// A request that the control plane is to answer, however long that takes; dropped, it
/// answers UNAVAILABLE. Its caller may have gone: what it asks for is done all the same.
#[derive(Debug)]
pub struct Command {
    method: &'static str,
    payload: Bytes,
    is_json: bool,
    answer: Option<oneshot::Sender<Outcome>>,
}

impl Command {
    pub(super) fn new(
        method: &'static str,
        payload: Bytes,
        is_json: bool,
    ) -> (Self, oneshot::Receiver<Outcome>) {
        let (answer, outcome) = oneshot::channel();
        let command = Self {
            method,
            payload,
            is_json,
            answer: Some(answer),
        };
        (command, outcome)
    }

    /// The method's full name, `tensorwire.ModelRepository/ListModels`.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Its request, encoded; not looked at yet.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Whether request and reply are JSON, by protobuf's mapping.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Answers it with its reply, encoded, or an error.
    pub fn finish(mut self, outcome: Result<Bytes, ServeError>) {
        self.send(outcome);
    }

    fn send(&mut self, outcome: Outcome) {
        if let Some(answer) = self.answer.take() {
            // An error means that the caller has gone away.
            let _ = answer.send(outcome);
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.send(Err(ServeError::unavailable(
            "the server did not finish it; it may have been done in part",
        )));
    }
}
