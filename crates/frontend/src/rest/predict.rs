//! `:predict`: tensors in, tensors out.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::metrics::Api;
use engine::{Call, Kind, ServeError, ServedModel, signature_name};
use http::Response;
use smallvec::SmallVec;
use tensor::Tensor;
use wire::rest::{Format, RestError, SignatureInputs, check_body, parse_predict};

use super::{Inference, Refusal, page, status};
use crate::app::App;
use crate::http1::HttpResponder;
use crate::services::inference::{Outputs, Pending, Refused, ReplyTo, WritePage, run};
use crate::services::predict::check_method_name;

/// Has a request run, or answers it at once.
pub(super) fn begin(app: &Rc<App>, inference: Inference<'_>, responder: HttpResponder) {
    let wants_timings = inference.wants_timings();
    let received = inference.body.len();
    match prepare(app, inference) {
        Ok((call, writer)) => {
            let reply_to = ReplyTo::Http(responder, Box::new(writer));
            let waiting = Pending::new(reply_to, &call, received, wants_timings);
            run(app, call, waiting);
        }
        Err(refused) => responder.send(
            status::failure(&refused.count(app, Some(Api::RestPredict))),
            None,
        ),
    }
}

fn prepare(app: &App, inference: Inference<'_>) -> Result<(Call, PredictPage), Refused> {
    let Inference {
        model, body, clock, ..
    } = inference;
    let model = app
        .engine
        .registry
        .find(model.selector())
        .map_err(|error| {
            // TensorFlow Serving looks for the model when it has read the body.
            check_body(&body).map_or_else(|wrong| status::of_codec(&wrong), |()| error)
        })?;
    let found = Cell::new(None);
    let parsed = parse_predict(&body, |name| {
        let inputs = find_signature(&model, name)?;
        found.set(Some(inputs.index));
        Ok::<_, Refusal>(inputs)
    });
    let refused = |Refusal(error)| Refused::by(&model, found.get())(error);
    let body = parsed.map_err(refused)?;
    let signature = &model.signatures()[body.signature];
    let writer = PredictPage {
        signature: body.signature,
        format: body.format,
    };
    let outputs = (0..signature.outputs.len()).collect();
    let checked = if model.options().check_method_name {
        check_method_name(signature)
    } else {
        Ok(())
    };
    checked
        .and_then(|()| {
            Call::new(
                Arc::clone(&model),
                writer.signature,
                body.tensors,
                outputs,
                clock,
            )
        })
        .map_err(Refused::by(&model, Some(writer.signature)))
        .map(|call| (call, writer))
}

/// What the signature of this name (empty: the default one) takes.
fn find_signature<'a>(
    model: &'a ServedModel,
    name: &str,
) -> Result<SignatureInputs<'a>, ServeError> {
    let (index, signature) = model.usable_signature(name)?.ok_or_else(|| {
        let name = signature_name(name);
        ServeError::invalid_argument(format!(
            "Serving signature name: \"{name}\" not found in signature def"
        ))
    })?;
    let inputs = signature.inputs.iter();
    Ok(SignatureInputs {
        index,
        inputs: inputs.map(|it| (it.alias.as_str(), it.dtype)).collect(),
    })
}

/// Writes predictions or outputs.
struct PredictPage {
    signature: usize,
    format: Format,
}

impl PredictPage {
    fn body(&self, model: &ServedModel, outputs: &[Tensor]) -> Result<Vec<u8>, RestError> {
        let signature = &model.signatures()[self.signature];
        let aliases = signature.outputs.iter().map(|output| output.alias.as_str());
        let outputs: SmallVec<[(&str, &Tensor); 8]> = aliases.zip(outputs).collect();
        match self.format {
            Format::Row => wire::rest::write_rows(&outputs),
            Format::Columnar => wire::rest::write_columns(&outputs),
        }
    }
}

impl WritePage for PredictPage {
    fn api(&self) -> Api {
        Api::RestPredict
    }

    fn write(&self, model: &ServedModel, outputs: Outputs) -> (Response<Bytes>, Option<Kind>) {
        let body = outputs.and_then(|outputs| {
            let body = self.body(model, &outputs);
            body.map_err(|error| status::of_codec(&error))
        });
        match body {
            Ok(body) => (page::json_of(model.version, body), None),
            Err(error) => (status::failure(&error), Some(error.kind())),
        }
    }
}
