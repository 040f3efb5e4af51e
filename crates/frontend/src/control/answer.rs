//! From a call to a command and back. The I/O thread waits for nothing: each command has a
//! task of its own.

use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::time::Instant;

use bytes::{BufMut, Bytes};
use engine::ServeError;
use tokio::sync::oneshot;
use wire::Sink;

use super::CommandQueue;
use super::command::Outcome;
use super::queue::stopping;
use crate::app::App;
use crate::drain::begun;
use crate::grpc::{Frame, Received, Responder};

/// Answers a gRPC call of a control plane's method.
pub(crate) fn answer(app: &Rc<App>, received: Received, method: &'static str) {
    let Received {
        call,
        message,
        responder,
    } = received;
    let begin = || {
        let deadline = call.clock()?.deadline;
        Ok((queue(app, method)?.push(method, message, false)?, deadline))
    };
    match begin() {
        Err(error) => responder.fail(&error),
        Ok((outcome, deadline)) => {
            tokio::task::spawn_local(wait(Rc::clone(app), (outcome, deadline), responder));
        }
    }
}

/// The way to the control plane, if callers may call this method.
pub(super) fn queue<'a>(app: &'a App, method: &str) -> Result<&'a CommandQueue, ServeError> {
    app.permitted.check(method).map(|()| &app.control)
}

/// Answers when the control plane does, unless the client goes away before.
async fn wait(
    app: Rc<App>,
    (outcome, deadline): (oneshot::Receiver<Outcome>, Option<Instant>),
    mut responder: Responder,
) {
    let deadline = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => pending().await,
        }
    };
    let outcome = tokio::select! {
        biased;
        outcome = stopped_or(&app, outcome, deadline) => outcome,
        () = poll_fn(|context| responder.poll_gone(context)) => return,
    };
    responder.finish(outcome.and_then(|message| frame(&message)));
}

/// What a command comes to. It goes on when its caller has waited until the deadline, or is
/// sent away because the server stops.
pub(super) async fn stopped_or(
    app: &App,
    outcome: oneshot::Receiver<Outcome>,
    deadline: impl Future<Output = ()>,
) -> Outcome {
    tokio::select! {
        biased;
        outcome = outcome => outcome.unwrap_or_else(|_lost| Err(stopping())),
        () = deadline => Err(ServeError::deadline_exceeded(
            "the deadline passed before it was done; it goes on",
        )),
        () = begun(app.drain.subscribe()) => Err(stopping()),
    }
}

fn frame(message: &Bytes) -> Result<Frame, ServeError> {
    Frame::new((message.len(), 0), |segments| {
        segments.buffer().put_slice(message);
    })
}
