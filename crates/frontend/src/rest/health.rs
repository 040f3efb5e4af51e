//! `/healthz`: the process serves. `/readyz`: every wanted model has a version that
//! answers, and the server is not stopping.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use super::page;
use crate::app::App;

#[derive(Serialize)]
struct Health {
    alive: bool,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Whether the server is stopping.
    draining: bool,
    /// How many models are wanted.
    models: usize,
    /// Those without a version that answers.
    missing: Vec<String>,
}

/// Answers as long as anything can.
pub(crate) fn alive() -> Response<Bytes> {
    written(&Health { alive: true }, StatusCode::OK)
}

/// Whether requests should be sent here, and what is missing if not.
pub(crate) fn ready(app: &App) -> Response<Bytes> {
    let registry = &app.engine.registry;
    let names = registry.names();
    let models = names.len();
    let is_missing = |name: &String| registry.is_available(name) == Some(false);
    let missing: Vec<String> = names.into_iter().filter(is_missing).collect();
    let draining = app.drain.has_begun();
    let ready = models > 0 && missing.is_empty() && !draining;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let readiness = Readiness {
        ready,
        draining,
        models,
        missing,
    };
    written(&readiness, status)
}

fn written(value: &impl Serialize, status: StatusCode) -> Response<Bytes> {
    // A value of plain fields always has a form in JSON.
    let mut body = serde_json::to_vec(value).unwrap_or_default();
    body.push(b'\n');
    let mut page = page::json(body);
    *page.status_mut() = status;
    page
}
