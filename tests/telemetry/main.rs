//! What the SDK tells about itself: spans, events and metrics, as `docs/observability.md` has them.

mod metrics;
mod recorder;
mod spans;

use std::collections::BTreeSet;

/// Each metric is named once in the sources, once in the table of the page, and nowhere else.
#[test]
fn every_metric_is_documented() {
    let source = include_str!("../../crates/lock/src/telemetry/measures.rs");
    let page = include_str!("../../docs/observability.md");
    let quoted = source.split('"').skip(1).step_by(2);
    let named: BTreeSet<&str> = quoted
        .filter(|word| word.starts_with("leasehold_"))
        .collect();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `leasehold_"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| row.split_once('`'))
        .map(|(name, _)| format!("leasehold_{name}"))
        .collect();
    assert!(named.len() > 12, "{named:?}");
    let documented: BTreeSet<&str> = documented.iter().map(String::as_str).collect();
    assert_eq!(named, documented);
}

/// The alert rules and the dashboard ask for metrics that exist.
#[test]
fn rules_and_dashboard_use_metrics_that_exist() {
    let source = include_str!("../../crates/lock/src/telemetry/measures.rs");
    for text in [
        include_str!("../../docs/observability/alerts.yml"),
        include_str!("../../docs/observability/dashboard.json"),
    ] {
        let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        let mut count = 0;
        for word in words.filter(|word| word.starts_with("leasehold_")) {
            let series = ["_bucket", "_count", "_sum"];
            let name = series.iter().find_map(|end| word.strip_suffix(end));
            let name = format!("\"{}\"", name.unwrap_or(word));
            assert!(source.contains(&name), "no metric is named {name}");
            count += 1;
        }
        assert!(count > 5);
    }
}
