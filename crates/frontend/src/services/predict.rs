//! `tensorflow.serving.PredictionService/Predict`: tensors in, tensors out.

use std::sync::Arc;

use bytes::Bytes;
use engine::{
    Call as EngineCall, Clock, ModelSelector, Outputs, ServeError, ServedModel, Signature, Version,
};
use http::HeaderName;
use smallvec::SmallVec;
use tensor::Tensor;
use wire::predict::{self, ModelSpec, PredictReply, PredictRequest, WireError};
use wire::tensor_proto::{Encoding, TensorProtoError, decode_tensor, tensor_memory};

use super::inference::{Refused, Writer};
use crate::app::App;
use crate::grpc::{Frame, Received};

/// The metadata by which a caller asks for `tensor_content` in the reply. The default
/// are typed values, as TensorFlow Serving's clients expect them.
const ENCODING_KEY: HeaderName = HeaderName::from_static("tensorwire-encoding");
const ENCODING_TENSOR_CONTENT: &str = "tensor_content";

/// A few bytes may declare a tensor of any size, all of one value. What a request's
/// tensors take together is bounded by this many times its own bytes, and where that is
/// less, by this many bytes.
const EXPANSION_RATIO: usize = 16;
const EXPANSION_FLOOR: usize = 64 << 20;

/// What to run for one request, and what writes its reply.
pub(crate) fn prepare(app: &App, received: &Received) -> Result<(EngineCall, Writer), Refused> {
    let message = &received.message;
    let request = decode(message)?;
    let spec = request
        .spec
        .ok_or_else(|| ServeError::invalid_argument("Missing ModelSpec"))?;
    let model = app.engine.registry.find(selector(&spec))?;
    let (index, _) = model
        .signature(spec.signature_name)
        .map_err(Refused::by(&model, None))?;
    bind(app, received, (&model, index), &request).map_err(Refused::by(&model, Some(index)))
}

fn bind(
    app: &App,
    received: &Received,
    model: (&Arc<ServedModel>, usize),
    request: &PredictRequest<'_>,
) -> Result<(EngineCall, Writer), ServeError> {
    let Received { call, message, .. } = received;
    let clock = call.clock()?;
    let limit = app.max_message_bytes;
    let (engine_call, outputs) = engine_call(model, request, (message, limit), clock)?;
    let asked = || call.metadata(&ENCODING_KEY) == Some(ENCODING_TENSOR_CONTENT);
    let writer = PredictWriter {
        signature: model.1,
        outputs,
        encoding: if app.tensor_content || asked() {
            Encoding::TensorContent
        } else {
            Encoding::TypedFields
        },
    };
    Ok((engine_call, Writer::Predict(writer)))
}

/// The call that a request asks for of the model's signature of this index, and the outputs
/// that it wants. The request is views of `message`; `limit` is the largest request's size.
pub(crate) fn engine_call(
    (model, index): (&Arc<ServedModel>, usize),
    request: &PredictRequest<'_>,
    (message, limit): (&Bytes, usize),
    clock: Clock,
) -> Result<(EngineCall, Outputs), ServeError> {
    let signature = &model.signatures()[index];
    if model.options().check_method_name {
        check_method_name(signature)?;
    }
    let inputs = decode_inputs(signature, request, message, limit)?;
    let outputs = signature.bind_outputs(&request.output_filter)?;
    let call = EngineCall::new(Arc::clone(model), index, inputs, outputs.clone(), clock)?;
    Ok((call, outputs))
}

/// What TensorFlow Serving says of a signature that is none of its three kinds.
pub(crate) fn check_method_name(signature: &Signature) -> Result<(), ServeError> {
    const KINDS: [&str; 3] = [
        "tensorflow/serving/predict",
        "tensorflow/serving/classify",
        "tensorflow/serving/regress",
    ];
    if KINDS.contains(&signature.method_name.as_str()) {
        return Ok(());
    }
    Err(ServeError::internal(format!(
        "Expected prediction signature method_name to be one of {{{}}}. Was: {}",
        KINDS.join(", "),
        signature.method_name
    )))
}

/// Writes `PredictResponse`s.
pub(crate) struct PredictWriter {
    signature: usize,
    outputs: Outputs,
    encoding: Encoding,
}

impl PredictWriter {
    /// The reply with these outputs, one for each asked for.
    pub(super) fn write(
        &self,
        model: &ServedModel,
        outputs: &[Tensor],
    ) -> Result<Frame, ServeError> {
        let signature = &model.signatures()[self.signature];
        let aliases = self
            .outputs
            .iter()
            .map(|position| signature.outputs[*position].alias.as_str());
        let outputs: SmallVec<[(&str, &Tensor); 8]> = aliases.zip(outputs).collect();
        let reply = &PredictReply {
            model_name: &model.name,
            version: model.version,
            signature_name: &signature.name,
            outputs: &outputs,
            encoding: self.encoding,
        };
        let reply = reply.measure();
        let lengths = (reply.encoded_len(), reply.shared_len());
        Frame::new(lengths, |segments| reply.write(segments))
    }
}

/// Reads a request.
pub(crate) fn decode(message: &Bytes) -> Result<PredictRequest<'_>, ServeError> {
    predict::decode_request(message).map_err(|error| unreadable("PredictRequest", &error))
}

/// What a caller is told whose message can't be read.
pub(super) fn unreadable(name: &str, error: &WireError) -> ServeError {
    match error {
        WireError::TooMany { .. } => {
            ServeError::resource_exhausted(format!("the request has {error}"))
        }
        _ => ServeError::internal(format!(
            "cannot parse the request as tensorflow.serving.{name}: {error}"
        )),
    }
}

/// Which model the spec means.
pub(super) fn selector<'a>(spec: &ModelSpec<'a>) -> ModelSelector<'a> {
    ModelSelector {
        name: spec.name,
        version: match spec.version {
            predict::Version::Latest => Version::Latest,
            predict::Version::Number(number) => Version::Number(number),
            predict::Version::Label(label) => Version::Label(label),
        },
    }
}

/// One tensor for each of the signature's inputs.
fn decode_inputs(
    signature: &Signature,
    request: &PredictRequest<'_>,
    message: &Bytes,
    limit: usize,
) -> Result<Vec<Tensor>, ServeError> {
    let names: SmallVec<[&str; 8]> = request.inputs.iter().map(|input| input.name).collect();
    let sources = signature.bind_inputs(&names)?;
    let mut room = limit.min(EXPANSION_FLOOR.max(EXPANSION_RATIO.saturating_mul(message.len())));
    signature.gather(sources, |input, position| {
        let tensor = decode_tensor(message, request.inputs[position].tensor, room)
            .map_err(|error| parsing_error(&input.alias, &error))?;
        room = room.saturating_sub(tensor_memory(&tensor));
        Ok(tensor)
    })
}

fn parsing_error(alias: &str, error: &TensorProtoError) -> ServeError {
    match error {
        TensorProtoError::TooLarge { .. } => {
            ServeError::resource_exhausted(format!("input {alias}: {error}"))
        }
        // TensorFlow Serving says no more than this, and clients compare it.
        _ => ServeError::invalid_argument(format!("tensor parsing error: {alias}")),
    }
}
