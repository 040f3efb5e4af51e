//! What all inference has in common, whichever service asked: a message becomes a call,
//! the engine runs it, here or on a runner, and a writer makes a reply of its outcome.

use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::time::Instant;

use engine::metrics::{MessageSizes, Tally};
use engine::{Call, Kind, Outcome, Respond, ServeError, ServedModel, expired, lost};
use tokio::sync::oneshot;

use super::predict::PredictWriter;
use super::text::TextWriter;
use crate::app::App;
use crate::grpc::{Frame, Received, Responder};

/// What makes a reply of an outcome.
pub(crate) enum Writer {
    /// `tensorflow.serving.PredictionService/Predict`.
    Predict(PredictWriter),
    /// `prediction_service.PredictionService/Predict`.
    Text(TextWriter),
}

impl Writer {
    /// The reply, and what went wrong, which a text reply has in it.
    fn write(
        &self,
        model: &ServedModel,
        outcome: Outcome,
    ) -> (Result<Frame, ServeError>, Option<Kind>) {
        let outputs = outcome.map(|answer| answer.outputs);
        match self {
            Self::Predict(writer) => {
                let reply = outputs.and_then(|outputs| writer.write(model, &outputs));
                let failed = reply.as_ref().err().map(ServeError::kind);
                (reply, failed)
            }
            Self::Text(writer) => writer.write(outputs),
        }
    }
}

/// A request that makes no call.
pub(crate) struct Refused {
    /// What was wrong.
    pub(crate) kind: Kind,
    /// How its service says so.
    pub(crate) reply: Result<Frame, ServeError>,
}

impl From<ServeError> for Box<Refused> {
    fn from(error: ServeError) -> Self {
        Self::new(Refused {
            kind: error.kind(),
            reply: Err(error),
        })
    }
}

/// What a service makes of a message. Counted is it by the tally, from the moment that
/// its model is known.
type Prepare = fn(&App, &Received, &mut Option<Tally>) -> Result<(Call, Writer), Box<Refused>>;

/// A request that waits for its outcome.
pub(crate) struct Pending {
    responder: Responder,
    writer: Writer,
    tally: Tally,
    arrived: Instant,
    /// Bytes of its message.
    received: usize,
    wants_timings: bool,
}

impl Respond for Pending {
    fn is_gone(&mut self) -> bool {
        self.responder.is_gone()
    }

    fn respond(self, mut outcome: Outcome) {
        let encoding = Instant::now();
        let permit = outcome
            .as_mut()
            .ok()
            .and_then(|answer| answer.permit.take());
        let timings = outcome.as_ref().ok().map(|answer| answer.timings);
        let (reply, failed) = self.writer.write(self.tally.model(), outcome);
        let timings = timings.map(|timings| timings.written(self.arrived, encoding));
        match (&reply, failed, &timings) {
            (Ok(frame), None, Some(timings)) => {
                let sent = frame.message_bytes();
                let received = self.received;
                self.tally
                    .succeeded(timings, MessageSizes { received, sent });
            }
            (_, failed, _) => self.tally.failed(failed.unwrap_or(Kind::Internal)),
        }
        let told = timings.as_ref().filter(|_| self.wants_timings);
        self.responder.finish_held(reply, told, permit);
    }
}

/// Answers a message with what `prepare` and the engine make of it.
pub(crate) fn answer(app: &Rc<App>, received: Received, prepare: Prepare) {
    let mut tally = None;
    let prepared = prepare(app, &received, &mut tally);
    match (prepared, tally) {
        (Ok((call, writer)), Some(tally)) => {
            let waiting = Pending {
                writer,
                tally,
                arrived: call.arrived(),
                received: received.message.len(),
                wants_timings: received.call.wants_timings(),
                responder: received.responder,
            };
            run(app, call, waiting);
        }
        (Ok(_), None) => received.responder.fail(&lost()),
        (Err(refused), tally) => {
            let Refused { kind, reply } = *refused;
            match tally {
                Some(tally) => tally.failed(kind),
                None => app.engine.unmatched.record(kind),
            }
            received.responder.finish(reply);
        }
    }
}

/// Lets a call in and has it run.
fn run(app: &Rc<App>, mut call: Call, waiting: Pending) {
    let dispatcher = &app.engine.dispatcher;
    if let Err(error) = dispatcher.admit(&mut call) {
        return waiting.respond(Err(error));
    }
    if dispatcher.is_inline(&call) {
        return app.ticker.push(call, waiting);
    }
    let deadline = call.deadline();
    match dispatcher.submit(call) {
        Err(error) => waiting.respond(Err(error)),
        Ok(answer) => {
            tokio::task::spawn_local(wait(answer, deadline, waiting));
        }
    }
}

/// Answers when the runner does, or the deadline passes; a client that goes away
/// abandons the call, which is then not run if it has not begun.
async fn wait(answer: oneshot::Receiver<Outcome>, deadline: Option<Instant>, mut waiting: Pending) {
    let timeout = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => pending().await,
        }
    };
    let outcome = tokio::select! {
        biased;
        outcome = answer => outcome.unwrap_or_else(|_lost| Err(lost())),
        () = timeout => Err(expired()),
        () = poll_fn(|context| waiting.responder.poll_gone(context)) => return,
    };
    waiting.respond(outcome);
}
