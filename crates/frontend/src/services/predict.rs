//! `tensorflow.serving.PredictionService/Predict`: tensors in, tensors out.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use engine::metrics::{MessageSizes, Tally};
use engine::{
    Answer, Call as EngineCall, Clock, DEFAULT_SIGNATURE, ModelSelector, ServeError, ServedModel,
    Signature, Timings, Version,
};
use tensor::Tensor;
use wire::predict::{self, ModelSpec, PredictReply, PredictRequest, WireError};
use wire::tensor_proto::{Encoding, TensorProtoError, decode_tensor, tensor_memory};

use crate::app::App;
use crate::grpc::{Call, Frame};

/// The metadata by which a caller asks for `tensor_content` in the reply. The default
/// are typed values, as TensorFlow Serving's clients expect them.
const ENCODING_KEY: &str = "tensorwire-encoding";
const ENCODING_TENSOR_CONTENT: &str = "tensor_content";

/// A few bytes may declare a tensor of any size, all of one value. What a request's
/// tensors take together is bounded by this many times its own bytes, and where that is
/// less, by this many bytes.
const EXPANSION_RATIO: usize = 16;
const EXPANSION_FLOOR: usize = 64 << 20;

/// Answers one request.
pub(crate) async fn answer(app: &App, call: Call, message: Bytes) -> Result<Frame, ServeError> {
    let arrived = Instant::now();
    let mut tally = None;
    let received = message.len();
    match answer_counted(app, &call, (message, arrived), &mut tally).await {
        Ok((frame, timings)) => {
            let sent = frame.message_bytes();
            if let Some(tally) = tally {
                tally.succeeded(&timings, MessageSizes { received, sent });
            }
            Ok(frame.with_timings(call.wants_timings().then_some(timings)))
        }
        Err(error) => {
            match tally {
                Some(tally) => tally.failed(error.kind()),
                None => app.engine.unmatched.record(error.kind()),
            }
            Err(error)
        }
    }
}

/// The reply, its counting left to the caller, who gets the `tally` as soon as the model
/// is known.
async fn answer_counted(
    app: &App,
    call: &Call,
    (message, arrived): (Bytes, Instant),
    tally: &mut Option<Tally>,
) -> Result<(Frame, Timings), ServeError> {
    let request = predict::decode_request(&message).map_err(|error| unreadable(&error))?;
    let spec = request
        .spec
        .ok_or_else(|| ServeError::invalid_argument("Missing ModelSpec"))?;
    let model = app.engine.registry.find(selector(&spec))?;
    let tally = tally.insert(Tally::new(model));
    let model = Arc::clone(tally.model());
    let (index, signature) = model.signature(spec.signature_name)?;
    tally.set_signature(index);

    let inputs = decode_inputs(signature, &request, &message, app.max_message_bytes)?;
    let wanted = signature.bind_outputs(&request.output_filter)?;
    let engine_call = EngineCall::new(
        model.clone(),
        index,
        inputs,
        wanted.clone(),
        Clock {
            arrived,
            deadline: call.deadline()?,
        },
    )?;
    let Answer { outputs, timings } = app.engine.dispatcher.dispatch(engine_call).await?;
    let encoding = Instant::now();

    let aliases = wanted
        .iter()
        .map(|position| signature.outputs[*position].alias.as_str());
    let outputs: Vec<(&str, &Tensor)> = aliases.zip(&outputs).collect();
    let frame = encode(app, call, &model, &spec, &outputs)?;
    Ok((frame, timings.written(arrived, encoding)))
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
    let names: Vec<&str> = request.inputs.iter().map(|input| input.name).collect();
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

fn encode(
    app: &App,
    call: &Call,
    model: &ServedModel,
    spec: &ModelSpec<'_>,
    outputs: &[(&str, &Tensor)],
) -> Result<Frame, ServeError> {
    let asked = || call.metadata(ENCODING_KEY) == Some(ENCODING_TENSOR_CONTENT);
    let reply = PredictReply {
        model_name: spec.name,
        version: model.version,
        signature_name: match spec.signature_name {
            "" => DEFAULT_SIGNATURE,
            name => name,
        },
        outputs,
        encoding: if app.tensor_content || asked() {
            Encoding::TensorContent
        } else {
            Encoding::TypedFields
        },
    };
    Frame::new(reply.encoded_len(), |buffer| reply.write(buffer))
}
