//! Commands on their way from the I/O threads to the control plane.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::ServeError;
use tokio::sync::oneshot;

use super::Command;
use super::command::Outcome;

/// Most commands that wait to be taken. The control plane takes them at once and works on
/// them side by side, so that any number here means that it has stopped.
const MAX_WAITING: usize = 64;

/// Largest command, bytes: a configuration of 100,000 models is smaller.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// Commands that nobody has taken yet. I/O threads lock it for a moment, for each command
/// and for nothing else.
#[derive(Debug, Default)]
pub(crate) struct CommandQueue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<Command>,
    is_closed: bool,
}

impl CommandQueue {
    /// Queues a command; its outcome will come. `RESOURCE_EXHAUSTED` if it is too large or too
    /// many wait, UNAVAILABLE once the queue is closed.
    pub(crate) fn push(
        &self,
        method: &'static str,
        payload: Bytes,
        is_json: bool,
    ) -> Result<oneshot::Receiver<Outcome>, ServeError> {
        if payload.len() > MAX_BYTES {
            return Err(ServeError::resource_exhausted(format!(
                "the request has {} bytes, more than the {MAX_BYTES} that {method} takes",
                payload.len()
            )));
        }
        let (command, outcome) = Command::new(method, payload, is_json);
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.is_closed {
                return Err(stopping());
            }
            if waiting.commands.len() >= MAX_WAITING {
                return Err(ServeError::resource_exhausted(format!(
                    "{MAX_WAITING} requests to change the models wait already; try again later"
                )));
            }
            waiting.commands.push_back(command);
        }
        self.changed.notify_one();
        Ok(outcome)
    }

    /// The next command, waited for up to `timeout`; none if there is none by then, or if
    /// the queue is closed.
    pub(crate) fn pop(&self, timeout: Duration) -> Option<Command> {
        let end = Instant::now().checked_add(timeout);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(command) = waiting.commands.pop_front() {
                return Some(command);
            }
            let left = end.map_or(timeout, |end| end.saturating_duration_since(Instant::now()));
            if waiting.is_closed || left.is_zero() {
                return None;
            }
            waiting = self
                .changed
                .wait_timeout(waiting, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Takes no more commands, drops those that wait, and wakes whoever waits for one.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.is_closed = true;
            std::mem::take(&mut waiting.commands)
        };
        drop(dropped);
        self.changed.notify_all();
    }
}

/// What a server that stops says to commands.
pub(super) fn stopping() -> ServeError {
    ServeError::unavailable("the server is stopping")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use engine::{Kind, ServeError};

    use super::{CommandQueue, MAX_BYTES, MAX_WAITING};

    const METHOD: &str = "tensorwire.ModelRepository/ListModels";
    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn commands_come_out_in_order_and_answer_their_own_callers() {
        let queue = CommandQueue::default();
        let push = |payload: &'static str| queue.push(METHOD, payload.into(), true).unwrap();
        let (first, second, third) = (push("1"), push("2"), push("3"));
        let [one, two, three] = [(); 3].map(|()| queue.pop(SOON).unwrap());
        assert_eq!((one.method(), one.is_json()), (METHOD, true));
        assert_eq!(one.payload(), "1");
        two.finish(Err(ServeError::not_found("no two")));
        one.finish(Ok("one".into()));
        // One that is dropped is answered too.
        drop(three);
        assert_eq!(first.blocking_recv().unwrap().unwrap(), "one");
        let refused = second.blocking_recv().unwrap().unwrap_err();
        assert_eq!(refused.message(), "no two");
        let dropped = third.blocking_recv().unwrap().unwrap_err();
        assert_eq!(dropped.kind(), Kind::Unavailable);
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let queue = CommandQueue::default();
        let push = |bytes: Bytes| queue.push(METHOD, bytes, false).map(drop);
        assert_eq!(
            push(vec![0; MAX_BYTES + 1].into()).unwrap_err().kind(),
            Kind::ResourceExhausted
        );
        for _ in 0..MAX_WAITING {
            push(Bytes::new()).unwrap();
        }
        let full = push(Bytes::new()).unwrap_err();
        assert_eq!(full.kind(), Kind::ResourceExhausted);
        assert!(queue.pop(SOON).is_some());
        push(Bytes::new()).unwrap();
    }

    #[test]
    fn waiting_ends_with_a_command_with_time_and_with_the_queue() {
        let queue = CommandQueue::default();
        assert!(queue.pop(Duration::ZERO).is_none());
        assert!(queue.pop(Duration::from_millis(20)).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.pop(Duration::MAX));
            let outcome = queue.push(METHOD, Bytes::new(), false).unwrap();
            waiting.join().unwrap().unwrap().finish(Ok(Bytes::new()));
            assert!(outcome.blocking_recv().unwrap().is_ok());
        });
        let left = queue.push(METHOD, Bytes::new(), false).unwrap();
        let started = Instant::now();
        std::thread::scope(|scope| {
            assert!(queue.pop(SOON).is_some());
            let waiting = scope.spawn(|| queue.pop(SOON));
            queue.close();
            assert!(waiting.join().unwrap().is_none());
        });
        assert!(started.elapsed() < SOON);
        let dropped = left.blocking_recv().unwrap().unwrap_err();
        assert_eq!(dropped.kind(), Kind::Unavailable);
        let late = queue.push(METHOD, Bytes::new(), false).unwrap_err();
        assert_eq!(late.kind(), Kind::Unavailable);
    }
}
