//! `:classify` and `:regress`: examples in, classes or values out.

use std::rc::Rc;

use bytes::Bytes;
use engine::metrics::Api;
use engine::{Call, Kind, ServedModel};
use http::Response;
use wire::rest::{parse_examples, write_result};

use super::{Inference, page, status};
use crate::app::App;
use crate::examples::{ExampleCall, Method, Reader, example_limit};
use crate::http1::HttpResponder;
use crate::services::inference::{Outputs, Pending, Refused, ReplyTo, WritePage, run};

/// Has a request run, or answers it at once.
pub(super) fn begin(
    app: &Rc<App>,
    inference: Inference<'_>,
    method: Method,
    responder: HttpResponder,
) {
    let wants_timings = inference.wants_timings();
    let received = inference.body.len();
    match prepare(app, inference, method) {
        Ok((call, writer)) => {
            let reply_to = ReplyTo::Http(responder, Box::new(writer));
            let waiting = Pending::new(reply_to, &call, received, wants_timings);
            run(app, call, waiting);
        }
        Err(refused) => responder.send(
            status::failure(&refused.count(app, Some(api_of(method)))),
            None,
        ),
    }
}

fn prepare(
    app: &App,
    inference: Inference<'_>,
    method: Method,
) -> Result<(Call, ResultPage), Refused> {
    let Inference {
        model, body, clock, ..
    } = inference;
    let limit = example_limit(body.len(), app.max_message_bytes);
    // As TensorFlow Serving does, which looks for the model when it has read the body.
    let parsed = parse_examples(&body, limit).map_err(|error| status::of_codec(&error));
    let found = app.engine.registry.find(model.selector());
    let (body, model) = match (parsed, found) {
        (Ok(body), found) => (body, found?),
        (Err(error), Ok(model)) => return Err(Refused::by(&model, None)(error)),
        (Err(error), Err(_)) => return Err(error.into()),
    };
    let index =
        Method::find_signature(&model, &body.signature_name).map_err(Refused::by(&model, None))?;
    let ExampleCall { call, reader } =
        ExampleCall::new((&model, index), method, body.examples, clock)
            .map_err(Refused::by(&model, Some(index)))?;
    Ok((call, ResultPage(reader)))
}

/// Writes results.
struct ResultPage(Reader);

/// What TensorFlow Serving counts it as.
fn api_of(method: Method) -> Api {
    match method {
        Method::Classify => Api::RestClassify,
        Method::Regress => Api::RestRegress,
    }
}

impl WritePage for ResultPage {
    fn api(&self) -> Api {
        api_of(self.0.method())
    }

    fn write(&self, model: &ServedModel, outputs: Outputs) -> (Response<Bytes>, Option<Kind>) {
        let body = outputs.and_then(|outputs| {
            let result = self.0.read(&outputs)?;
            write_result(&result).map_err(|error| status::of_codec(&error))
        });
        match body {
            Ok(body) => (page::json_of(model.version, body), None),
            Err(error) => (status::failure(&error), Some(error.kind())),
        }
    }
}
