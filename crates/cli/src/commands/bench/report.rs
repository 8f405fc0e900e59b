//! What was measured, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::locks::Locks;
use super::samples::Samples;
use crate::duration::shown;
use crate::output::{Output, table};

pub(super) struct BenchReport {
    pub(super) topology: &'static str,
    pub(super) safety: &'static str,
    pub(super) tasks: usize,
    pub(super) ping: Option<Samples>,
    pub(super) locks: Locks,
}

impl BenchReport {
    pub(super) fn print(&self, output: Output) {
        if output.json {
            output.document(&self.document());
        } else {
            self.draw(output);
        }
        if let Some(error) = &self.locks.last_failure {
            let failures = self.locks.failures;
            output.note(&format!("{failures} attempts failed, the last: {error:?}"));
        }
    }

    fn document(&self) -> Value {
        json!({
            "topology": self.topology,
            "safety": self.safety,
            "tasks": self.tasks,
            "seconds": self.locks.pair.length().as_secs_f64(),
            "ping": self.ping.as_ref().map(described),
            "acquire": described(&self.locks.acquire),
            "release": described(&self.locks.release),
            "acquire_and_release": described(&self.locks.pair),
            "failures": self.locks.failures,
        })
    }

    fn draw(&self, output: Output) {
        let tasks = match self.tasks {
            1 => "1 task".to_owned(),
            tasks => format!("{tasks} tasks"),
        };
        output.line(&format!(
            "{}, {}, {tasks} over one connection, {}",
            self.topology,
            self.safety,
            shown(self.locks.pair.length()),
        ));
        let mut rows = Vec::new();
        if let Some(ping) = &self.ping {
            rows.push(row("PING", ping));
        }
        rows.push(row("acquire", &self.locks.acquire));
        rows.push(row("release", &self.locks.release));
        rows.push(row("acquire + release", &self.locks.pair));
        output.line(&table(
            &["WHAT", "PER SECOND", "P50", "P99", "MAX", "COUNT"],
            &rows,
        ));
    }
}

fn described(samples: &Samples) -> Value {
    let quantile = |part| samples.quantile(part).as_micros() as u64;
    json!({
        "count": samples.count(),
        "per_second": samples.per_second().round(),
        "p50_us": quantile(0.5),
        "p99_us": quantile(0.99),
        "max_us": quantile(1.0),
    })
}

fn row(what: &str, samples: &Samples) -> Vec<String> {
    let quantile = |part| fine(samples.quantile(part));
    vec![
        what.to_owned(),
        format!("{:.0}", samples.per_second()),
        quantile(0.5),
        quantile(0.99),
        quantile(1.0),
        samples.count().to_string(),
    ]
}

/// Short durations to the microsecond.
fn fine(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..1_000 => format!("{micros}µs"),
        1_000..1_000_000 => format!("{:.2}ms", duration.as_secs_f64() * 1_000.0),
        _ => shown(duration),
    }
}
