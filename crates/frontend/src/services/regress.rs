//! `tensorflow.serving.PredictionService/Regress`: examples in, one number for each out.

use engine::Call;

use super::example_request;
use super::inference::{Refused, Writer};
use crate::app::App;
use crate::examples::Method;
use crate::grpc::Received;

/// What to run for one request, and what writes its reply.
pub(crate) fn prepare(app: &App, received: &Received) -> Result<(Call, Writer), Refused> {
    example_request::prepare(app, received, Method::Regress)
}
