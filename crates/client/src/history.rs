//! The failures of one call's attempts, told as one error: what came first is often the
//! reason, and what came last only its consequence.

use crate::code::Code;
use crate::error::ClientError;
use crate::failure::{Cause, Failure};

/// How many different failures are told: enough for every address of most channels, few
/// enough that a call that waits for hours keeps no more than a sentence.
const MOST_TOLD: usize = 8;

/// The different failures so far, in the order in which they first came.
#[derive(Debug, Default)]
pub(crate) struct History {
    told: Vec<Told>,
    left_out: usize,
}

#[derive(Debug)]
struct Told {
    error: ClientError,
    cause: Cause,
}

impl History {
    /// Adds a failure; one that came before, at the same address, is not told again.
    pub(crate) fn add(&mut self, failure: Failure) {
        let Failure { error, cause, .. } = failure;
        let same = |told: &Told| {
            told.error.message() == error.message() && told.error.address() == error.address()
        };
        if self.told.iter().any(same) {
            return;
        }
        if self.told.len() == MOST_TOLD {
            // The first and the latest say most.
            self.told.pop();
            self.left_out += 1;
        }
        self.told.push(Told { error, cause });
    }

    /// All of it as one sentence; `None`: nothing has failed.
    pub(crate) fn sentence(&self) -> Option<String> {
        let (last, earlier) = self.told.split_last()?;
        if earlier.is_empty() {
            return Some(last.error.message().to_owned());
        }
        let mut sentences: Vec<String> = earlier.iter().map(Told::sentence).collect();
        if self.left_out > 0 {
            sentences.push(format!("{} other failures", self.left_out));
        }
        sentences.push(last.sentence());
        Some(sentences.join("; then "))
    }

    /// Whether there is more than one failure to tell.
    pub(crate) fn is_long(&self) -> bool {
        self.told.len() > 1
    }

    /// What the caller is told when `failure` was the last: it alone, if the server
    /// answered anything but UNAVAILABLE, for then those before it no longer matter.
    pub(crate) fn ended_by(mut self, failure: Failure) -> ClientError {
        let last = failure.error.clone();
        if last.code() != Code::Unavailable {
            return last;
        }
        self.add(failure);
        match self.sentence() {
            Some(sentence) if self.is_long() => {
                ClientError::at(last.code(), sentence, last.address())
            }
            _ => last,
        }
    }
}

impl Told {
    /// A server's own words don't say whose they are.
    fn sentence(&self) -> String {
        match self.cause {
            Cause::Answered => {
                format!(
                    "{} answered: {}",
                    self.error.address(),
                    self.error.message()
                )
            }
            _ => self.error.message().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{History, MOST_TOLD};
    use crate::code::Code;
    use crate::error::ClientError;
    use crate::failure::{Cause, Failure};
    use crate::status::{Pushback, Status};

    fn failure(cause: Cause, message: &str, address: &str) -> Failure {
        Failure {
            error: ClientError::at(Code::Unavailable, message, address),
            pushback: Pushback::Unsaid,
            cause,
        }
    }

    fn refused(address: &str) -> Failure {
        let message = format!("cannot connect to {address}: Connection refused");
        failure(Cause::Unreached, &message, address)
    }

    #[test]
    fn the_first_cause_is_kept() {
        let mut history = History::default();
        let lost = "the connection to a:1 was lost: reset by peer";
        history.add(failure(Cause::Lost, lost, "a:1"));
        history.add(refused("a:1"));
        let error = history.ended_by(refused("a:1"));
        assert_eq!(error.code(), Code::Unavailable);
        assert_eq!(error.address(), "a:1");
        assert_eq!(
            error.message(),
            "the connection to a:1 was lost: reset by peer; \
             then cannot connect to a:1: Connection refused"
        );
    }

    #[test]
    fn one_failure_is_told_as_it_is() {
        let mut history = History::default();
        history.add(failure(Cause::Answered, "later", "a:1"));
        let error = history.ended_by(failure(Cause::Answered, "later", "a:1"));
        assert_eq!(error.message(), "later");
    }

    #[test]
    fn every_address_is_named() {
        let mut history = History::default();
        history.add(refused("a:1"));
        history.add(failure(Cause::Answered, "stopping", "b:2"));
        let error = history.ended_by(refused("c:3"));
        assert_eq!(
            error.message(),
            "cannot connect to a:1: Connection refused; then b:2 answered: stopping; \
             then cannot connect to c:3: Connection refused"
        );
    }

    #[test]
    fn many_failures_are_counted() {
        let mut history = History::default();
        for number in 1..100 {
            history.add(refused(&format!("a:{number}")));
        }
        let sentence = history.sentence().unwrap();
        assert_eq!(sentence.matches("; then ").count(), MOST_TOLD);
        assert!(sentence.starts_with("cannot connect to a:1: "));
        let end = "then 91 other failures; then cannot connect to a:99: Connection refused";
        assert!(sentence.ends_with(end), "{sentence}");
    }

    #[test]
    fn an_answer_ends_it() {
        let mut history = History::default();
        history.add(refused("a:1"));
        let status = Status::new(Code::NotFound, "no such model");
        let error = history.ended_by(Failure::answered(status, "b:2"));
        assert_eq!(error.message(), "no such model");
    }
}
