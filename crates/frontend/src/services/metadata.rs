//! `tensorflow.serving.PredictionService/GetModelMetadata`: a model's signatures.

use bytes::Bytes;
use engine::ServeError;
use prost_types::Any;
use wire::proto::serving::model_spec::VersionChoice;
use wire::proto::serving::{GetModelMetadataRequest, GetModelMetadataResponse, ModelSpec};

use super::model_spec::selector;
use crate::app::App;
use crate::grpc::{self, Frame};

/// The one field there is.
const SIGNATURE_DEF: &str = "signature_def";
const SIGNATURE_DEF_MAP_URL: &str = "type.googleapis.com/tensorflow.serving.SignatureDefMap";

/// Answers one request.
pub(crate) fn answer(app: &App, message: Bytes) -> Result<Frame, ServeError> {
    let request: GetModelMetadataRequest =
        grpc::decode(message, "tensorflow.serving.GetModelMetadataRequest")?;
    let selector = selector(request.model_spec.as_ref())?;
    check_fields(&request.metadata_field)?;
    let model = app.engine.registry.find(selector)?;
    let signatures = Any {
        type_url: SIGNATURE_DEF_MAP_URL.into(),
        value: model.signature_def_map.to_vec(),
    };
    Frame::of(&GetModelMetadataResponse {
        model_spec: Some(ModelSpec {
            name: model.name.clone(),
            version_choice: Some(VersionChoice::Version(model.version)),
            signature_name: String::new(),
        }),
        metadata: [(SIGNATURE_DEF.to_owned(), signatures)].into(),
    })
}

fn check_fields(fields: &[String]) -> Result<(), ServeError> {
    if fields.is_empty() {
        return Err(ServeError::invalid_argument(
            "GetModelMetadataRequest must specify at least one metadata_field",
        ));
    }
    match fields.iter().find(|field| *field != SIGNATURE_DEF) {
        None => Ok(()),
        Some(field) => Err(ServeError::invalid_argument(format!(
            "Metadata field {field} is not supported"
        ))),
    }
}
