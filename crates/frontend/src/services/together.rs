//! One reply to several calls: it is there when all of them are, and one that fails fails
//! it. All of it stays in one I/O thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use engine::{Permit, ServeError, ServedModel};
use wire::Sink;
use wire::examples::{ExampleResult, TaskReply, write_multi_response};

use super::example_request::spec_of;
use super::inference::{Count, Ended, Outputs};
use super::recording::Recording;
use crate::examples::Reader;
use crate::grpc::{Frame, Responder};

/// The calls' common state.
pub(super) struct Together(RefCell<State>);

struct State {
    /// None once all is said.
    responder: Option<Responder>,
    /// If the request is to be kept.
    recording: Option<Box<Recording>>,
    model: Arc<ServedModel>,
    /// One for each call, in the order of the reply.
    results: Vec<Option<(usize, ExampleResult)>>,
    /// What the calls that are done hold of the limits, until the reply has been sent.
    permit: Option<Permit>,
    /// Those that wait for the client to go away.
    waiting: Vec<Waker>,
}

/// The right to answer one of the calls. Dropped unanswered (its client has gone away, or a
/// panic), it ends them all.
pub(crate) struct Part {
    together: Rc<Together>,
    index: usize,
    reader: Reader,
}

impl Together {
    /// The calls' parts in the reply of `responder`, one for each reader; `recording`: if the
    /// request is to be kept.
    pub(super) fn parts(
        (responder, recording): (Responder, Option<Box<Recording>>),
        model: Arc<ServedModel>,
        readers: Vec<Reader>,
    ) -> impl Iterator<Item = Part> {
        let together = Rc::new(Self(RefCell::new(State {
            responder: Some(responder),
            recording,
            model,
            results: readers.iter().map(|_| None).collect(),
            permit: None,
            waiting: Vec::new(),
        })));
        let part = move |(index, reader)| Part {
            together: Rc::clone(&together),
            index,
            reader,
        };
        readers.into_iter().enumerate().map(part)
    }
}

impl Part {
    /// Whether nobody waits for the reply any more.
    pub(super) fn is_gone(&self) -> bool {
        let mut state = self.together.0.borrow_mut();
        state.responder.as_mut().is_none_or(Responder::is_gone)
    }

    /// Ready when nobody waits for the reply any more.
    pub(super) fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.together.0.borrow_mut();
        let Some(responder) = &mut state.responder else {
            return Poll::Ready(());
        };
        // HTTP/2 wakes only the last that asked; whoever it is ends the others.
        if responder.poll_gone(context).is_ready() {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !state.waiting.iter().any(|other| other.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        Poll::Pending
    }

    /// Takes in a call's outcome, and answers if that was the last or if it failed.
    pub(super) fn end(self, outputs: Outputs, mut ended: Ended, count: Count) {
        let result = outputs.and_then(|outputs| self.reader.read(&outputs));
        let mut state = self.together.0.borrow_mut();
        let written = result.and_then(|result| {
            state.hold(ended.permit.take());
            state.results[self.index] = Some((self.reader.signature(), result));
            state.write()
        });
        match written {
            Ok(None) => {
                count.written(&ended, None, 0);
                // If HTTP/2 would have woken this one, another has to ask it now.
                state.wake();
            }
            Ok(Some(mut frame)) => {
                if let Some(name) = state.model.metrics.name() {
                    name.examples(self.reader.examples());
                }
                if let Some(recording) = state.recording.take() {
                    let pieces = || frame.share();
                    recording.keep(&state.model, count.arrived, pieces, Vec::new());
                }
                let told = count.written(&ended, None, frame.message_bytes());
                let permit = state.permit.take();
                if let Some(responder) = state.end() {
                    responder.finish_held(Ok(frame), told.as_ref(), permit);
                }
            }
            Err(error) => {
                count.written(&ended, Some(error.kind()), 0);
                if let Some(responder) = state.end() {
                    responder.fail(&error);
                }
            }
        }
    }
}

impl State {
    fn hold(&mut self, permit: Option<Permit>) {
        match (&mut self.permit, permit) {
            (Some(held), Some(more)) => held.join(more),
            (held @ None, permit) => *held = permit,
            (Some(_), None) => {}
        }
    }

    /// The reply, if all results are there.
    fn write(&self) -> Result<Option<Frame>, ServeError> {
        let results = self.results.iter();
        let Some(results) = results.map(Option::as_ref).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let tasks = results
            .into_iter()
            .map(|(signature, result)| TaskReply::new(spec_of(&self.model, *signature), result))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ServeError::internal(error.to_string()))?;
        let length = TaskReply::len_of_all(&tasks);
        Frame::new((length, 0), |segments| {
            write_multi_response(&tasks, segments.buffer());
        })
        .map(Some)
    }

    /// Has the others end; who is to be told, if nobody was.
    fn end(&mut self) -> Option<Responder> {
        self.wake();
        self.responder.take()
    }

    /// Has those look that wait for the client to go away.
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Not so while it answers, when the state is borrowed, nor in a panic of that.
        if let Ok(mut state) = self.together.0.try_borrow_mut()
            && state.results[self.index].is_none()
        {
            // Unanswered, the responder answers for itself.
            drop(state.end());
        }
    }
}
