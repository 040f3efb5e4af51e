//! From a request's path to the service that answers it.

use std::future::poll_fn;
use std::rc::Rc;

use engine::ServeError;
use engine::metrics::Api;
use h2::RecvStream;
use h2::server::SendResponse;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, header};

use crate::app::App;
use crate::control;
use crate::grpc::{self, Call, Exchange, Outgoing, RequestBody, Responder};
use crate::http1::{HeldPage, pages};
use crate::listen::Protocols;
use crate::rest;
use crate::services::{
    classify, health, inference, metadata, model_status, multi_inference, predict, reflection,
    regress, text,
};
use crate::unsent::Unsent;

/// Answers any request, now or when its message has come and its model has run.
pub(crate) fn route(
    app: &Rc<App>,
    (protocols, unsent): (Protocols, &Rc<Unsent>),
    request: Request<RecvStream>,
    respond: SendResponse<Outgoing>,
) {
    let (head, body) = request.into_parts();
    if !is_grpc(&head.headers) {
        return match head.method {
            _ if rest::is_rest(head.uri.path()) => {
                show_answer(app, head, body, counted(app, unsent, respond));
            }
            Method::GET | Method::HEAD => show_page(app, head, counted(app, unsent, respond)),
            _ => Responder::new(respond, None).refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        };
    }
    if protocols == Protocols::Rest {
        return Responder::new(respond, None).fail(&ServeError::unimplemented(
            "this port serves plain HTTP (REST) alone; gRPC is on the server's other port",
        ));
    }
    if head.method != Method::POST {
        return Responder::new(respond, None).refuse(StatusCode::METHOD_NOT_ALLOWED);
    }
    let exchange = |responder| Exchange {
        call: Call::new(head.headers),
        body: RequestBody::new(body),
        responder,
    };
    match head.uri.path() {
        // These may go on for as long as a client likes: no stop waits for them.
        "/grpc.health.v1.Health/Watch" => {
            grpc::streaming(app, exchange(Responder::new(respond, None)), health::watch);
        }
        // The two versions differ in nothing but their name.
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" => {
            let limit = app.max_message_bytes.min(reflection::MAX_REQUEST_BYTES);
            grpc::conversation(
                app,
                exchange(Responder::new(respond, None)),
                limit,
                reflection::answer,
            );
        }
        path => {
            unary(app, path, exchange(counted(app, unsent, respond)));
        }
    }
}

/// The right to answer a request that a stop waits for, and whose reply has to be read.
fn counted(app: &App, unsent: &Rc<Unsent>, respond: SendResponse<Outgoing>) -> Responder {
    Responder::new(respond, Some(app.traffic.begin_request())).among(unsent)
}

/// Answers a request for a page, as over HTTP/1.1, unless the client gives up before: one
/// that asks and resets all the time must not have a thousand pages made.
fn show_page(app: &Rc<App>, head: Parts, mut responder: Responder) {
    let app = Rc::clone(app);
    tokio::task::spawn_local(async move {
        let page = tokio::select! {
            biased;
            () = poll_fn(|context| responder.poll_gone(context)) => return,
            page = pages::answer(&app, &head) => page,
        };
        responder.show(page);
    });
}

/// Answers a request of the REST API, unless the client gives up before.
fn show_answer(app: &Rc<App>, head: Parts, body: RecvStream, mut responder: Responder) {
    let app = Rc::clone(app);
    tokio::task::spawn_local(async move {
        let answer = rest::answer(&app, head, RequestBody::new(body), None);
        let HeldPage { page, permit } = tokio::select! {
            biased;
            shown = answer => shown,
            () = poll_fn(|context| responder.poll_gone(context)) => return,
        };
        responder.show_held(page, permit);
    });
}

fn unary(app: &Rc<App>, path: &str, exchange: Exchange) {
    match path {
        "/tensorflow.serving.PredictionService/Predict" => {
            grpc::receive(app, exchange, |app, received| {
                inference::answer(app, received, (Api::Predict, predict::prepare));
            });
        }
        "/tensorflow.serving.PredictionService/Classify" => {
            grpc::receive(app, exchange, |app, received| {
                inference::answer(app, received, (Api::Classify, classify::prepare));
            });
        }
        "/tensorflow.serving.PredictionService/Regress" => {
            grpc::receive(app, exchange, |app, received| {
                inference::answer(app, received, (Api::Regress, regress::prepare));
            });
        }
        "/tensorflow.serving.PredictionService/MultiInference" => {
            grpc::receive(app, exchange, multi_inference::answer);
        }
        "/prediction_service.PredictionService/Predict" => {
            grpc::receive(app, exchange, text::answer);
        }
        "/tensorflow.serving.PredictionService/GetModelMetadata" => {
            grpc::unary(app, exchange, metadata::answer);
        }
        "/tensorflow.serving.ModelService/GetModelStatus" => {
            grpc::unary(app, exchange, model_status::answer);
        }
        "/grpc.health.v1.Health/Check" => grpc::unary(app, exchange, health::check),
        "/grpc.health.v1.Health/List" => grpc::unary(app, exchange, health::list),
        path => match control::method_at(path) {
            Some(method) => grpc::receive(app, exchange, move |app, received| {
                control::answer(app, received, method);
            }),
            None => exchange.responder.fail(&ServeError::unimplemented(format!(
                "there is no method {path} here"
            ))),
        },
    }
}

/// gRPC's content types are `application/grpc`, alone or with a suffix.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| rest.is_empty() || rest[0] == b'+' || rest[0] == b';')
}
