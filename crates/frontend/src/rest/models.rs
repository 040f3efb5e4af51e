//! What there is to read of models: the states of their versions, and their signatures.

use bytes::Bytes;
use engine::{ModelSelector, Version};
use http::Response;
use wire::proto::serving::GetModelStatusResponse;
use wire::rest::{metadata_json, models_json, status_json};

use super::page::{self, of_written};
use super::route::{ModelPath, PathVersion};
use super::status::failure;
use crate::app::App;
use crate::services::model_status;

/// Every model with the states of its versions.
pub(super) fn list(app: &App) -> Response<Bytes> {
    let names = app.engine.registry.names().into_iter();
    let models: Vec<(String, GetModelStatusResponse)> = names
        .map(|name| {
            let selector = ModelSelector {
                name: &name,
                version: Version::Latest,
            };
            // One that is wanted and has no version yet has nothing to say.
            let status = model_status::read(app, selector).unwrap_or_default();
            (name, status)
        })
        .collect();
    of_written(app, models_json(&models))
}

/// The states of a model's versions, newest first: all, or the one asked for. A label is
/// not looked at, as in TensorFlow Serving.
pub(super) fn status(app: &App, model: &ModelPath) -> Response<Bytes> {
    let version = match model.version {
        PathVersion::Number(number) => Version::Number(number),
        PathVersion::Latest | PathVersion::Label(_) => Version::Latest,
    };
    let selector = ModelSelector {
        name: &model.name,
        version,
    };
    match model_status::read(app, selector) {
        Ok(status) => of_written(app, status_json(&status)),
        Err(error) => failure(&error),
    }
}

/// A version's signatures.
pub(super) fn metadata(app: &App, model: &ModelPath) -> Response<Bytes> {
    let model = match app.engine.registry.find(model.selector()) {
        Ok(model) => model,
        Err(error) => return failure(&error),
    };
    match metadata_json(&model.name, model.version, &model.signature_def_map) {
        Ok(body) => page::json_of(model.version, body),
        Err(error) => of_written(app, Err(error)),
    }
}
