//! The table of a matrix, and the same as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::differences::reason;
use super::suites::{Cell, Suite, Verdict};

/// One server and what came of it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) server: &'static str,
    pub(super) settings: &'static str,
    /// Its version and cells, or why it was not run.
    pub(super) result: Result<(String, Vec<Cell>), String>,
}

impl Row {
    /// Whether every failure has a known reason. A server that could not be had is not a failure of the SDK.
    pub(super) fn is_good(&self) -> bool {
        let cells = self.result.iter().flat_map(|(_, cells)| cells);
        cells
            .flat_map(|cell| unexplained(self.server, &cell.verdict))
            .next()
            .is_none()
    }
}

fn unexplained<'a>(server: &'a str, verdict: &'a Verdict) -> impl Iterator<Item = &'a String> {
    let names = match verdict {
        Verdict::Passed(_) => [].as_slice(),
        Verdict::Failed(names) => names,
    };
    names
        .iter()
        .filter(move |name| reason(server, name).is_none())
}

/// The table in Markdown, with the reasons below.
pub(super) fn text(rows: &[Row], suites: &[Suite]) -> String {
    let mut table = String::from("| server | settings |");
    for suite in suites {
        let _ = write!(table, " {} |", suite.name());
    }
    table += "\n| --- | --- |";
    table += &" --- |".repeat(suites.len());
    table.push('\n');
    let mut notes = String::new();
    for row in rows {
        match &row.result {
            Ok((version, cells)) => {
                let _ = write!(table, "| {version} | {} |", code(row.settings));
                for cell in cells {
                    let _ = write!(table, " {} |", in_short(row.server, cell));
                    notes += &details(row.server, cell);
                }
            }
            Err(why) => {
                let _ = write!(table, "| {} | {} |", row.server, code(row.settings));
                table += &" not run |".repeat(suites.len());
                let _ = writeln!(notes, "- {}: not run: {why}", row.server);
            }
        }
        table.push('\n');
    }
    if notes.is_empty() {
        return table;
    }
    format!("{table}\n{notes}")
}

fn code(settings: &str) -> String {
    if settings.is_empty() {
        "as delivered".to_owned()
    } else {
        format!("`{settings}`")
    }
}

fn in_short(server: &str, cell: &Cell) -> String {
    match &cell.verdict {
        Verdict::Passed(count) => format!("passed, {count}"),
        Verdict::Failed(names) => {
            let unexplained = unexplained(server, &cell.verdict).count();
            let verdict = if unexplained == 0 {
                "differs"
            } else {
                "FAILED"
            };
            format!("{verdict}: {} of its tests", names.len())
        }
    }
}

fn details(server: &str, cell: &Cell) -> String {
    let Verdict::Failed(names) = &cell.verdict else {
        return String::new();
    };
    let suite = cell.suite.name();
    let lines = names.iter().map(|name| {
        let why = reason(server, name).unwrap_or("no known reason; see the log");
        format!("- {server}, {suite}: `{name}`: {why}\n")
    });
    lines.collect()
}

/// Everything as JSON.
pub(super) fn json(rows: &[Row]) -> Value {
    let rows = rows.iter().map(|row| match &row.result {
        Ok((version, cells)) => json!({
            "server": row.server,
            "settings": row.settings,
            "version": version,
            "passed": row.is_good(),
            "suites": cells.iter().map(|cell| json_of(row.server, cell)).collect::<Vec<_>>(),
        }),
        Err(why) => json!({ "server": row.server, "settings": row.settings, "not_run": why }),
    });
    json!({ "passed": rows_pass(rows.clone()), "servers": rows.collect::<Vec<_>>() })
}

fn rows_pass(mut rows: impl Iterator<Item = Value>) -> bool {
    rows.all(|row| row["passed"] != false)
}

fn json_of(server: &str, cell: &Cell) -> Value {
    let failed: Vec<Value> = match &cell.verdict {
        Verdict::Passed(_) => Vec::new(),
        Verdict::Failed(names) => names
            .iter()
            .map(|name| json!({ "name": name, "reason": reason(server, name) }))
            .collect(),
    };
    json!({
        "suite": cell.suite.name(),
        "seconds": cell.took.as_secs_f64(),
        "passed": failed.is_empty(),
        "failed": failed,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(verdict: Verdict) -> Row {
        let cell = Cell {
            suite: Suite::Lease,
            verdict,
            took: Duration::from_secs(3),
        };
        Row {
            server: "redis-1",
            settings: "a yes",
            result: Ok(("Redis 1.2.3".to_owned(), vec![cell])),
        }
    }

    #[test]
    fn a_failure_without_a_reason_fails_the_matrix() {
        let good = row(Verdict::Passed("7 tests".to_owned()));
        assert!(good.is_good());
        let bad = row(Verdict::Failed(vec!["some_test".to_owned()]));
        assert!(!bad.is_good());
        let table = text(&[good, bad], &[Suite::Lease]);
        assert!(
            table.contains("| Redis 1.2.3 | `a yes` | passed, 7 tests |"),
            "{table}"
        );
        assert!(table.contains("| FAILED: 1 of its tests |"), "{table}");
        assert!(
            table.contains("- redis-1, lease: `some_test`: no known reason"),
            "{table}"
        );
    }

    #[test]
    fn a_server_that_cannot_be_had_is_named_with_the_cause() {
        let row = Row {
            result: Err("pip failed".to_owned()),
            ..row(Verdict::Failed(Vec::new()))
        };
        let rows = [row];
        assert!(text(&rows, &[Suite::Lease]).contains("- redis-1: not run: pip failed"));
        let json = json(&rows);
        assert_eq!(json["servers"][0]["not_run"], "pip failed");
        assert_eq!(json["passed"], true);
    }
}
