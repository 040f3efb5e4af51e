//! What all inference has in common, whichever service asked: a message becomes a call,
//! the engine runs it, here or on a runner, and a writer makes a reply of its outcome.

use std::future::poll_fn;
use std::rc::Rc;

use engine::{Call as EngineCall, Outcome, Respond, ServeError, expired, lost};
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
    fn write(&self, outcome: Outcome) -> Result<Frame, ServeError> {
        match self {
            Self::Predict(writer) => writer.write(&outcome?.outputs),
            Self::Text(writer) => writer.write(outcome.map(|answer| answer.outputs)),
        }
    }
}

/// A request that waits for its outcome.
pub(crate) struct Pending {
    responder: Responder,
    writer: Writer,
}

impl Respond for Pending {
    fn is_gone(&mut self) -> bool {
        self.responder.is_gone()
    }

    fn respond(self, outcome: Outcome) {
        self.responder.finish(self.writer.write(outcome));
    }
}

/// Lets a call in and has it run; its outcome goes to `writer`, and what that makes of
/// it to the client.
pub(crate) fn run(app: &Rc<App>, mut call: EngineCall, writer: Writer, received: Responder) {
    let pending = Pending {
        responder: received,
        writer,
    };
    let dispatcher = &app.engine.dispatcher;
    if let Err(error) = dispatcher.admit(&mut call) {
        return pending.respond(Err(error));
    }
    if dispatcher.is_inline(&call) {
        return app.ticker.push(call, pending);
    }
    let deadline = call.deadline();
    match dispatcher.submit(call) {
        Err(error) => pending.respond(Err(error)),
        Ok(answer) => {
            tokio::task::spawn_local(wait(answer, deadline, pending));
        }
    }
}

/// Answers when the runner does, or the deadline passes; a client that goes away
/// abandons the call, which is then not run if it has not begun.
async fn wait(
    answer: oneshot::Receiver<Outcome>,
    deadline: Option<std::time::Instant>,
    mut pending: Pending,
) {
    let timeout = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        biased;
        outcome = answer => outcome.unwrap_or_else(|_lost| Err(lost())),
        () = timeout => Err(expired()),
        () = poll_fn(|context| pending.responder.poll_gone(context)) => return,
    };
    pending.respond(outcome);
}

/// Answers a message with what `prepare` makes of it.
pub(crate) fn answer(
    app: &Rc<App>,
    received: Received,
    prepare: fn(&App, &Received) -> Result<(EngineCall, Writer), Result<Frame, ServeError>>,
) {
    match prepare(app, &received) {
        Ok((call, writer)) => run(app, call, writer, received.responder),
        Err(refusal) => received.responder.finish(refusal),
    }
}
