//! Requests that were recorded, run on a model version that nobody else can reach yet: in
//! the calling thread, and without a connection.

use std::sync::Arc;

use bytes::Bytes;
use engine::{Clock, ServeError, ServedModel};
use wire::examples::{ExampleRequest, Task};

use crate::examples::{ExampleCall, Method};
use crate::services::{example_request, multi_inference, predict};

/// A recorded request as its encoded message. Which model and version it names does not
/// matter; which signature does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// A `tensorflow.serving.PredictRequest`.
    Predict(Bytes),
    /// A `tensorflow.serving.ClassificationRequest`.
    Classify(Bytes),
    /// A `tensorflow.serving.RegressionRequest`.
    Regress(Bytes),
    /// A `tensorflow.serving.MultiInferenceRequest`.
    MultiInference(Bytes),
}

impl Recorded {
    /// Runs the request on `model`, as if it had come over the network. What comes of it is
    /// read as for a reply and then dropped; `most` is the largest request's size in bytes.
    ///
    /// # Errors
    ///
    /// What a caller over gRPC would be told.
    pub fn run(&self, model: &Arc<ServedModel>, most: usize) -> Result<(), ServeError> {
        match self {
            Self::Predict(message) => run_predict(model, message, most),
            Self::Classify(message) => run_examples(model, message, Method::Classify, most),
            Self::Regress(message) => run_examples(model, message, Method::Regress, most),
            Self::MultiInference(message) => {
                let request = multi_inference::decode(message)?;
                let clock = Clock::until(None);
                let any_version = |_: &Task<'_>| Ok(());
                let message = (message, most);
                let calls = multi_inference::calls(model, &request, message, clock, any_version)?;
                calls.into_iter().try_for_each(run_call)
            }
        }
    }
}

fn run_predict(model: &Arc<ServedModel>, message: &Bytes, most: usize) -> Result<(), ServeError> {
    let request = predict::decode(message)?;
    let name = request.spec.map_or("", |spec| spec.signature_name);
    let (index, _) = model.signature(name)?;
    let clock = Clock::until(None);
    let (call, _outputs) = predict::engine_call((model, index), &request, (message, most), clock)?;
    call.run().map(drop)
}

fn run_examples(
    model: &Arc<ServedModel>,
    message: &Bytes,
    method: Method,
    most: usize,
) -> Result<(), ServeError> {
    let ExampleRequest { spec, input } = example_request::decode(message, method)?;
    let index = Method::find_signature(model, spec.unwrap_or_default().signature_name)?;
    let examples = example_request::serialized(&input, message, (1, most))?;
    run_call(ExampleCall::new(
        (model, index),
        method,
        examples,
        Clock::until(None),
    )?)
}

fn run_call(ExampleCall { call, reader }: ExampleCall) -> Result<(), ServeError> {
    reader.read(&call.run()?.outputs).map(drop)
}
