//! A call to be made: which method, and its message, encoded once.

use bytes::Bytes;
use prost::Message;
use tonic::Code;
use tonic::metadata::MetadataMap;
use wire::predict::{ModelSpec, PredictCall, Version, encode_request};
use wire::proto::{health, prediction_service, serving};

use crate::error::ClientError;
use crate::metadata::{ENCODING_KEY, MetadataValue, TENSOR_CONTENT, UserMetadata};

/// The methods that the client calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Predict,
    ModelMetadata,
    ModelStatus,
    Text,
    HealthCheck,
    HealthList,
}

impl Method {
    /// Service and method as HTTP/2 names them.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Predict => "/tensorflow.serving.PredictionService/Predict",
            Self::ModelMetadata => "/tensorflow.serving.PredictionService/GetModelMetadata",
            Self::ModelStatus => "/tensorflow.serving.ModelService/GetModelStatus",
            Self::Text => "/prediction_service.PredictionService/Predict",
            Self::HealthCheck => "/grpc.health.v1.Health/Check",
            Self::HealthList => "/grpc.health.v1.Health/List",
        }
    }
}

/// A request, encoded once; it can be sent any number of times.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) message: Bytes,
    /// What the method itself sends along.
    pub(crate) metadata: MetadataMap,
}

/// The request metadata key that names the text service's model.
const TEXT_MODEL_KEY: &str = "model";

impl Request {
    /// Tensors in, tensors out: [`crate::Reply::Predict`].
    pub fn predict(call: &PredictCall<'_>) -> Self {
        let mut metadata = MetadataMap::new();
        let encoding = tonic::metadata::MetadataValue::from_static(TENSOR_CONTENT);
        metadata.insert(ENCODING_KEY, encoding);
        Self {
            method: Method::Predict,
            message: encode_request(call),
            metadata,
        }
    }

    /// A model's signatures: [`crate::Reply::Metadata`].
    pub fn metadata(spec: ModelSpec<'_>) -> Self {
        let message = serving::GetModelMetadataRequest {
            model_spec: Some(spec_message(spec)),
            metadata_field: vec!["signature_def".to_owned()],
        };
        Self::plain(Method::ModelMetadata, &message)
    }

    /// The states of a model's versions: [`crate::Reply::Status`].
    pub fn status(spec: ModelSpec<'_>) -> Self {
        let message = serving::GetModelStatusRequest {
            model_spec: Some(spec_message(spec)),
        };
        Self::plain(Method::ModelStatus, &message)
    }

    /// Text in, text out: [`crate::Reply::Text`]. `model` `None`: the server's default.
    pub fn text(text: &str, model: Option<&str>) -> Result<Self, ClientError> {
        let message = prediction_service::PredictionRequest {
            input_data: text.to_owned(),
        };
        let mut request = Self::plain(Method::Text, &message);
        if let Some(model) = model {
            let value = MetadataValue::Text(model.to_owned());
            let entries = [(TEXT_MODEL_KEY.to_owned(), value)];
            request.metadata = UserMetadata::new(entries)
                .map_err(|_| {
                    let message = format!(
                        "model name {model:?} can't be sent with a text: it must be printable ASCII"
                    );
                    ClientError::local(Code::InvalidArgument, message)
                })?
                .0;
        }
        Ok(request)
    }

    /// Whether a service is served: [`crate::Reply::Health`]. `""`: the whole server.
    pub fn health(service: &str) -> Self {
        let message = health::HealthCheckRequest {
            service: service.to_owned(),
        };
        Self::plain(Method::HealthCheck, &message)
    }

    /// All services and whether they are served: [`crate::Reply::HealthList`].
    pub fn health_list() -> Self {
        Self::plain(Method::HealthList, &health::HealthListRequest {})
    }

    /// The message's length, without gRPC's prefix.
    pub(crate) fn message_bytes(&self) -> usize {
        self.message.len()
    }

    fn plain(method: Method, message: &impl Message) -> Self {
        Self {
            method,
            message: message.encode_to_vec().into(),
            metadata: MetadataMap::new(),
        }
    }
}

fn spec_message(spec: ModelSpec<'_>) -> serving::ModelSpec {
    use serving::model_spec::VersionChoice;
    serving::ModelSpec {
        name: spec.name.to_owned(),
        signature_name: spec.signature_name.to_owned(),
        version_choice: match spec.version {
            Version::Latest => None,
            Version::Number(number) => Some(VersionChoice::Version(number)),
            Version::Label(label) => Some(VersionChoice::VersionLabel(label.to_owned())),
        },
    }
}
