//! Everything that is counted, as Prometheus text: gathered and written only when asked,
//! in a thread of its own, so that no request waits for it.

mod family;

mod models;

mod recorded;

mod process;

mod server;

pub(crate) mod serving;

mod turns;

use std::sync::Arc;

use prometheus::TextEncoder;

use crate::app::Shared;
use crate::traffic::Traffic;
use family::Family;
use turns::Turns;

/// The content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// What can be asked for all metrics.
pub(crate) struct Metrics {
    io_threads: Vec<Arc<Traffic>>,
    /// The text of many models takes milliseconds of a core, which a hundred impatient
    /// collectors must not take from the requests.
    turns: Turns,
}

/// Why there is no text; a bug.
#[derive(Debug, thiserror::Error)]
#[error("the metrics could not be written; this is a bug in TensorWire")]
pub(crate) struct Unwritten;

impl Metrics {
    /// Over these I/O threads' counts, in the threads' order.
    pub(crate) fn new(io_threads: Vec<Arc<Traffic>>) -> Self {
        Self {
            io_threads,
            turns: Turns::default(),
        }
    }

    /// All metrics as text, of the moment at which its turn comes.
    pub(crate) async fn text(server: Arc<Shared>) -> Result<String, Unwritten> {
        Self::written(server, write).await
    }

    /// The same under TensorFlow Serving's names.
    pub(crate) async fn serving_text(server: Arc<Shared>) -> Result<String, Unwritten> {
        Self::written(server, |server| Some(serving::text(&server.engine))).await
    }

    async fn written(
        server: Arc<Shared>,
        write: fn(&Shared) -> Option<String>,
    ) -> Result<String, Unwritten> {
        let gathered = Arc::clone(&server);
        let text = server.metrics.turns.take(move || write(&gathered)).await;
        text.flatten().ok_or(Unwritten)
    }
}

fn write(server: &Shared) -> Option<String> {
    let mut families = models::families(&server.engine.registry, &server.engine.unmatched);
    families.extend(recorded::families(&server.engine));
    families.extend(server::families(
        server.engine.dispatcher.gauges(),
        &server.metrics.io_threads,
        &server.refusals,
    ));
    families.extend(process::families());
    let families: Vec<_> = families.into_iter().filter_map(Family::finish).collect();
    TextEncoder::new()
        .encode_to_string(&families)
        .inspect_err(|error| log::error!("cannot write the metrics: {error}"))
        .ok()
}
