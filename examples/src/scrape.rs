//! The SDK's metrics at an address that Prometheus scrapes.

use std::net::SocketAddr;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

/// From a round trip on a good network to a wait behind a long job.
const SECONDS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 120.0, 600.0,
];
/// What is left of a lease when it is renewed: a third is where the alert is.
const RATIO: [f64; 7] = [0.1, 0.2, 0.33, 0.5, 0.6, 0.66, 1.0];

/// Serves the metrics of this process over HTTP, in histograms with buckets, as the alerts and the
/// dashboard in `docs/observability` expect them. To be called within a runtime, before the first
/// locker is made.
///
/// # Errors
///
/// When nothing can be served there, or the process has another recorder.
pub fn serve(address: SocketAddr) -> Result<(), BuildError> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_ratio".to_owned()), &RATIO)?
        .install()
}
