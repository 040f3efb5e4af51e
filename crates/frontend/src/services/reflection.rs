//! `grpc.reflection`, v1 and v1alpha: what is served, for clients without our `.proto`
//! files. The versions' messages are the same bytes, so that one answer serves both.

use bytes::Bytes;
use engine::ServeError;
use wire::proto::reflection_v1::server_reflection_request::MessageRequest;
use wire::proto::reflection_v1::server_reflection_response::MessageResponse;
use wire::proto::reflection_v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};

use super::SERVICES;
pub(crate) use super::descriptors::Descriptors;
use crate::app::App;
use crate::grpc::{self, Frame};

/// Largest request, bytes: it is a name or two, and it comes back with its answer.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 << 10;

/// Answers one request of a stream.
pub(crate) fn answer(app: &App, message: Bytes) -> Result<Frame, ServeError> {
    let request = grpc::decode(message, "grpc.reflection.v1.ServerReflectionRequest")?;
    Frame::of(&respond(&app.descriptors, request))
}

/// What can't be answered is told in the response: the stream goes on.
fn respond(
    descriptors: &Descriptors,
    request: ServerReflectionRequest,
) -> ServerReflectionResponse {
    let response = look_up(descriptors, request.message_request.as_ref()).unwrap_or_else(|error| {
        MessageResponse::ErrorResponse(ErrorResponse {
            error_code: error.kind().code(),
            error_message: grpc::cut(error.message()),
        })
    });
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        message_response: Some(response),
    }
}

fn look_up(
    descriptors: &Descriptors,
    request: Option<&MessageRequest>,
) -> Result<MessageResponse, ServeError> {
    match request {
        Some(MessageRequest::FileByFilename(name)) => files(descriptors.file(name), || {
            format!("there is no file {name}")
        }),
        Some(MessageRequest::FileContainingSymbol(symbol)) => {
            files(descriptors.file_of(symbol), || {
                format!("no file declares a symbol {symbol}")
            })
        }
        // Nothing that we describe extends anything.
        Some(MessageRequest::FileContainingExtension(extension)) => {
            Err(ServeError::not_found(format!(
                "no file declares an extension {} of {}",
                extension.extension_number, extension.containing_type
            )))
        }
        Some(MessageRequest::AllExtensionNumbersOfType(name)) => extensions(descriptors, name),
        Some(MessageRequest::ListServices(_)) => Ok(services()),
        None => Err(ServeError::invalid_argument(
            "the request asks for nothing: set one of file_by_filename, file_containing_symbol, \
             file_containing_extension, all_extension_numbers_of_type and list_services",
        )),
    }
}

fn files(
    encoded: Vec<Bytes>,
    missing: impl FnOnce() -> String,
) -> Result<MessageResponse, ServeError> {
    if encoded.is_empty() {
        return Err(ServeError::not_found(missing()));
    }
    let file_descriptor_proto = encoded;
    Ok(MessageResponse::FileDescriptorResponse(
        FileDescriptorResponse {
            file_descriptor_proto,
        },
    ))
}

/// A message's extensions: none, if there is such a message.
fn extensions(descriptors: &Descriptors, name: &str) -> Result<MessageResponse, ServeError> {
    if !descriptors.is_message(name) {
        return Err(ServeError::not_found(format!(
            "no file declares a message {name}"
        )));
    }
    Ok(MessageResponse::AllExtensionNumbersResponse(
        ExtensionNumberResponse {
            base_type_name: name.to_owned(),
            extension_number: Vec::new(),
        },
    ))
}

fn services() -> MessageResponse {
    let service = SERVICES
        .into_iter()
        .map(|name| ServiceResponse { name: name.into() })
        .collect();
    MessageResponse::ListServicesResponse(ListServiceResponse { service })
}

#[cfg(test)]
mod tests {
    use super::{Descriptors, respond};
    use engine::Kind;
    use prost::Message;
    use prost_types::{DescriptorProto, FileDescriptorSet};
    use wire::proto::reflection_v1::server_reflection_request::MessageRequest;
    use wire::proto::reflection_v1::server_reflection_response::MessageResponse;
    use wire::proto::reflection_v1::{ExtensionRequest, ServerReflectionRequest};
    use wire::proto::reflection_v1alpha;

    fn ask(request: Option<MessageRequest>) -> MessageResponse {
        let descriptors = Descriptors::read(wire::proto::FILE_DESCRIPTOR_SET).unwrap();
        let request = ServerReflectionRequest {
            host: "somewhere".into(),
            message_request: request,
        };
        let response = respond(&descriptors, request.clone());
        assert_eq!(response.valid_host, "somewhere");
        assert_eq!(response.original_request, Some(request));
        response.message_response.unwrap()
    }

    fn refused(request: Option<MessageRequest>) -> (Kind, String) {
        match ask(request) {
            MessageResponse::ErrorResponse(error) => {
                (Kind::from_code(error.error_code), error.error_message)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn files() {
        let by_symbol = ask(Some(MessageRequest::FileContainingSymbol(
            "prediction_service.PredictionService.Predict".into(),
        )));
        let by_name = ask(Some(MessageRequest::FileByFilename(
            "prediction_service.proto".into(),
        )));
        assert_eq!(by_symbol, by_name);
        let MessageResponse::FileDescriptorResponse(files) = by_name else {
            panic!("{by_name:?}");
        };
        assert_eq!(files.file_descriptor_proto.len(), 1);
    }

    #[test]
    fn services_in_order() {
        let MessageResponse::ListServicesResponse(list) =
            ask(Some(MessageRequest::ListServices("*".into())))
        else {
            panic!("no list");
        };
        let names: Vec<String> = list.service.into_iter().map(|each| each.name).collect();
        assert!(names.is_sorted());
        assert!(names.contains(&"grpc.reflection.v1alpha.ServerReflection".into()));
    }

    #[test]
    fn no_extensions() {
        // What the answers about extensions rest on.
        fn extends(message: &DescriptorProto) -> bool {
            !message.extension.is_empty() || message.nested_type.iter().any(extends)
        }
        let set = FileDescriptorSet::decode(wire::proto::FILE_DESCRIPTOR_SET).unwrap();
        for file in &set.file {
            assert!(file.extension.is_empty() && !file.message_type.iter().any(extends));
        }

        let name = "tensorflow.TensorProto";
        match ask(Some(MessageRequest::AllExtensionNumbersOfType(name.into()))) {
            MessageResponse::AllExtensionNumbersResponse(numbers) => {
                assert_eq!(numbers.base_type_name, name);
                assert!(numbers.extension_number.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_there() {
        let extension = ExtensionRequest {
            containing_type: "tensorflow.TensorProto".into(),
            extension_number: 1000,
        };
        for request in [
            MessageRequest::FileByFilename("1000.proto".into()),
            MessageRequest::FileContainingSymbol("tensorflow.Of1000".into()),
            MessageRequest::FileContainingExtension(extension),
            MessageRequest::AllExtensionNumbersOfType("tensorflow.Of1000".into()),
        ] {
            let (kind, message) = refused(Some(request));
            assert_eq!(kind, Kind::NotFound);
            assert!(message.contains("1000"), "{message}");
        }
        assert_eq!(refused(None).0, Kind::InvalidArgument);
    }

    #[test]
    fn long_names_make_no_long_messages() {
        let name = "x".repeat(super::MAX_REQUEST_BYTES);
        let (_, message) = refused(Some(MessageRequest::FileContainingSymbol(name)));
        assert!(message.len() < 1100, "{}", message.len());
    }

    #[test]
    fn the_older_version_is_the_same_on_the_wire() {
        let descriptors = Descriptors::read(wire::proto::FILE_DESCRIPTOR_SET).unwrap();
        let asked = reflection_v1alpha::ServerReflectionRequest {
            host: "h".into(),
            message_request: Some(
                reflection_v1alpha::server_reflection_request::MessageRequest::FileByFilename(
                    "grpc/health.proto".into(),
                ),
            ),
        };
        let request = ServerReflectionRequest::decode(&*asked.encode_to_vec()).unwrap();
        let response = respond(&descriptors, request).encode_to_vec();
        let read = reflection_v1alpha::ServerReflectionResponse::decode(&*response).unwrap();
        assert_eq!(read.original_request, Some(asked));
        assert_eq!(read.encode_to_vec(), response);
    }
}
