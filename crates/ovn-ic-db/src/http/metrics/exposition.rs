//! Samples, gathered to Prometheus's text.

use std::collections::BTreeMap;

use ovsdb_counters::{BOUNDS, Histogram};
use prometheus::proto::{self, MetricFamily, MetricType};
use prometheus::{Result, TextEncoder};

use super::catalogue::{Kind, Metric};

/// Samples by the names of their metrics.
#[derive(Debug, Default)]
pub struct Exposition(BTreeMap<&'static str, MetricFamily>);

impl Exposition {
    /// Adds a sample of a counter or a gauge, with the values of its labels.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        let mut sample = proto::Metric::from_label(pairs(metric, labels));
        if metric.kind == Kind::Counter {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        self.push(metric, sample);
    }

    /// Adds a number.
    pub fn number(&mut self, metric: &Metric, labels: &[&str], value: u64) {
        self.add(metric, labels, float(value));
    }

    /// Adds yes or no.
    pub fn yes(&mut self, metric: &Metric, labels: &[&str], value: bool) {
        self.number(metric, labels, u64::from(value));
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, metric: &Metric, labels: &[&str], histogram: &Histogram) {
        let observed = histogram.observed();
        let buckets = BOUNDS.iter().zip(observed.up_to).map(|(bound, count)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound.as_secs_f64());
            bucket.set_cumulative_count(count);
            bucket
        });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(observed.count);
        histogram.set_sample_sum(observed.sum.as_secs_f64());
        let mut sample = proto::Metric::from_label(pairs(metric, labels));
        sample.set_histogram(histogram);
        self.push(metric, sample);
    }

    fn push(&mut self, metric: &Metric, sample: proto::Metric) {
        let family = self.0.entry(metric.name).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                Kind::Counter => MetricType::COUNTER,
                Kind::Gauge => MetricType::GAUGE,
                Kind::Histogram => MetricType::HISTOGRAM,
            });
            family
        });
        family.mut_metric().push(sample);
    }

    /// The text, metrics in alphabetical order.
    ///
    /// # Errors
    /// If a metric makes no sense.
    pub fn text(self) -> Result<String> {
        let families: Vec<MetricFamily> = self.0.into_values().collect();
        TextEncoder::new().encode_to_string(&families)
    }
}

fn pairs(metric: &Metric, labels: &[&str]) -> Vec<proto::LabelPair> {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
    let pairs = metric.labels.iter().zip(labels).map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    pairs.collect()
}

/// Prometheus's numbers are floating, and exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::metrics::catalogue::{ERRORS, FSYNC_DURATION, SESSIONS};
    use std::time::Duration;

    #[test]
    fn samples_of_one_metric_stand_together() {
        let mut exposition = Exposition::default();
        exposition.number(&SESSIONS, &["N"], 3);
        exposition.number(&ERRORS, &["N", "timed out"], 1);
        exposition.number(&SESSIONS, &["S\"\\"], 1 << 40);
        let text = exposition.text().expect("text");
        let expected = "\
# HELP ovn_ic_db_errors_total Errors that clients were answered, failed transactions included.
# TYPE ovn_ic_db_errors_total counter
ovn_ic_db_errors_total{database=\"N\",error=\"timed out\"} 1
# HELP ovn_ic_db_sessions Clients that are connected.
# TYPE ovn_ic_db_sessions gauge
ovn_ic_db_sessions{database=\"N\"} 3
ovn_ic_db_sessions{database=\"S\\\"\\\\\"} 1099511627776
";
        assert_eq!(text, expected);
    }

    #[test]
    fn histograms_are_in_seconds() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_micros(30));
        histogram.observe(Duration::from_secs(90));
        let mut exposition = Exposition::default();
        exposition.histogram(&FSYNC_DURATION, &["N"], &histogram);
        let text = exposition.text().expect("text");
        for line in [
            "ovn_ic_db_fsync_duration_seconds_bucket{database=\"N\",le=\"0.000025\"} 0",
            "ovn_ic_db_fsync_duration_seconds_bucket{database=\"N\",le=\"0.00005\"} 1",
            "ovn_ic_db_fsync_duration_seconds_bucket{database=\"N\",le=\"60\"} 1",
            "ovn_ic_db_fsync_duration_seconds_bucket{database=\"N\",le=\"+Inf\"} 2",
            "ovn_ic_db_fsync_duration_seconds_sum{database=\"N\"} 90.00003",
            "ovn_ic_db_fsync_duration_seconds_count{database=\"N\"} 2",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
