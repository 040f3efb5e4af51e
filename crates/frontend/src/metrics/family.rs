//! One metric with its samples, in the form that the encoder takes.

use engine::metrics::HistogramTotals;
use engine::metrics::catalog::Metric;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType,
};

/// A metric that is being gathered.
pub(super) struct Family(MetricFamily);

/// Names and values, in the order they are written.
pub(super) type Labels<'a> = [(&'a str, &'a str)];

impl Family {
    /// A metric that only grows.
    pub(super) fn counters(metric: Metric) -> Self {
        Self::new(metric, MetricType::COUNTER)
    }

    /// A metric that goes up and down.
    pub(super) fn gauges(metric: Metric) -> Self {
        Self::new(metric, MetricType::GAUGE)
    }

    /// A metric of buckets.
    pub(super) fn histograms(metric: Metric) -> Self {
        Self::new(metric, MetricType::HISTOGRAM)
    }

    fn new(metric: Metric, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(metric.name.into());
        family.set_help(metric.help.into());
        family.set_field_type(kind);
        Self(family)
    }

    /// Adds a value.
    pub(super) fn add(&mut self, labels: &Labels<'_>, value: f64) {
        let mut sample = sample(labels);
        if self.0.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        self.0.mut_metric().push(sample);
    }

    /// The same with one value.
    pub(super) fn with(mut self, labels: &Labels<'_>, value: f64) -> Self {
        self.add(labels, value);
        self
    }

    /// Adds a histogram of these bounds, whose sum is `sum`; none that counts nothing: a
    /// signature that nobody calls must not cost every collector a hundred series.
    pub(super) fn add_histogram(
        &mut self,
        labels: &Labels<'_>,
        bounds: impl Iterator<Item = f64>,
        totals: &HistogramTotals,
        sum: f64,
    ) {
        let count = totals.count();
        if count == 0 {
            return;
        }
        let mut below = 0;
        let buckets = bounds.zip(&totals.counts).map(|(bound, count)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(count);
        histogram.set_sample_sum(sum);
        let mut sample = sample(labels);
        sample.set_histogram(histogram);
        self.0.mut_metric().push(sample);
    }

    /// The family, if it has a sample: the encoder takes none without.
    pub(super) fn finish(self) -> Option<MetricFamily> {
        (!self.0.get_metric().is_empty()).then_some(self.0)
    }
}

fn sample(labels: &Labels<'_>) -> Sample {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).into());
        pair.set_value((*value).into());
        pair
    };
    Sample::from_label(labels.iter().map(pair).collect())
}
