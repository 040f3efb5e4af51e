//! The metrics of recorded requests: those that are kept, and those that versions are warmed
//! up with.

use engine::metrics::catalog::{self, CODE, MODEL, OUTCOME, PATH};
use engine::{Engine, ModelSelector, Version};

use super::family::Family;

/// All families of recorded requests.
pub(super) fn families(engine: &Engine) -> Vec<Family> {
    let mut kept = Family::counters(catalog::KEPT_REQUESTS);
    for name in engine.registry.names() {
        let version = Version::Latest;
        let model = engine.registry.find(ModelSelector {
            name: &name,
            version,
        });
        // All versions of a model count together.
        let Some(counts) = model.ok().and_then(|it| Some(it.recorder()?.counts())) else {
            continue;
        };
        for (outcome, count) in [
            ("written", counts.written),
            ("lost_in_queue", counts.lost_in_queue),
            ("lost_on_disk", counts.lost_on_disk),
        ] {
            kept.add(&[(MODEL, &name), (OUTCOME, outcome)], count as f64);
        }
    }
    let mut seconds = Family::counters(catalog::WARMUP_SECONDS);
    let mut records = Family::counters(catalog::WARMUP_RECORDS);
    for (path, status, totals) in engine.warmups.totals() {
        let labels = [(PATH, path.as_str()), (CODE, status)];
        seconds.add(&labels, totals.micros / 1e6);
        records.add(&labels, totals.records as f64);
    }
    vec![kept, seconds, records]
}
