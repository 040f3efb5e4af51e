//! What Classify and Regress have in common over gRPC: the request and the reply.

use bytes::Bytes;
use engine::metrics::Api;
use engine::{Call as EngineCall, Clock, InferenceMethod, ServeError, ServedModel};
use tensor::Tensor;
use wire::Sink;
use wire::examples::{self, ExampleInput, ExampleRequest, Reply};
use wire::predict::{ModelSpec, Version};

use super::inference::{Refused, Writer};
use super::predict::{selector, unreadable};
use crate::app::App;
use crate::examples::{ExampleCall, Method, Reader, example_limit};
use crate::grpc::{Frame, Received};

/// What to run for one request, and what writes its reply.
pub(super) fn prepare(
    app: &App,
    received: &Received,
    method: Method,
) -> Result<(EngineCall, Writer), Refused> {
    let message = &received.message;
    let ExampleRequest { spec, input } = decode(message, method)?;
    let spec = spec.ok_or_else(|| ServeError::invalid_argument("Missing ModelSpec"))?;
    let model = app.engine.registry.find(selector(&spec))?;
    let index =
        Method::find_signature(&model, spec.signature_name).map_err(Refused::by(&model, None))?;
    let bind = |clock: Clock| {
        let examples = serialized(&input, message, (1, app.max_message_bytes))?;
        ExampleCall::new((&model, index), method, examples, clock)
    };
    let bound = received.call.clock().and_then(bind);
    let ExampleCall { call, reader } = bound.map_err(Refused::by(&model, Some(index)))?;
    Ok((call, Writer::Examples(ExampleWriter(reader))))
}

/// Reads a request of either.
pub(crate) fn decode(message: &Bytes, method: Method) -> Result<ExampleRequest<'_>, ServeError> {
    let name = match method {
        Method::Classify => "ClassificationRequest",
        Method::Regress => "RegressionRequest",
    };
    examples::decode_request(message).map_err(|error| unreadable(name, &error))
}

/// The examples of a request, each as one encoded message, for so many `tasks`; `most` is
/// the largest request's size.
pub(crate) fn serialized(
    input: &ExampleInput<'_>,
    message: &Bytes,
    (tasks, most): (usize, usize),
) -> Result<Vec<Bytes>, ServeError> {
    input
        .serialized(message, (tasks, example_limit(message.len(), most)))
        .map_err(|error| ServeError::resource_exhausted(error.to_string()))
}

/// What a reply says of what ran.
pub(super) fn spec_of(model: &ServedModel, signature: usize) -> ModelSpec<'_> {
    ModelSpec {
        name: &model.name,
        version: Version::Number(model.version),
        signature_name: &model.signatures()[signature].name,
    }
}

/// Writes `ClassificationResponse`s and `RegressionResponse`s.
pub(crate) struct ExampleWriter(Reader);

impl ExampleWriter {
    /// What TensorFlow Serving counts it as.
    pub(super) fn api(&self) -> Api {
        match self.0.method() {
            Method::Classify => Api::Classify,
            Method::Regress => Api::Regress,
        }
    }

    /// The method whose reply it writes.
    pub(super) fn method(&self) -> InferenceMethod {
        match self.0.method() {
            Method::Classify => InferenceMethod::Classify,
            Method::Regress => InferenceMethod::Regress,
        }
    }

    /// The reply with these outputs, one for each asked for.
    pub(super) fn write(
        &self,
        model: &ServedModel,
        outputs: &[Tensor],
    ) -> Result<Frame, ServeError> {
        let result = self.0.read(outputs)?;
        let reply = Reply::new(spec_of(model, self.0.signature()), &result)
            .map_err(|error| ServeError::internal(error.to_string()))?;
        Frame::new((reply.encoded_len(), 0), |segments| {
            reply.write(segments.buffer());
        })
    }
}
