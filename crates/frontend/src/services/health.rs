//! `grpc.health.v1.Health`: whether the server, a service or a model answers.
//!
//! The server and its services answer when every wanted model has a version, and
//! no longer once the server drains; a model's own name can be asked for as well.

use std::rc::Rc;

use bytes::Bytes;
use engine::ServeError;
use tokio::sync::watch;
use wire::proto::health::health_check_response::ServingStatus;
use wire::proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};

use super::SERVICES;
use crate::app::App;
use crate::grpc::{self, Frame, Replies};

/// The name of the server as a whole.
const SERVER: &str = "";

/// What TensorFlow Serving calls its services here.
const SHORT_NAMES: [&str; 2] = ["ModelService", "PredictionService"];

/// Answers Check.
pub(crate) fn check(app: &App, message: Bytes) -> Result<Frame, ServeError> {
    let request = decode(message)?;
    let status = status(app, &request.service)
        .ok_or_else(|| ServeError::not_found(format!("unknown service {}", request.service)))?;
    frame(status)
}

/// Answers List.
pub(crate) fn list(app: &App, message: Bytes) -> Result<Frame, ServeError> {
    let HealthListRequest {} = grpc::decode(message, "grpc.health.v1.HealthListRequest")?;
    let models = app.engine.registry.names();
    let names = std::iter::once(SERVER)
        .chain(SERVICES)
        .chain(models.iter().map(String::as_str));
    let statuses = names
        .filter_map(|name| {
            let status = i32::from(status(app, name)?);
            Some((name.to_owned(), HealthCheckResponse { status }))
        })
        .collect();
    Frame::of(&HealthListResponse { statuses })
}

/// Answers Watch: the status now, then at each change, until the server drains.
pub(crate) fn watch(app: Rc<App>, message: Bytes, replies: Replies) -> Result<(), ServeError> {
    let service = decode(message)?.service;
    let changes = app.engine.registry.subscribe();
    let draining = app.drain.subscribe();
    tokio::task::spawn_local(async move {
        // An error means that the caller has gone away.
        let _ = report(&app, &service, (changes, draining), &replies).await;
    });
    Ok(())
}

/// Sends each new status; returns after the one that says that the server drains, so
/// that no watcher keeps its connection from closing.
async fn report(
    app: &App,
    service: &str,
    (mut changes, mut draining): (watch::Receiver<()>, watch::Receiver<bool>),
    replies: &Replies,
) -> Option<()> {
    let mut told = None;
    loop {
        let ending = *draining.borrow_and_update();
        changes.mark_unchanged();
        let now = status(app, service).unwrap_or(ServingStatus::ServiceUnknown);
        if told != Some(now) {
            replies.send(frame(now)).await.ok()?;
            told = Some(now);
        }
        if ending {
            return None;
        }
        tokio::select! {
            alive = changes.changed() => alive.ok()?,
            alive = draining.changed() => alive.ok()?,
            () = replies.closed() => return None,
        }
    }
}

/// The status of a service or a model; `None` for a name that is neither.
fn status(app: &App, service: &str) -> Option<ServingStatus> {
    let registry = &app.engine.registry;
    let is_short = app.short_health_names && SHORT_NAMES.contains(&service);
    let answers = if service == SERVER || SERVICES.contains(&service) {
        registry.all_available()
    } else if let Some(answers) = registry.is_available(service) {
        answers
    } else if is_short {
        registry.all_available()
    } else {
        return None;
    };
    Some(if answers && !app.drain.has_begun() {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    })
}

fn decode(message: Bytes) -> Result<HealthCheckRequest, ServeError> {
    grpc::decode(message, "grpc.health.v1.HealthCheckRequest")
}

fn frame(status: ServingStatus) -> Result<Frame, ServeError> {
    let status = i32::from(status);
    Frame::of(&HealthCheckResponse { status })
}
