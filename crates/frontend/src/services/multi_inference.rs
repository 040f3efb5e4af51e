//! `tensorflow.serving.PredictionService/MultiInference`: several signatures of one model
//! on the same examples. Each is a call of its own, and there is one reply.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::{Clock, InferenceMethod, ServeError, ServedModel};
use wire::examples::{MultiRequest, Task, decode_multi_request};
use wire::predict::Version;

use super::example_request::serialized;
use super::inference::{self, Pending, Refused};
use super::predict::{selector, unreadable};
use super::recording::Recording;
use super::together::Together;
use crate::app::App;
use crate::examples::{ExampleCall, Method};
use crate::grpc::Received;

/// Answers one request.
pub(crate) fn answer(app: &Rc<App>, received: Received) {
    match prepare(app, &received) {
        Ok(calls) => start(app, received, calls),
        Err(refused) => received.responder.fail(&refused.count(app, None)),
    }
}

fn prepare(app: &App, received: &Received) -> Result<Vec<ExampleCall>, Refused> {
    let message = &received.message;
    let request = decode(message)?;
    // TensorFlow Serving finds the model before it looks at the other tasks.
    let first = request.tasks.first().copied().unwrap_or_default();
    let model = app.engine.registry.find(selector(&first.spec))?;
    let clock = received.call.clock().map_err(Refused::by(&model, None))?;
    let same_version = |task: &Task<'_>| {
        // One that names none follows the first.
        if task.spec.version == Version::Latest {
            return Ok(());
        }
        let other = app.engine.registry.find(selector(&task.spec))?;
        check_version(model.version, other.version)
    };
    calls(
        &model,
        &request,
        (message, app.max_message_bytes),
        clock,
        same_version,
    )
    .map_err(Refused::by(&model, None))
}

/// Reads a request.
pub(crate) fn decode(message: &Bytes) -> Result<MultiRequest<'_>, ServeError> {
    decode_multi_request(message).map_err(|error| unreadable("MultiInferenceRequest", &error))
}

/// One call for each task. `same_version` says what is wrong with a task's version;
/// `most` is the largest request's size.
pub(crate) fn calls(
    model: &Arc<ServedModel>,
    request: &MultiRequest<'_>,
    (message, most): (&Bytes, usize),
    clock: Clock,
    same_version: impl Fn(&Task<'_>) -> Result<(), ServeError>,
) -> Result<Vec<ExampleCall>, ServeError> {
    let mut wanted: Vec<(usize, Method)> = Vec::with_capacity(request.tasks.len());
    for task in &request.tasks {
        check_model(task, &request.tasks)?;
        same_version(task)?;
        wanted.push(signature_of(model, task, &wanted)?);
    }
    let examples = serialized(&request.input, message, (wanted.len(), most))?;
    let call = |(index, method)| ExampleCall::new((model, index), method, examples.clone(), clock);
    wanted.into_iter().map(call).collect()
}

fn check_model(task: &Task<'_>, tasks: &[Task<'_>]) -> Result<(), ServeError> {
    if task.spec.name.is_empty() {
        return Err(ServeError::invalid_argument(
            "Found ModelSpec with an empty model name.",
        ));
    }
    if task.spec.name != tasks[0].spec.name {
        return Err(ServeError::invalid_argument(
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ));
    }
    Ok(())
}

/// TensorFlow Serving runs the first task's version whatever the others name.
fn check_version(first: i64, other: i64) -> Result<(), ServeError> {
    if first == other {
        return Ok(());
    }
    Err(ServeError::invalid_argument(format!(
        "All ModelSpecs in a MultiInferenceRequest must access the same version: the first task \
         means version {first}, another version {other}; send one request for each."
    )))
}

/// A task's signature, by its index, and what is done with it.
fn signature_of(
    model: &ServedModel,
    task: &Task<'_>,
    before: &[(usize, Method)],
) -> Result<(usize, Method), ServeError> {
    let name = task.spec.signature_name;
    let method = Method::of_name(task.method_name);
    let index = Method::find_task_signature(model, name);
    if let Ok(index) = index
        && before.iter().any(|(other, _)| *other == index)
    {
        return Err(ServeError::invalid_argument(format!(
            "Duplicate evaluation of signature: {}",
            engine::signature_name(name)
        )));
    }
    let method = method.ok_or_else(|| {
        ServeError::unimplemented(format!(
            "Unsupported signature method_name: {}",
            task.method_name
        ))
    });
    // Of a task with both wrong, TensorFlow Serving names the method.
    method.and_then(|method| Ok((index?, method)))
}

fn start(app: &Rc<App>, received: Received, calls: Vec<ExampleCall>) {
    let wants_timings = received.call.wants_timings();
    let bytes = received.message.len();
    let (calls, readers): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .map(|ExampleCall { call, reader }| (call, reader))
        .unzip();
    let Some(first) = calls.first() else {
        return;
    };
    let method = InferenceMethod::MultiInference;
    let recording = Recording::begin(first, Some((method, &received.message)));
    let model = Arc::clone(first.model());
    let parts = Together::parts((received.responder, recording), model, readers);
    for (index, (call, part)) in calls.into_iter().zip(parts).enumerate() {
        if part.is_gone() {
            return;
        }
        // The message is one, and its bytes count once.
        let told = (if index == 0 { bytes } else { 0 }, wants_timings);
        let pending = Pending::part(part, &call, told);
        inference::run(app, call, pending);
    }
}
