//! What a call answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use tensor::Tensor;
use wire::predict::decode_response;
use wire::proto::{health, prediction_service, serving};
use wire::signatures::{SignatureDescription, describe};

use crate::code::{Code, code_name};
use crate::error::ClientError;
use crate::request::Method;

/// A decoded reply, by the kind of request.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Of `Request::predict`.
    Predict {
        /// The version that answered, if the server says.
        version: Option<i64>,
        /// Names and tensors, each name once.
        outputs: Vec<(String, Tensor)>,
    },
    /// Of `Request::metadata`.
    Metadata {
        /// The version that is described, if the server says.
        version: Option<i64>,
        /// Its signatures, by name.
        signatures: Vec<SignatureDescription>,
    },
    /// Of `Request::status`: the versions, newest first.
    Status(Vec<StatusReply>),
    /// Of `Request::text`; an empty error message means that there was none.
    Text {
        /// The prediction.
        prediction: String,
        /// Why there is none.
        error_message: String,
    },
    /// Of `Request::health`: gRPC's name of the state.
    Health(&'static str),
    /// Of `Request::health_list`: services and states.
    HealthList(BTreeMap<String, &'static str>),
    /// Of `Request::model_repository`: the message as it came.
    Encoded(Bytes),
}

/// The state of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReply {
    /// The version.
    pub version: i64,
    /// TensorFlow Serving's name of its state, `AVAILABLE`.
    pub state: &'static str,
    /// gRPC's name of its error, `OK` if it has none.
    pub code: &'static str,
    /// The error's text.
    pub message: String,
}

impl Reply {
    /// Reads the reply of `method`; no tensor in it may take more than `limit` bytes.
    pub(crate) fn decode(method: Method, message: &Bytes, limit: usize) -> Result<Self, String> {
        match method {
            Method::Predict => {
                let response = decode_response(message, limit).map_err(|e| e.to_string())?;
                Ok(Self::Predict {
                    version: response.version,
                    outputs: response.outputs,
                })
            }
            Method::ModelMetadata => metadata(&parse(message)?),
            Method::ModelStatus => Ok(Self::Status(statuses(parse(message)?))),
            Method::Text => {
                let response: prediction_service::PredictionResponse = parse(message)?;
                Ok(Self::Text {
                    prediction: response.prediction,
                    error_message: response.error_message,
                })
            }
            Method::HealthCheck => {
                let response: health::HealthCheckResponse = parse(message)?;
                Ok(Self::Health(response.status().as_str_name()))
            }
            Method::ModelRepository(_) => Ok(Self::Encoded(message.clone())),
            Method::HealthList => {
                let response: health::HealthListResponse = parse(message)?;
                let states = response.statuses.into_iter();
                Ok(Self::HealthList(
                    states
                        .map(|(service, state)| (service, state.status().as_str_name()))
                        .collect(),
                ))
            }
        }
    }

    /// The errors that are an answer: a health check of a service that the server
    /// doesn't know is answered with `NOT_FOUND`.
    pub(crate) fn from_error(method: Method, error: &ClientError) -> Option<Self> {
        let unknown = method == Method::HealthCheck && error.code() == Code::NotFound;
        let state = health::health_check_response::ServingStatus::ServiceUnknown;
        unknown.then(|| Self::Health(state.as_str_name()))
    }
}

fn parse<M: Message + Default>(message: &Bytes) -> Result<M, String> {
    M::decode(message.clone()).map_err(|error| error.to_string())
}

fn metadata(response: &serving::GetModelMetadataResponse) -> Result<Reply, String> {
    use serving::model_spec::VersionChoice;
    let version = match response
        .model_spec
        .as_ref()
        .map(|spec| &spec.version_choice)
    {
        Some(Some(VersionChoice::Version(number))) => Some(*number),
        _ => None,
    };
    let Some(any) = response.metadata.get("signature_def") else {
        return Err("it has no signature_def".to_owned());
    };
    Ok(Reply::Metadata {
        version,
        signatures: describe(&any.value).map_err(|e| e.to_string())?,
    })
}

fn statuses(response: serving::GetModelStatusResponse) -> Vec<StatusReply> {
    let mut versions: Vec<StatusReply> = response
        .model_version_status
        .into_iter()
        .map(|version| {
            let state = version.state().as_str_name();
            let status = version.status.unwrap_or_default();
            StatusReply {
                version: version.version,
                state,
                code: code_name(Code::from_i32(status.error_code)),
                message: status.error_message,
            }
        })
        .collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.version));
    versions
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;
    use wire::proto::{health, serving};

    use super::Reply;
    use crate::request::Method;

    #[test]
    fn statuses_come_newest_first() {
        let version = |number: i64, state: i32, code: i32| serving::ModelVersionStatus {
            version: number,
            state,
            status: Some(serving::StatusProto {
                error_code: code,
                error_message: String::new(),
            }),
        };
        let response = serving::GetModelStatusResponse {
            model_version_status: vec![version(1, 50, 5), version(2, 30, 0)],
        };
        let message = Bytes::from(response.encode_to_vec());
        let Reply::Status(versions) = Reply::decode(Method::ModelStatus, &message, 0).unwrap()
        else {
            panic!("wrong kind of reply");
        };
        let read: Vec<_> = versions
            .iter()
            .map(|version| (version.version, version.state, version.code))
            .collect();
        assert_eq!(read, [(2, "AVAILABLE", "OK"), (1, "END", "NOT_FOUND")]);
    }

    #[test]
    fn health_is_named() {
        let response = health::HealthCheckResponse { status: 1 };
        let message = Bytes::from(response.encode_to_vec());
        let reply = Reply::decode(Method::HealthCheck, &message, 0).unwrap();
        assert_eq!(reply, Reply::Health("SERVING"));
    }

    #[test]
    fn garbage_is_an_error() {
        let message = Bytes::from_static(&[0xff; 7]);
        for method in [Method::ModelMetadata, Method::ModelStatus, Method::Text] {
            assert!(Reply::decode(method, &message, 0).is_err());
        }
    }
}
