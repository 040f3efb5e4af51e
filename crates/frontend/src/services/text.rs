//! `prediction_service.PredictionService/Predict`: text in, JSON out. Whatever goes
//! wrong is told in the reply's `error_message`; the call itself goes well.

use std::rc::Rc;
use std::sync::Arc;

use engine::{
    Call as EngineCall, Clock, DEFAULT_SIGNATURE, Engine, Kind, ModelSelector, ServeError,
    ServedModel, Signature, Version,
};
use http::HeaderName;
use tensor::Tensor;
use wire::proto::prediction_service::{PredictionRequest, PredictionResponse};
use wire::text::{InputForm, parse_inputs, write_outputs};

use super::inference::{self, Outputs, Refused, Writer};
use crate::app::App;
use crate::grpc::{self, Call, Frame, Received};

/// The metadata that names the model.
const MODEL_KEY: HeaderName = HeaderName::from_static("model");

/// Longest error message, in characters, its mark of having been cut included.
const MESSAGE_LIMIT: usize = 1024;
const CUT: &str = "...";

/// Answers one request. What is wrong with its text is told in the reply.
pub(crate) fn answer(app: &Rc<App>, received: Received) {
    match read(&received) {
        Err(error) => received
            .responder
            .fail(&Refused::from(error).count(app, None)),
        Ok((request, clock)) => match prepare(app, &received.call, &request.input_data, clock) {
            Ok((call, writer)) => inference::answer_call(app, received, call, writer),
            Err(refused) => received
                .responder
                .finish(response(Err(refused.count(app, None)))),
        },
    }
}

fn read(received: &Received) -> Result<(PredictionRequest, Clock), ServeError> {
    let message = received.message.clone();
    let request = grpc::decode(message, "prediction_service.PredictionRequest")?;
    Ok((request, received.call.clock()?))
}

/// What to run for one text, and what writes its reply.
fn prepare(
    app: &App,
    call: &Call,
    text: &str,
    clock: Clock,
) -> Result<(EngineCall, Writer), Refused> {
    let name = call.metadata(&MODEL_KEY).or(app.default_model.as_deref());
    let model = find_model(&app.engine, name)?;
    let (signature, _) = find_signature(&model).map_err(Refused::by(&model, None))?;
    let TextCall { call, reply } = TextCall::of(&model, signature, text, clock)
        .map_err(Refused::by(&model, Some(signature)))?;
    Ok((call, Writer::Text(TextWriter(reply))))
}

/// Writes `PredictionResponse`s.
pub(crate) struct TextWriter(TextReply);

impl TextWriter {
    /// The reply with these outputs, or with what went wrong, and what that was.
    pub(super) fn write(&self, outputs: Outputs) -> (Result<Frame, ServeError>, Option<Kind>) {
        let prediction = outputs.and_then(|outputs| self.0.write(&outputs));
        let failed = prediction.as_ref().err().map(ServeError::kind);
        (response(prediction), failed)
    }
}

fn response(prediction: Result<String, ServeError>) -> Result<Frame, ServeError> {
    Frame::of(&match prediction {
        Ok(prediction) => PredictionResponse {
            prediction,
            error_message: String::new(),
        },
        Err(error) => PredictionResponse {
            prediction: String::new(),
            error_message: one_sentence(error.message()),
        },
    })
}

/// The message without the places in the graph that TensorFlow lists on further lines,
/// and not longer than anybody reads.
fn one_sentence(message: &str) -> String {
    let line = message.trim_start().lines().next().unwrap_or_default();
    if line.chars().count() <= MESSAGE_LIMIT {
        return line.trim_end().to_owned();
    }
    let kept = line.chars().take(MESSAGE_LIMIT - CUT.len());
    kept.chain(CUT.chars()).collect()
}

/// A text, ready to run.
#[derive(Debug)]
pub struct TextCall {
    /// What to run.
    pub call: EngineCall,
    /// What makes a text of its outputs.
    pub reply: TextReply,
}

impl TextCall {
    /// Reads `text` as the inputs of the model of this name; without a name, of the
    /// only model there is.
    pub fn new(
        engine: &Engine,
        name: Option<&str>,
        text: &str,
        clock: Clock,
    ) -> Result<Self, ServeError> {
        let model = find_model(engine, name)?;
        let (index, _) = find_signature(&model)?;
        Self::of(&model, index, text, clock)
    }

    /// Reads `text` as the inputs of the model's signature of this index.
    fn of(
        model: &Arc<ServedModel>,
        index: usize,
        text: &str,
        clock: Clock,
    ) -> Result<Self, ServeError> {
        let signature = &model.signatures()[index];
        let forms: Vec<InputForm<'_>> = signature
            .inputs
            .iter()
            .map(|input| InputForm {
                alias: &input.alias,
                dtype: input.dtype,
                shape: input.shape.as_deref(),
                optional: signature.defaults.contains_key(&input.alias),
            })
            .collect();
        let parsed = parse_inputs(text, &forms)
            .map_err(|error| ServeError::invalid_argument(error.to_string()))?;
        let inputs = signature
            .inputs
            .iter()
            .zip(parsed.tensors)
            .map(|(input, tensor)| {
                tensor.unwrap_or_else(|| signature.defaults[&input.alias].clone())
            })
            .collect();
        let outputs = (0..signature.outputs.len()).collect();
        Ok(Self {
            call: EngineCall::new(Arc::clone(model), index, inputs, outputs, clock)?,
            reply: TextReply {
                signature: index,
                drop_batch: parsed.batch_added,
                model: Arc::clone(model),
            },
        })
    }
}

/// What the outputs of a [`TextCall`] become.
#[derive(Debug)]
pub struct TextReply {
    model: Arc<ServedModel>,
    signature: usize,
    drop_batch: bool,
}

impl TextReply {
    /// The outputs, one for each of the signature's, as JSON.
    pub fn write(&self, outputs: &[Tensor]) -> Result<String, ServeError> {
        let signature = &self.model.signatures()[self.signature];
        let aliases = signature.outputs.iter().map(|output| output.alias.as_str());
        let named: Vec<(&str, &Tensor)> = aliases.zip(outputs).collect();
        write_outputs(&named, self.drop_batch)
            .map_err(|error| ServeError::internal(error.to_string()))
    }
}

fn find_model(engine: &Engine, name: Option<&str>) -> Result<Arc<ServedModel>, ServeError> {
    let registry = &engine.registry;
    let name = match name {
        Some(name) => name.to_owned(),
        None => registry
            .only_name()
            .ok_or_else(|| several(&registry.names()))?,
    };
    let found = registry.find(ModelSelector {
        name: &name,
        version: Version::Latest,
    });
    found.map_err(|error| match error.kind() {
        // This service's callers know nothing of servables.
        Kind::NotFound => ServeError::not_found(format!(
            "there is no model \"{name}\" that is ready; served are: {}",
            registry.names().join(", ")
        )),
        _ => error,
    })
}

fn several(names: &[String]) -> ServeError {
    if names.is_empty() {
        return ServeError::unavailable("no model is served yet");
    }
    ServeError::invalid_argument(format!(
        "several models are served ({}): name one in the call's metadata, under the key \
         \"{MODEL_KEY}\"",
        names.join(", ")
    ))
}

/// The default signature, or the only one that can be run.
fn find_signature(model: &ServedModel) -> Result<(usize, &Signature), ServeError> {
    let mut usable = model
        .signatures()
        .iter()
        .enumerate()
        .filter(|(_, signature)| signature.unusable.is_none());
    match (
        model.signature(DEFAULT_SIGNATURE),
        usable.next(),
        usable.next(),
    ) {
        (Err(_), Some(only), None) => Ok(only),
        (default, _, _) => default,
    }
}

#[cfg(test)]
mod tests {
    use super::{MESSAGE_LIMIT, one_sentence};

    #[test]
    fn messages_become_one_short_sentence() {
        let tensorflow = "Incompatible shapes: [2] vs. [3]\n\t [[{{node add}}]]";
        assert_eq!(one_sentence(tensorflow), "Incompatible shapes: [2] vs. [3]");
        let fits = "é".repeat(MESSAGE_LIMIT);
        assert_eq!(one_sentence(&fits), fits);
        let cut = one_sentence(&format!("{fits}x"));
        assert_eq!(cut.chars().count(), MESSAGE_LIMIT);
        assert!(cut.ends_with("é..."));
        assert_eq!(one_sentence(""), "");
    }
}
