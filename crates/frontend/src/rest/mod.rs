//! TensorFlow Serving's REST API: `/v1/models/...`, over HTTP/1.1 and HTTP/2. In the order
//! a request comes in: its path says what it wants, its body is read, one file a method
//! answers, and the page goes out, compressed where the client asked for it.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use engine::metrics::NameMetrics;
use engine::{Clock, ServeError};
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body;

use crate::app::App;
use crate::control::{self, Verb};
use crate::grpc::server_timing;
use crate::http1::{HeldPage, HttpResponder, pages};
use crate::shared_stream::SharedStream;

mod route;
pub(crate) use route::is_rest;
use route::{InferenceMethod, ModelPath, Route};

mod aside;

mod body;
use body::Unread;

mod predict;

mod examples;

mod models;

mod page;

pub(crate) mod health;

pub(crate) mod status;

/// An inference request whose body is there.
struct Inference<'a> {
    model: &'a ModelPath,
    headers: HeaderMap,
    body: Bytes,
    clock: Clock,
}

impl Inference<'_> {
    /// Whether the caller asks where the time went.
    fn wants_timings(&self) -> bool {
        server_timing::is_asked(&self.headers)
    }
}

/// Answers a request whose path is one of the REST API's. Dropped before that, it
/// abandons what it began. `socket` is where the client's going away is seen, if this
/// future is not dropped for it.
pub(crate) async fn answer<B>(
    app: &Rc<App>,
    head: Parts,
    body: B,
    socket: Option<SharedStream>,
) -> HeldPage
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    // The connection's other requests outlive a panic in this one.
    let answer = AssertUnwindSafe(find_answer(app, head, body, socket)).catch_unwind();
    answer.await.unwrap_or_else(|_panic| {
        log::error!("a REST request's handler panicked");
        HeldPage::free(status::failure(&engine::lost()))
    })
}

async fn find_answer<B>(
    app: &Rc<App>,
    head: Parts,
    body: B,
    socket: Option<SharedStream>,
) -> HeldPage
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let accepts_gzip = page::accepts_gzip(&head.headers);
    let mut answer = match Route::of(&head) {
        Ok(Route::Inference(method, model)) => {
            infer(app, (method, &model), (head.headers, body), socket).await
        }
        Ok(Route::Control(verb, name)) => {
            HeldPage::free(change(app, (verb, &name), (head.headers, body)).await)
        }
        Ok(route) => HeldPage::free(look_up(app, &route, &head.headers)),
        Err(error) => {
            app.engine.names.unknown.failed(error.kind());
            HeldPage::free(status::failure(&error))
        }
    };
    if app.rest.cors {
        page::allow_all_origins(answer.page.headers_mut());
    }
    if accepts_gzip {
        answer.page = page::compressed(answer.page).await;
    }
    if head.method == Method::HEAD {
        pages::tell_length(&mut answer.page, &head.method);
    }
    answer
}

/// Answers what needs no model to run.
fn look_up(app: &App, route: &Route, headers: &HeaderMap) -> Response<Bytes> {
    let arrived = Instant::now();
    let (name, found) = match route {
        Route::Models => ("", models::list(app)),
        Route::Status(model) => (&*model.name, models::status(app, model)),
        Route::Metadata(model) => (&*model.name, models::metadata(app, model)),
        Route::Preflight => return page::preflight(headers),
        // Answered where its body is read.
        Route::Inference(..) | Route::Control(..) => return Response::default(),
    };
    count(app, name, |counts| match &found {
        Ok(_) => counts.looked_up(arrived.elapsed()),
        Err(error) => counts.failed(error.kind()),
    });
    found.unwrap_or_else(|error| status::failure(&error))
}

/// Counts as TensorFlow Serving does: by the name, if a model of it was ever served.
fn count(app: &App, name: &str, write: impl FnOnce(&NameMetrics)) {
    let names = &app.engine.names;
    write(names.find(name).as_deref().unwrap_or(&names.unknown));
}

/// Answers what the control plane is to do or to tell.
async fn change<B>(
    app: &App,
    what: (Verb, &str),
    (headers, body): (HeaderMap, B),
) -> Response<Bytes>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let body = match body::read(&headers, body, app.max_message_bytes).await {
        Ok(body) => body,
        Err(unread) => return unread_page(app, &unread),
    };
    match control::command(app, what, &headers, &body).await {
        Ok(reply) => page::json(reply.into()),
        Err(error) => status::failure(&error),
    }
}

async fn infer<B>(
    app: &Rc<App>,
    (method, model): (InferenceMethod, &ModelPath),
    (headers, body): (HeaderMap, B),
    socket: Option<SharedStream>,
) -> HeldPage
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let body = match body::read(&headers, body, app.max_message_bytes).await {
        Ok(body) => body,
        Err(unread) => {
            let kind = unread.to_error().kind();
            count(app, &model.name, |counts| counts.failed(kind));
            return HeldPage::free(unread_page(app, &unread));
        }
    };
    let inference = Inference {
        model,
        headers,
        body,
        clock: clock(app),
    };
    let (responder, page) = HttpResponder::new(socket);
    match method {
        InferenceMethod::Predict => predict::begin(app, inference, responder),
        InferenceMethod::Classify => {
            examples::begin(app, inference, crate::examples::Method::Classify, responder);
        }
        InferenceMethod::Regress => {
            examples::begin(app, inference, crate::examples::Method::Regress, responder);
        }
    }
    // The responder always sends something, also when it is dropped.
    page.await
        .unwrap_or_else(|_lost| HeldPage::free(status::failure(&engine::lost())))
}

/// Now, and the first of the deadlines that the server has for requests.
fn clock(app: &App) -> Clock {
    let arrived = Instant::now();
    let limits = [app.rest.timeout, app.engine.options.default_timeout];
    let timeout = limits.into_iter().flatten().min();
    Clock {
        arrived,
        deadline: timeout.and_then(|timeout| arrived.checked_add(timeout)),
    }
}

fn unread_page(app: &App, unread: &Unread) -> Response<Bytes> {
    let error = unread.to_error();
    app.engine.unmatched.record(error.kind());
    let mut page = status::failure(&error);
    match unread {
        Unread::TooLarge { .. } | Unread::Inflated(_) => {
            *page.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        }
        Unread::Silent(_) => *page.status_mut() = StatusCode::REQUEST_TIMEOUT,
        Unread::Wrong(_) => {}
    }
    page
}

/// An error from outside the engine on its way to a page.
struct Refusal(ServeError);

impl From<ServeError> for Refusal {
    fn from(error: ServeError) -> Self {
        Self(error)
    }
}

impl From<wire::rest::RestError> for Refusal {
    fn from(error: wire::rest::RestError) -> Self {
        Self(status::of_codec(&error))
    }
}
