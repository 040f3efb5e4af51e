//! The metrics of each model. Their labels name only what is served, so that no client
//! can make series.

use engine::metrics::catalog::{self, CODE, MODEL, PHASE, PHASES, SIGNATURE, STATE, VERSION};
use engine::metrics::{FailureCounts, HistogramTotals, SignatureTotals};
use engine::{Kind, ModelSelector, Registry, ServedModel, State, Version};

use super::family::{Family, Labels};

/// A request's code when nothing went wrong.
const OK: &str = "OK";

/// All families of models.
pub(super) fn families(registry: &Registry, unmatched: &FailureCounts) -> Vec<Family> {
    let mut families = Families::new();
    let mut versions = Family::gauges(catalog::MODEL_VERSIONS);
    for name in registry.names() {
        for (state, count) in count_states(registry, &name) {
            versions.add(&[(MODEL, &name), (STATE, state)], count as f64);
        }
        for model in available(registry, &name) {
            families.add_model(&model);
        }
    }
    let nobody = [(MODEL, ""), (VERSION, ""), (SIGNATURE, "")];
    families.add_failures(&nobody, &unmatched.totals());
    families.in_order(versions)
}

/// Each state and how many versions of the model are in it.
fn count_states(registry: &Registry, name: &str) -> [(&'static str, usize); 5] {
    let version = Version::Latest;
    // A model that is wanted but has no version yet has no status.
    let statuses = registry
        .status(ModelSelector { name, version })
        .unwrap_or_default();
    let count = |wanted| statuses.iter().filter(|it| it.state == wanted).count();
    [
        ("START", count(State::Start)),
        ("LOADING", count(State::Loading)),
        ("AVAILABLE", count(State::Available)),
        ("UNLOADING", count(State::Unloading)),
        ("END", count(State::End)),
    ]
}

/// The model's versions that answer, newest first.
fn available(registry: &Registry, name: &str) -> Vec<std::sync::Arc<ServedModel>> {
    let version = Version::Latest;
    let statuses = registry
        .status(ModelSelector { name, version })
        .unwrap_or_default();
    let numbers = statuses.iter().map(|status| status.version);
    let models = numbers.filter_map(|number| {
        let version = Version::Number(number);
        registry.find(ModelSelector { name, version }).ok()
    });
    models.collect()
}

struct Families {
    requests: Family,
    seconds: Family,
    phase_seconds: Family,
    rows: Family,
    request_bytes: Family,
    reply_bytes: Family,
    batch_rows: Family,
    batch_requests: Family,
    batch_padding_rows: Family,
    batch_execute_seconds: Family,
    batch_failures: Family,
    batches_running: Family,
    file_bytes: Family,
}

impl Families {
    fn new() -> Self {
        Self {
            requests: Family::counters(catalog::REQUESTS),
            seconds: Family::histograms(catalog::REQUEST_SECONDS),
            phase_seconds: Family::histograms(catalog::REQUEST_PHASE_SECONDS),
            rows: Family::histograms(catalog::REQUEST_ROWS),
            request_bytes: Family::counters(catalog::REQUEST_BYTES),
            reply_bytes: Family::counters(catalog::REPLY_BYTES),
            batch_rows: Family::histograms(catalog::BATCH_ROWS),
            batch_requests: Family::counters(catalog::BATCH_REQUESTS),
            batch_padding_rows: Family::counters(catalog::BATCH_PADDING_ROWS),
            batch_execute_seconds: Family::counters(catalog::BATCH_EXECUTE_SECONDS),
            batch_failures: Family::counters(catalog::BATCH_FAILURES),
            batches_running: Family::gauges(catalog::BATCHES_RUNNING),
            file_bytes: Family::gauges(catalog::MODEL_FILE_BYTES),
        }
    }

    fn in_order(self, versions: Family) -> Vec<Family> {
        vec![
            self.requests,
            self.seconds,
            self.phase_seconds,
            self.rows,
            self.request_bytes,
            self.reply_bytes,
            self.batch_rows,
            self.batch_requests,
            self.batch_padding_rows,
            self.batch_execute_seconds,
            self.batch_failures,
            self.batches_running,
            self.file_bytes,
            versions,
        ]
    }

    fn add_model(&mut self, model: &ServedModel) {
        let version = model.version.to_string();
        let labels = |signature| {
            [
                (MODEL, model.name.as_str()),
                (VERSION, version.as_str()),
                (SIGNATURE, signature),
            ]
        };
        for (index, signature) in model.signatures().iter().enumerate() {
            let totals = model.metrics.totals(index);
            // One that can't be called has nothing to count but refusals, which say why.
            if let Some(totals) = totals.filter(|_| signature.unusable.is_none()) {
                self.add_signature(&labels(&signature.name), &totals);
            }
        }
        let own = [(MODEL, model.name.as_str()), (VERSION, version.as_str())];
        self.file_bytes.add(&own, model.metrics.file_bytes() as f64);
        let failures = model.metrics.without_signature().totals();
        self.add_failures(&labels(""), &failures);
    }

    fn add_signature(&mut self, labels: &[(&str, &str); 3], totals: &SignatureTotals) {
        let answered = with(labels, (CODE, OK));
        self.requests.add(&answered, totals.total.count() as f64);
        self.add_failures(labels, &totals.failures);
        add_times(
            &mut self.seconds,
            labels,
            catalog::time_bounds(),
            &totals.total,
        );
        for (phase, times) in PHASES.into_iter().zip(&totals.phases) {
            let labels = with(labels, (PHASE, phase));
            add_times(
                &mut self.phase_seconds,
                &labels,
                catalog::phase_bounds(),
                times,
            );
        }
        add_rows(&mut self.rows, labels, &totals.rows);
        self.request_bytes.add(labels, totals.received_bytes as f64);
        self.reply_bytes.add(labels, totals.sent_bytes as f64);

        let batches = &totals.batches;
        add_rows(&mut self.batch_rows, labels, &batches.rows);
        self.batch_requests.add(labels, batches.requests as f64);
        self.batch_padding_rows
            .add(labels, batches.padding_rows as f64);
        self.batch_execute_seconds
            .add(labels, catalog::seconds(batches.execute_nanos));
        self.batch_failures.add(labels, batches.failed as f64);
        self.batches_running.add(labels, batches.running as f64);
    }

    fn add_failures(&mut self, labels: &[(&str, &str); 3], failures: &[(Kind, u64)]) {
        for (kind, count) in failures {
            let labels = with(labels, (CODE, kind.name()));
            self.requests.add(&labels, *count as f64);
        }
    }
}

fn with<'a>(labels: &[(&'a str, &'a str); 3], more: (&'a str, &'a str)) -> [(&'a str, &'a str); 4] {
    let [model, version, signature] = *labels;
    [model, version, signature, more]
}

fn add_times(
    family: &mut Family,
    labels: &Labels<'_>,
    bounds: impl Iterator<Item = f64>,
    totals: &HistogramTotals,
) {
    family.add_histogram(labels, bounds, totals, catalog::seconds(totals.sum));
}

fn add_rows(family: &mut Family, labels: &Labels<'_>, totals: &HistogramTotals) {
    family.add_histogram(labels, catalog::row_bounds(), totals, totals.sum as f64);
}
