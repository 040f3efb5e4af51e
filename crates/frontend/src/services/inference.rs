//! What all inference has in common, whichever service asked: a message becomes a call,
//! the engine runs it, here or on a runner, and a writer makes a reply of its outcome.

use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use engine::metrics::{Api, MessageSizes, Tally};
use engine::{
    Call, InferenceMethod, Kind, Outcome, Permit, Respond, ServeError, ServedModel, Timings,
    expired, lost,
};
use http::Response;
use tensor::Tensor;
use tokio::sync::oneshot;

use super::example_request::ExampleWriter;
use super::predict::PredictWriter;
use super::recording::Recording;
use super::text::TextWriter;
use super::together::Part;
use crate::app::App;
use crate::grpc::{Frame, Received, Responder, server_timing};
use crate::http1::HttpResponder;

/// The outputs of a call, one for each asked for.
pub(crate) type Outputs = Result<Vec<Tensor>, ServeError>;

/// What makes a gRPC reply of an outcome.
pub(crate) enum Writer {
    /// `tensorflow.serving.PredictionService/Predict`.
    Predict(PredictWriter),
    /// `tensorflow.serving.PredictionService/Classify` and `/Regress`.
    Examples(ExampleWriter),
    /// `prediction_service.PredictionService/Predict`.
    Text(TextWriter),
}

impl Writer {
    /// What TensorFlow Serving counts it as.
    fn api(&self) -> Option<Api> {
        match self {
            Self::Predict(_) => Some(Api::Predict),
            Self::Examples(writer) => Some(writer.api()),
            Self::Text(_) => None,
        }
    }

    /// The method whose messages come and go, where they can be kept as they are.
    fn method(&self) -> Option<InferenceMethod> {
        match self {
            Self::Predict(_) => Some(InferenceMethod::Predict),
            Self::Examples(writer) => Some(writer.method()),
            Self::Text(_) => None,
        }
    }

    /// The reply, and what went wrong, which a text reply has in it.
    fn write(
        &self,
        model: &ServedModel,
        outputs: Outputs,
    ) -> (Result<Frame, ServeError>, Option<Kind>) {
        let reply = match self {
            Self::Predict(writer) => outputs.and_then(|outputs| writer.write(model, &outputs)),
            Self::Examples(writer) => outputs.and_then(|outputs| writer.write(model, &outputs)),
            Self::Text(writer) => return writer.write(outputs),
        };
        let failed = reply.as_ref().err().map(ServeError::kind);
        (reply, failed)
    }
}

/// What makes a page of an outcome, for a caller over plain HTTP.
pub(crate) trait WritePage {
    /// What TensorFlow Serving counts it as.
    fn api(&self) -> Api;

    /// The page, whatever the outcome, and what went wrong.
    fn write(&self, model: &ServedModel, outputs: Outputs) -> (Response<Bytes>, Option<Kind>);
}

/// Where an answer goes, and what writes it.
pub(crate) enum ReplyTo {
    /// To a gRPC call.
    Grpc(Responder, Writer),
    /// To a request of plain HTTP.
    Http(HttpResponder, Box<dyn WritePage>),
    /// Into the reply to several calls.
    Part(Part),
}

impl ReplyTo {
    /// Whether the client has gone away or given up.
    fn is_gone(&mut self) -> bool {
        match self {
            Self::Grpc(responder, _) => responder.is_gone(),
            Self::Http(responder, _) => responder.is_gone(),
            Self::Part(part) => part.is_gone(),
        }
    }

    /// Ready when the client has gone away or given up.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Grpc(responder, _) => responder.poll_gone(context),
            Self::Http(responder, _) => responder.poll_gone(context),
            Self::Part(part) => part.poll_gone(context),
        }
    }
}

/// A request that makes no call.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What was wrong.
    error: ServeError,
    /// What counts it, if the model that it named is served.
    tally: Option<Tally>,
}

impl Refused {
    /// Makes refusals of errors that came when the model was known, and perhaps the
    /// signature, by its index.
    pub(crate) fn by(
        model: &Arc<ServedModel>,
        signature: Option<usize>,
    ) -> impl FnOnce(ServeError) -> Self {
        move |error| Self {
            error,
            tally: Some(Tally::new(Arc::clone(model), signature)),
        }
    }

    /// Counts it; what its caller is to be told. `api`: what TensorFlow Serving counts it as.
    pub(crate) fn count(self, app: &App, api: Option<Api>) -> ServeError {
        let kind = self.error.kind();
        let Some(tally) = self.tally else {
            app.engine.unmatched.record(kind);
            if api.is_some() {
                app.engine.names.unknown.failed(kind);
            }
            return self.error;
        };
        if let (Some(name), Some(_)) = (tally.model().metrics.name(), api) {
            name.failed(kind);
        }
        tally.failed(kind);
        self.error
    }
}

impl From<ServeError> for Refused {
    fn from(error: ServeError) -> Self {
        Self { error, tally: None }
    }
}

/// What a request is counted by.
pub(crate) struct Count {
    tally: Tally,
    pub(super) arrived: Instant,
    /// Bytes of its message.
    received: usize,
    wants_timings: bool,
    /// If it is to be kept.
    recording: Option<Box<Recording>>,
    api: Option<Api>,
}

/// What is left of a call that has run, beside its outputs.
pub(super) struct Ended {
    timings: Option<Timings>,
    /// What the request holds of the limits.
    pub(super) permit: Option<Permit>,
    /// When its reply was begun.
    encoding: Instant,
}

impl Ended {
    fn split(outcome: Outcome) -> (Outputs, Self) {
        let encoding = Instant::now();
        let (outputs, timings, permit) = match outcome {
            Ok(answer) => (Ok(answer.outputs), Some(answer.timings), answer.permit),
            Err(error) => (Err(error), None, None),
        };
        let ended = Self {
            timings,
            permit,
            encoding,
        };
        (outputs, ended)
    }
}

impl Count {
    /// Counts a request whose reply of `sent` bytes is written; the timings that its caller
    /// is to be told.
    pub(super) fn written(
        self,
        ended: &Ended,
        failed: Option<Kind>,
        sent: usize,
    ) -> Option<Timings> {
        let timings = ended.timings;
        let timings = timings.map(|timings| timings.written(self.arrived, ended.encoding));
        self.count_name(failed, timings.as_ref());
        match (failed, &timings) {
            (None, Some(timings)) => {
                let received = self.received;
                self.tally
                    .succeeded(timings, MessageSizes { received, sent });
            }
            (failed, _) => self.tally.failed(failed.unwrap_or(Kind::Internal)),
        }
        timings.filter(|_| self.wants_timings)
    }
}

impl Count {
    fn count_name(&self, failed: Option<Kind>, timings: Option<&Timings>) {
        let (Some(name), Some(api)) = (self.tally.model().metrics.name(), self.api) else {
            return;
        };
        match (failed, timings) {
            (None, Some(timings)) => name.succeeded(api, timings),
            (failed, _) => name.failed(failed.unwrap_or(Kind::Internal)),
        }
    }
}

/// A request that waits for its outcome.
pub(crate) struct Pending {
    reply_to: ReplyTo,
    count: Count,
}

impl Pending {
    /// For `call`, whose message had `received` bytes and was none of gRPC's own: if it is to
    /// be kept, its tensors are.
    pub(crate) fn new(
        reply_to: ReplyTo,
        call: &Call,
        received: usize,
        wants_timings: bool,
    ) -> Self {
        let recording = Recording::begin(call, None);
        Self::recorded(reply_to, call, (received, wants_timings), recording)
    }

    /// For `call`, one of several with one reply, which is kept as a whole if at all.
    pub(super) fn part(part: Part, call: &Call, told: (usize, bool)) -> Self {
        Self::recorded(ReplyTo::Part(part), call, told, None)
    }

    fn recorded(
        reply_to: ReplyTo,
        call: &Call,
        (received, wants_timings): (usize, bool),
        recording: Option<Box<Recording>>,
    ) -> Self {
        let api = match &reply_to {
            ReplyTo::Grpc(_, writer) => writer.api(),
            ReplyTo::Http(_, writer) => Some(writer.api()),
            ReplyTo::Part(_) => None,
        };
        Self {
            reply_to,
            count: Count {
                api,
                tally: call.tally(),
                arrived: call.arrived(),
                received,
                wants_timings,
                recording,
            },
        }
    }
}

impl Respond for Pending {
    fn is_gone(&mut self) -> bool {
        self.reply_to.is_gone()
    }

    fn respond(self, outcome: Outcome) {
        let (outputs, ended) = Ended::split(outcome);
        let Self {
            reply_to,
            mut count,
        } = self;
        let recording = count.recording.take();
        let tensors = recording.as_ref().map_or_else(Vec::new, |recording| {
            recording.tensors(outputs.as_deref().ok())
        });
        match reply_to {
            ReplyTo::Grpc(responder, writer) => {
                let (mut reply, failed) = writer.write(count.tally.model(), outputs);
                if let Some(recording) = recording
                    && let (Ok(frame), None) = (&mut reply, failed)
                {
                    let model = count.tally.model();
                    recording.keep(model, count.arrived, || frame.share(), tensors);
                }
                let sent = reply.as_ref().map_or(0, Frame::message_bytes);
                let told = count.written(&ended, failed, sent);
                responder.finish_held(reply, told.as_ref(), ended.permit);
            }
            ReplyTo::Http(responder, writer) => {
                let (mut page, failed) = writer.write(count.tally.model(), outputs);
                if let Some(recording) = recording
                    && failed.is_none()
                {
                    let model = count.tally.model();
                    recording.keep(model, count.arrived, Default::default, tensors);
                }
                let sent = page.body().len();
                if let Some(timings) = count.written(&ended, failed, sent) {
                    server_timing::write(&timings, page.headers_mut());
                }
                responder.send(page, ended.permit);
            }
            ReplyTo::Part(part) => part.end(outputs, ended, count),
        }
    }
}

/// What a gRPC service makes of a message.
type Prepare = fn(&App, &Received) -> Result<(Call, Writer), Refused>;

/// Answers a message with what `prepare` and the engine make of it.
pub(crate) fn answer(app: &Rc<App>, received: Received, (api, prepare): (Api, Prepare)) {
    match prepare(app, &received) {
        Ok((call, writer)) => answer_call(app, received, call, writer),
        Err(refused) => received.responder.fail(&refused.count(app, Some(api))),
    }
}

/// Answers a message with what `writer` makes of the call's outcome.
pub(super) fn answer_call(app: &Rc<App>, received: Received, call: Call, writer: Writer) {
    let wants_timings = received.call.wants_timings();
    let message = &received.message;
    let told = (message.len(), wants_timings);
    let method = writer.method().map(|method| (method, message));
    let recording = Recording::begin(&call, method);
    let reply_to = ReplyTo::Grpc(received.responder, writer);
    let waiting = Pending::recorded(reply_to, &call, told, recording);
    run(app, call, waiting);
}

/// Lets a call in and has it run.
pub(crate) fn run(app: &Rc<App>, mut call: Call, waiting: Pending) {
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
        () = poll_fn(|context| waiting.reply_to.poll_gone(context)) => return,
    };
    waiting.respond(outcome);
}
