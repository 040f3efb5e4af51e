//! The requests that arrived in one turn of an I/O thread's event loop, which the
//! thread runs itself: gathered while they are decoded, run together at its end.

use crate::call::Call;
use crate::respond::Respond;

/// One I/O thread's gathered requests; `R` answers them.
#[derive(Debug)]
pub struct Tick<R> {
    gathered: Vec<(Call, R)>,
}

impl<R> Default for Tick<R> {
    fn default() -> Self {
        Self {
            gathered: Vec::new(),
        }
    }
}

impl<R: Respond> Tick<R> {
    /// Gathers a request for which [`crate::Dispatcher::is_inline`].
    pub fn push(&mut self, call: Call, respond: R) {
        self.gathered.push((call, respond));
    }

    /// Whether nothing is gathered.
    pub fn is_empty(&self) -> bool {
        self.gathered.is_empty()
    }

    /// Runs and answers everything gathered.
    pub fn run(&mut self) {
        for (call, respond) in self.gathered.drain(..) {
            respond.respond(call.run());
        }
    }
}
