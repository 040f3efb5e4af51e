//! A call to be made: which method, and its message, encoded once.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use prost::Message;
use wire::predict::{ModelSpec, PredictCall, Version};
use wire::proto::{health, prediction_service, serving};

use crate::code::Code;
use crate::error::ClientError;
use crate::exchange::PREFIX_BYTES;
use crate::metadata::{ENCODING_KEY, TENSOR_CONTENT};

/// The methods that the client calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Predict,
    ModelMetadata,
    ModelStatus,
    Text,
    HealthCheck,
    HealthList,
    /// One of [`MODEL_REPOSITORY`].
    ModelRepository(&'static str),
}

/// The methods of the service that changes a server's models.
const MODEL_REPOSITORY: [&str; 5] = [
    "/tensorwire.ModelRepository/ListModels",
    "/tensorwire.ModelRepository/LoadModel",
    "/tensorwire.ModelRepository/UnloadModel",
    "/tensorwire.ModelRepository/ReloadModel",
    "/tensorwire.ModelRepository/GetConfig",
];

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
            Self::ModelRepository(path) => path,
        }
    }
}

/// A request, encoded once; it can be sent any number of times.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    /// The message behind gRPC's prefix, as it is sent.
    pub(crate) frame: Bytes,
    /// What the method itself sends along.
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
}

/// Asks for reply tensors as bytes.
const ENCODING: (HeaderName, HeaderValue) = (
    HeaderName::from_static(ENCODING_KEY),
    HeaderValue::from_static(TENSOR_CONTENT),
);

/// Names the text service's model.
const TEXT_MODEL: HeaderName = HeaderName::from_static("model");

impl Request {
    /// Tensors in, tensors out: [`crate::Reply::Predict`].
    pub fn predict(call: &PredictCall<'_>) -> Self {
        Self {
            method: Method::Predict,
            frame: framed(call.encoded_len(), |buffer| call.write(buffer)),
            header: Some(ENCODING),
        }
    }

    /// The message's length, without gRPC's prefix.
    pub(crate) fn message_bytes(&self) -> usize {
        self.frame.len() - PREFIX_BYTES
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
            let printable = model.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let value = HeaderValue::from_str(model)
                .ok()
                .filter(|_| printable)
                .ok_or_else(|| {
                    let message = format!(
                        "model name {model:?} can't be sent with a text: it must be printable ASCII"
                    );
                    ClientError::local(Code::InvalidArgument, message)
                })?;
            request.header = Some((TEXT_MODEL, value));
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

    /// A method of `tensorwire.ModelRepository`, by its name, with its encoded message:
    /// [`crate::Reply::Encoded`].
    pub fn model_repository(name: &str, message: &[u8]) -> Result<Self, ClientError> {
        let named = |path: &&&str| path.rsplit('/').next() == Some(name);
        let Some(path) = MODEL_REPOSITORY.iter().find(named) else {
            let message = format!("the model repository has no method {name:?}");
            return Err(ClientError::local(Code::InvalidArgument, message));
        };
        Ok(Self {
            method: Method::ModelRepository(path),
            frame: framed(message.len(), |buffer| buffer.put_slice(message)),
            header: None,
        })
    }

    fn plain(method: Method, message: &impl Message) -> Self {
        Self {
            method,
            frame: framed(message.encoded_len(), |buffer| message.encode_raw(buffer)),
            header: None,
        }
    }
}

/// `length` bytes that `write` writes, behind gRPC's prefix for them. One that is too long
/// for the prefix is refused before it is sent.
fn framed(length: usize, write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + length);
    buffer.put_u8(0);
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    write(&mut buffer);
    buffer.freeze()
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
