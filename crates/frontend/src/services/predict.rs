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
    let request = predict::decode_request(message).map_err(|error| unreadable(&error))?;
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
    (model, index): (&Arc<ServedModel>, usize),
    request: &PredictRequest<'_>,
) -> Result<(EngineCall, Writer), ServeError> {
    let Received { call, message, .. } = received;
    let signature = &model.signatures()[index];
    let inputs = decode_inputs(signature, request, message, app.max_message_bytes)?;
    let outputs = signature.bind_outputs(&request.output_filter)?;
    let asked = || call.metadata(&ENCODING_KEY) == Some(ENCODING_TENSOR_CONTENT);
    let writer = PredictWriter {
        signature: index,
        outputs: outputs.clone(),
        encoding: if app.tensor_content || asked() {
            Encoding::TensorContent
        } else {
            Encoding::TypedFields
        },
    };
    let call = EngineCall::new(Arc::clone(model), index, inputs, outputs, call.clock()?)?;
    Ok((call, Writer::Predict(writer)))
}

/// What a recorded request asks of `model`, whatever model it was recorded of.
pub(crate) fn recorded(
    model: &Arc<ServedModel>,
    message: &Bytes,
) -> Result<EngineCall, ServeError> {
    let request = predict::decode_request(message).map_err(|error| unreadable(&error))?;
    let name = request.spec.map_or("", |spec| spec.signature_name);
    let (index, signature) = model.signature(name)?;
    let inputs = decode_inputs(signature, &request, message, usize::MAX)?;
    let outputs = signature.bind_outputs(&request.output_filter)?;
    EngineCall::new(
        Arc::clone(model),
        index,
        inputs,
        outputs,
        Clock::until(None),
    )
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

fn unreadable(error: &WireError) -> ServeError {
    match error {
        WireError::TooMany { .. } => {
            ServeError::resource_exhausted(format!("the request has {error}"))
        }
        _ => ServeError::internal(format!(
            "cannot parse the request as tensorflow.serving.PredictRequest: {error}"
        )),
    }
}

fn selector<'a>(spec: &ModelSpec<'a>) -> ModelSelector<'a> {
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
