//! From a request's path to the service that answers it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use engine::ServeError;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::app::App;
use crate::grpc::{self, Call, ReplyBody};
use crate::http1::pages;
use crate::services::{health, metadata, model_status, predict, reflection, text};

/// Answers any request; always with a response, even if a handler panics.
pub(crate) async fn answer(app: Arc<App>, request: Request<Incoming>) -> Response<ReplyBody> {
    let plain = matches!(*request.method(), Method::GET | Method::HEAD);
    if plain && !is_grpc(request.headers()) {
        let (head, _body) = request.into_parts();
        return pages::answer(&app, &head).await.map(ReplyBody::plain);
    }
    if !is_grpc(request.headers()) {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    if request.method() != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED);
    }
    AssertUnwindSafe(route(app, request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| {
            log::error!("a request handler panicked");
            grpc::failure(&ServeError::internal(
                "the request ended without an answer; this is a bug in TensorWire",
            ))
        })
}

async fn route(app: Arc<App>, request: Request<Incoming>) -> Response<ReplyBody> {
    let (head, body) = request.into_parts();
    match head.uri.path() {
        "/tensorflow.serving.PredictionService/Predict" => {
            grpc::unary(&app, Call::new(head), body, predict::answer).await
        }
        "/prediction_service.PredictionService/Predict" => {
            grpc::unary(&app, Call::new(head), body, text::answer).await
        }
        "/tensorflow.serving.PredictionService/GetModelMetadata" => {
            grpc::unary(&app, Call::new(head), body, metadata::answer).await
        }
        "/tensorflow.serving.ModelService/GetModelStatus" => {
            grpc::unary(&app, Call::new(head), body, model_status::answer).await
        }
        "/grpc.health.v1.Health/Check" => {
            grpc::unary(&app, Call::new(head), body, health::check).await
        }
        "/grpc.health.v1.Health/List" => {
            grpc::unary(&app, Call::new(head), body, health::list).await
        }
        "/grpc.health.v1.Health/Watch" => {
            grpc::streaming(&app, Call::new(head), body, health::watch).await
        }
        // The two versions differ in nothing but their name.
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => {
            let limit = app.max_message_bytes.min(reflection::MAX_REQUEST_BYTES);
            grpc::conversation(&app, &Call::new(head), body, limit, reflection::answer)
        }
        path => grpc::failure(&ServeError::unimplemented(format!(
            "there is no method {path} here"
        ))),
    }
}

/// gRPC's content types are `application/grpc`, alone or with a suffix.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| rest.is_empty() || rest[0] == b'+' || rest[0] == b';')
}

fn refuse(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::empty());
    *response.status_mut() = status;
    response
}
