//! Whoever waits for a request's answer, and what the answer is.

use tensor::Tensor;

use crate::{Permit, ServeError, Timings};

/// A request's outputs in the order it asked for them, and where the time went.
#[derive(Debug)]
pub struct Answer {
    /// One tensor for each output asked for: this request's rows only.
    pub outputs: Vec<Tensor>,
    /// What is known when the engine is done with it.
    pub timings: Timings,
    /// Its share of the limits, to be held until its reply has been sent: replies that
    /// nobody reads take memory too.
    pub permit: Option<Permit>,
}

impl Answer {
    /// An answer that holds nothing of the limits yet.
    pub fn new(outputs: Vec<Tensor>, timings: Timings) -> Self {
        Self {
            outputs,
            timings,
            permit: None,
        }
    }
}

/// An answer, or why there is none.
pub type Outcome = Result<Answer, ServeError>;

/// The right to answer one request. Dropped unanswered (a panic, a lost queue), it
/// must answer INTERNAL by itself, so that no caller waits for ever.
pub trait Respond {
    /// Whether nobody waits for the answer any more: then the request need not run.
    fn is_gone(&mut self) -> bool;

    /// Answers. A caller that has gone away is no error.
    fn respond(self, outcome: Outcome);
}
