//! The pages there are for plain HTTP, of any version, beside the REST API.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};

use crate::app::App;
use crate::metrics::{self, Metrics};
use crate::rest::health;

/// Longest part of a path that an error repeats, in characters.
const PATH_LIMIT: usize = 200;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers a request that is none of gRPC, whatever its body. The answer's body is empty
/// for HEAD; its length is in the headers in any case.
pub(crate) async fn answer(app: &App, head: &Parts) -> Response<Bytes> {
    let mut response = match (head.uri.path(), &head.method) {
        ("/metrics", &Method::GET | &Method::HEAD) => metrics_page(app).await,
        (path, method) if app.monitoring_path.as_deref() == Some(path) => match *method {
            Method::GET | Method::HEAD => monitoring_page(app).await,
            _ => not_allowed(path, method),
        },
        ("/healthz", &Method::GET | &Method::HEAD) => health::alive(),
        ("/readyz", &Method::GET | &Method::HEAD) => health::ready(app),
        (path @ ("/metrics" | "/healthz" | "/readyz"), method) => not_allowed(path, method),
        (path, _) => nothing_at(path),
    };
    tell_length(&mut response, &head.method);
    response
}

/// Says how long a page is, and takes its body away if its head alone was asked for.
pub(crate) fn tell_length(page: &mut Response<Bytes>, method: &Method) {
    let length = HeaderValue::from(page.body().len());
    page.headers_mut().insert(header::CONTENT_LENGTH, length);
    if method == Method::HEAD {
        page.body_mut().clear();
    }
}

async fn metrics_page(app: &App) -> Response<Bytes> {
    match Metrics::text(Arc::clone(&app.server)).await {
        Ok(text) => page(
            StatusCode::OK,
            HeaderValue::from_static(metrics::CONTENT_TYPE),
            text,
        ),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

async fn monitoring_page(app: &App) -> Response<Bytes> {
    match Metrics::serving_text(Arc::clone(&app.server)).await {
        Ok(text) => page(
            StatusCode::OK,
            HeaderValue::from_static(metrics::serving::CONTENT_TYPE),
            text,
        ),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn not_allowed(path: &str, method: &Method) -> Response<Bytes> {
    let message = format!("{path} answers GET and HEAD, not {method}");
    let mut response = failure(StatusCode::METHOD_NOT_ALLOWED, &message);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn nothing_at(path: &str) -> Response<Bytes> {
    let path: String = path.chars().take(PATH_LIMIT).collect();
    let message = format!(
        "there is nothing at {path}; over HTTP there are /v1/models, /metrics, /healthz and \
         /readyz, over gRPC more"
    );
    failure(StatusCode::NOT_FOUND, &message)
}

/// A page that says what went wrong.
pub(crate) fn failure(status: StatusCode, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "error": message }).to_string();
    page(status, JSON, body)
}

fn page(status: StatusCode, content_type: HeaderValue, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
