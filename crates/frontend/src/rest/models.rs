//! What there is to read of models: the states of their versions, and their signatures.

use bytes::Bytes;
use engine::{ModelSelector, ServeError, Version};
use http::Response;
use wire::proto::serving::GetModelStatusResponse;
use wire::rest::{metadata_json, models_json, status_json};

use super::page;
use super::route::{ModelPath, PathVersion};
use super::status::of_codec;
use crate::app::App;
use crate::services::model_status;

/// Every model with the states of its versions.
pub(super) fn list(app: &App) -> Result<Response<Bytes>, ServeError> {
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
    let body = models_json(&models).map_err(|error| of_codec(&error))?;
    Ok(page::json(body))
}

/// The states of a model's versions, newest first: all, or the one asked for. A label is
/// not looked at, as in TensorFlow Serving.
pub(super) fn status(app: &App, model: &ModelPath) -> Result<Response<Bytes>, ServeError> {
    let version = match model.version {
        PathVersion::Number(number) => Version::Number(number),
        PathVersion::Latest | PathVersion::Label(_) => Version::Latest,
    };
    let selector = ModelSelector {
        name: &model.name,
        version,
    };
    let status = model_status::read(app, selector)?;
    let body = status_json(&status).map_err(|error| of_codec(&error))?;
    Ok(page::json(body))
}

/// A version's signatures.
pub(super) fn metadata(app: &App, model: &ModelPath) -> Result<Response<Bytes>, ServeError> {
    let model = app.engine.registry.find(model.selector())?;
    let body = metadata_json(&model.name, model.version, &model.signature_def_map)
        .map_err(|error| of_codec(&error))?;
    Ok(page::json_of(model.version, body))
}
