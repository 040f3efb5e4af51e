//! What TensorFlow Serving's dashboards and alerts read: its names, labels and buckets, in
//! its form of Prometheus text, which has `# TYPE` lines and no others.

use std::fmt::Write;

use engine::metrics::names::{EXAMPLE_BOUNDS, LATENCY_BOUNDS, QUEUE_BOUNDS, SIZE_BOUNDS};
use engine::metrics::{Api, HistogramTotals, NameTotals, warmup_bounds};
use engine::{Engine, Kind, ModelSelector, Version};

/// The content type of [`text`].
pub(crate) const CONTENT_TYPE: &str = "text/plain";

const NANOS_PER_MICRO: f64 = 1e3;

/// All of it. Requests that named no model that is served have an empty `model_name`, so
/// that no client can make series.
pub(super) fn text(engine: &Engine) -> String {
    let names = engine.names.totals();
    let mut page = Page::default();
    add_requests(&mut page, &names);
    add_examples(&mut page, &names);
    add_log(&mut page, engine);
    add_warmups(&mut page, engine);
    add_batching(&mut page, &names);
    add_loads(&mut page, engine);
    add_runs(&mut page, &names);
    page.0
}

type Named = [(String, NameTotals)];

fn add_requests(page: &mut Page, names: &Named) {
    let counter = ":tensorflow:serving:request_count";
    page.begin(counter, "counter");
    for (name, totals) in names {
        let answered = totals.apis.iter().map(|api| api.latency.count()).sum();
        let failed = totals.failed.iter();
        let failed = failed.map(|(kind, count)| (kind.name(), *count));
        for (status, count) in std::iter::once(("OK", answered)).chain(failed) {
            if count > 0 {
                let labels = [("model_name", name.as_str()), ("status", status)];
                page.sample(counter, &labels, count as f64);
            }
        }
    }
    let latency = ":tensorflow:serving:request_latency";
    page.begin(latency, "histogram");
    for_each_api(names, |name, (api, entrypoint), totals| {
        let labels = [
            ("model_name", name),
            ("API", api),
            ("entrypoint", entrypoint),
        ];
        page.micros(latency, &labels, &LATENCY_BOUNDS, &totals.latency);
    });
    let runtime = ":tensorflow:serving:runtime_latency";
    page.begin(runtime, "histogram");
    for_each_api(names, |name, (api, _), totals| {
        let labels = [("model_name", name), ("API", api), ("runtime", "TF1")];
        page.micros(runtime, &labels, &LATENCY_BOUNDS, &totals.runtime);
    });
}

fn for_each_api(
    names: &Named,
    mut each: impl FnMut(&str, (&'static str, &'static str), &engine::metrics::names::ApiTotals),
) {
    for (name, totals) in names {
        for (api, totals) in Api::ALL.into_iter().zip(&totals.apis) {
            each(name, api.labels(), totals);
        }
    }
}

fn add_examples(page: &mut Page, names: &Named) {
    let examples: Vec<(&str, HistogramTotals)> = names
        .iter()
        .map(|(name, totals)| {
            let of_apis = totals.apis.iter().map(|api| &api.examples);
            (name.as_str(), merged(of_apis.chain([&totals.examples])))
        })
        .filter(|(_, examples)| examples.count() > 0)
        .collect();
    let counts = ":tensorflow:serving:request_example_counts";
    page.begin(counts, "histogram");
    for (name, examples) in &examples {
        let labels = [("model", *name)];
        page.histogram(
            counts,
            &labels,
            &EXAMPLE_BOUNDS,
            (&examples.counts, examples.sum as f64),
        );
    }
    let total = ":tensorflow:serving:request_example_count_total";
    page.begin(total, "counter");
    for (name, examples) in &examples {
        page.sample(total, &[("model", name)], examples.sum as f64);
    }
}

fn add_log(page: &mut Page, engine: &Engine) {
    let counter = ":tensorflow:serving:request_log_count";
    page.begin(counter, "counter");
    for name in engine.registry.names() {
        let version = Version::Latest;
        let name = name.as_str();
        let model = engine.registry.find(ModelSelector { name, version });
        let Some(counts) = model.ok().and_then(|it| Some(it.recorder()?.counts())) else {
            continue;
        };
        for (status, count) in [
            ("OK", counts.written),
            (Kind::ResourceExhausted.name(), counts.lost_in_queue),
            (Kind::Unavailable.name(), counts.lost_on_disk),
        ] {
            let labels = [("model_name", name), ("status_code", status)];
            page.sample(counter, &labels, count as f64);
        }
    }
}

fn add_warmups(page: &mut Page, engine: &Engine) {
    let warmups = engine.warmups.totals();
    let bounds: Vec<f64> = warmup_bounds().collect();
    let latency = ":tensorflow:serving:model_warmup_latency";
    page.begin(latency, "histogram");
    for (path, status, totals) in &warmups {
        let labels = [("model_path", path.as_str()), ("status", *status)];
        page.histogram(latency, &labels, &bounds, (&totals.counts, totals.micros));
    }
    let records = ":tensorflow:serving:model_warmup_records_read";
    page.begin(records, "counter");
    for (path, status, totals) in &warmups {
        let labels = [("model_path", path.as_str()), ("status", *status)];
        page.sample(records, &labels, totals.records as f64);
    }
}

fn add_batching(page: &mut Page, names: &Named) {
    const PREFIX: &str = ":tensorflow:serving:batching_session:";
    let apis = || names.iter().flat_map(|(_, totals)| &totals.apis);
    let processed = merged(names.iter().map(|(_, totals)| &totals.processed));

    let name = &format!("{PREFIX}queuing_latency");
    page.begin(name, "histogram");
    let queue = merged(apis().map(|api| &api.queue));
    page.micros(name, &[("thread_pool_name", "")], &QUEUE_BOUNDS, &queue);

    let name = &format!("{PREFIX}wrapped_run_count");
    page.begin(name, "counter");
    page.sample(name, &[], processed.count() as f64);

    let name = &format!("{PREFIX}padding_size");
    page.begin(name, "histogram");
    let sizes = names.first().map_or(&[][..], |(_, totals)| &totals.padding);
    for (at, (size, _)) in sizes.iter().enumerate() {
        let padding = merged(names.iter().map(|(_, totals)| &totals.padding[at].1));
        let size = size.to_string();
        page.rows(name, &[("execution_batch_size", &size)], &padding);
    }

    let name = &format!("{PREFIX}input_batch_size");
    page.begin(name, "histogram");
    page.rows(name, &[], &merged(apis().map(|api| &api.rows)));

    let name = &format!("{PREFIX}processed_batch_size");
    page.begin(name, "histogram");
    page.rows(name, &[], &processed);
}

fn add_loads(page: &mut Page, engine: &Engine) {
    let loads = engine.loads.totals();
    let attempts = ":tensorflow:cc:saved_model:load_attempt_count";
    page.begin(attempts, "counter");
    for (path, totals) in &loads {
        for (status, count) in [("success", totals.succeeded), ("fail", totals.failed)] {
            if count > 0 {
                let labels = [("model_path", path.as_str()), ("status", status)];
                page.sample(attempts, &labels, count as f64);
            }
        }
    }
    let latency = ":tensorflow:cc:saved_model:load_latency";
    page.begin(latency, "counter");
    for (path, totals) in loads.iter().filter(|(_, totals)| totals.succeeded > 0) {
        let micros = totals.took.as_micros() as f64;
        page.sample(latency, &[("model_path", path)], micros);
    }
}

fn add_runs(page: &mut Page, names: &Named) {
    let runs: u64 = names.iter().map(|(_, it)| it.processed.count()).sum();
    let nanos: u64 = names.iter().map(|(_, it)| it.execute_nanos).sum();
    for (name, value) in [
        (":tensorflow:core:direct_session_runs", runs as f64),
        (":tensorflow:core:graph_runs", runs as f64),
        (
            ":tensorflow:core:graph_run_time_usecs",
            (nanos as f64 / NANOS_PER_MICRO).round(),
        ),
    ] {
        page.begin(name, "counter");
        page.sample(name, &[], value);
    }
}

fn merged<'a>(all: impl Iterator<Item = &'a HistogramTotals>) -> HistogramTotals {
    all.fold(HistogramTotals::default(), |mut sum, each| {
        sum.counts
            .resize(each.counts.len().max(sum.counts.len()), 0);
        for (total, count) in sum.counts.iter_mut().zip(&each.counts) {
            *total += count;
        }
        sum.sum += each.sum;
        sum
    })
}

/// Prometheus text. Writing to a string can't fail.
#[derive(Default)]
struct Page(String);

type Labels<'a> = [(&'a str, &'a str)];

impl Page {
    fn begin(&mut self, name: &str, kind: &str) {
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: f64) {
        let _ = write!(self.0, "{name}{{");
        for (index, (label, value)) in labels.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(self.0, "{comma}{label}=\"{}\"", escaped(value));
        }
        let _ = writeln!(self.0, "}} {value}");
    }

    /// A histogram whose totals are nanoseconds, in microseconds.
    fn micros(&mut self, name: &str, labels: &Labels<'_>, bounds: &[f64], it: &HistogramTotals) {
        let sum = it.sum as f64 / NANOS_PER_MICRO;
        self.histogram(name, labels, bounds, (&it.counts, sum));
    }

    fn rows(&mut self, name: &str, labels: &Labels<'_>, totals: &HistogramTotals) {
        self.histogram(
            name,
            labels,
            &SIZE_BOUNDS,
            (&totals.counts, totals.sum as f64),
        );
    }

    /// One that counts nothing is left out: nobody made it there either.
    fn histogram(
        &mut self,
        name: &str,
        labels: &Labels<'_>,
        bounds: &[f64],
        (counts, sum): (&[u64], f64),
    ) {
        let count: u64 = counts.iter().sum();
        if count == 0 {
            return;
        }
        let bucket = format!("{name}_bucket");
        let bounds = bounds.iter().map(|bound| six_digits(*bound));
        let mut below = 0;
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(counts) {
            below += count;
            let mut labels = labels.to_vec();
            labels.push(("le", &bound));
            self.sample(&bucket, &labels, below as f64);
        }
        self.sample(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, count as f64);
    }
}

fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\");
    value.replace('"', "\\\"").replace('\n', "\\n")
}

/// As C's `%g` writes it, which made the bounds that dashboards name.
fn six_digits(value: f64) -> String {
    let scientific = format!("{value:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        if !text.contains('.') {
            return text.to_owned();
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if (-4..6).contains(&exponent) {
        return trimmed(&format!("{value:.*}", (5 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::{Page, six_digits};

    #[test]
    fn bounds_are_written_as_c_does() {
        for (value, text) in [
            (1.0, "1"),
            (10.0, "10"),
            (32.4, "32.4"),
            (188.956_8, "188.957"),
            (16384.0, "16384"),
            (123_456.7, "123457"),
            (999_999.9, "1e+06"),
            (1_234_567.0, "1.23457e+06"),
            (0.000_012_34, "1.234e-05"),
        ] {
            assert_eq!(six_digits(value), text);
        }
    }

    #[test]
    fn a_histogram_in_full() {
        let mut page = Page::default();
        page.begin(":a:b", "histogram");
        page.histogram(":a:b", &[("m", "x\"\\")], &[1.0, 2.5], (&[3, 0, 4], 7.5));
        page.histogram(":a:b", &[], &[1.0], (&[0, 0], 0.0));
        let lines = [
            "# TYPE :a:b histogram",
            r#":a:b_bucket{m="x\"\\",le="1"} 3"#,
            r#":a:b_bucket{m="x\"\\",le="2.5"} 3"#,
            r#":a:b_bucket{m="x\"\\",le="+Inf"} 7"#,
            r#":a:b_sum{m="x\"\\"} 7.5"#,
            r#":a:b_count{m="x\"\\"} 7"#,
            "",
        ];
        assert_eq!(page.0, lines.join("\n"));
    }
}
