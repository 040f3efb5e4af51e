//! `tensorflow.serving.ModelService/GetModelStatus`: the state of a model's versions.

use bytes::Bytes;
use engine::{ModelSelector, ServeError, VersionStatus};
use wire::proto::serving::{
    GetModelStatusRequest, GetModelStatusResponse, ModelVersionStatus, StatusProto,
};

use super::model_spec::selector;
use crate::app::App;
use crate::grpc::{self, Frame};

/// Answers one request.
pub(crate) fn answer(app: &App, message: Bytes) -> Result<Frame, ServeError> {
    let request: GetModelStatusRequest =
        grpc::decode(message, "tensorflow.serving.GetModelStatusRequest")?;
    let selector = selector(request.model_spec.as_ref())?;
    Frame::of(&read(app, selector)?)
}

/// The states of the versions that are meant, newest first.
pub(crate) fn read(
    app: &App,
    selector: ModelSelector<'_>,
) -> Result<GetModelStatusResponse, ServeError> {
    let versions = app.engine.registry.status(selector)?;
    Ok(GetModelStatusResponse {
        model_version_status: versions.iter().map(to_proto).collect(),
    })
}

fn to_proto(status: &VersionStatus) -> ModelVersionStatus {
    let error = status.error.as_ref();
    ModelVersionStatus {
        version: status.version,
        // The engine's states have TensorFlow Serving's numbers.
        state: status.state as i32,
        status: Some(StatusProto {
            error_code: error.map_or(0, |error| error.kind().code()),
            error_message: error.map_or_else(String::new, |error| error.message().to_owned()),
        }),
    }
}
