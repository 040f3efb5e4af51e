//! Warming up a version with its own records, between measuring it and serving it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use engine::metrics::Warmups;
use engine::{ServeError, ServedModel};
use frontend::{Warmed, WarmupOptions, warm_up};

/// Warms a model up that was loaded from the folder at `path` and is not served yet; counts
/// in `counts` what that came to.
pub(crate) fn warmed_up(
    model: ServedModel,
    path: &Path,
    options: &WarmupOptions,
    (cancelled, counts): (&AtomicBool, &Warmups),
) -> Result<ServedModel, ServeError> {
    let started = Instant::now();
    let model = Arc::new(model);
    let mut warmed = Warmed::default();
    let outcome = warm_up(&model, path, options, cancelled, &mut warmed);
    let Some(outcome) = outcome else {
        return alone(model);
    };
    let took = started.elapsed();
    let status = outcome
        .as_ref()
        .err()
        .map_or("OK", |error| error.kind().name());
    counts.record(&path.to_string_lossy(), status, took, warmed.records);
    outcome?;
    let Warmed { records, failed } = warmed;
    log::info!(
        "model {} version {} warmed up with {records} records in {} ms{}",
        model.name,
        model.version,
        took.as_millis(),
        if failed > 0 {
            format!(", {failed} of which failed")
        } else {
            String::new()
        }
    );
    // What ran was no request, and took longer than one does.
    alone(model).map(ServedModel::rested)
}

/// The model, which nothing else holds once its runs have ended.
fn alone(model: Arc<ServedModel>) -> Result<ServedModel, ServeError> {
    Arc::into_inner(model)
        .ok_or_else(|| ServeError::internal("a warm-up has not ended; this is a bug in TensorWire"))
}
