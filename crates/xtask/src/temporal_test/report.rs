//! What the starter saw, read from its report, and what follows from it. Nothing here trusts the
//! lock: the store's own record is the witness.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use serde_json::Value;

use super::checks::Check;

/// What the starter saw.
#[derive(Debug, Default, Clone)]
pub(crate) struct Report {
    pub(crate) limit: u64,
    pub(crate) holdings: Vec<Holding>,
    /// The writes that the store accepted, in order.
    pub(crate) rows: Vec<Row>,
    pub(crate) refused: u64,
    pub(crate) workflows: Vec<Workflow>,
    /// The workflow that was cancelled, and what its activity said then.
    pub(crate) cancelled: Option<(String, String)>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Holding {
    pub(crate) slot: Slot,
    pub(crate) fence: i64,
    pub(crate) workflow: String,
    pub(crate) worker: String,
    /// How many held the warehouse when it began, itself among them.
    pub(crate) holders: u64,
    /// Whether the holder said that it is done; else its connection broke.
    pub(crate) is_done: bool,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Row {
    pub(crate) slot: Slot,
    pub(crate) fence: i64,
    pub(crate) workflow: String,
}

/// A warehouse, and one of its slots.
pub(crate) type Slot = (u64, u64);

#[derive(Debug, Default, Clone)]
pub(crate) struct Workflow {
    pub(crate) id: String,
    pub(crate) outcome: String,
    pub(crate) problem: String,
    pub(crate) asked: u64,
    pub(crate) rows: Option<u64>,
}

impl Report {
    pub(crate) fn read(directory: &Path) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(directory.join("report.json"))?;
        Ok(Self::parse(&serde_json::from_str(&text)?))
    }

    fn parse(report: &Value) -> Self {
        let record = &report["record"];
        let cancelled = &report["cancelled"];
        Self {
            limit: number(&report["limit"]),
            holdings: list(&record["holdings"], |holding| Holding {
                slot: (number(&holding["warehouse"]), number(&holding["slot"])),
                fence: fence(holding),
                workflow: text(&holding["workflow"]),
                worker: text(&holding["worker"]),
                holders: number(&holding["holders"]),
                is_done: holding["is_done"] == true,
            }),
            rows: list(&record["rows"], |row| Row {
                slot: (number(&row["warehouse"]), number(&row["slot"])),
                fence: fence(row),
                workflow: text(&row["workflow"]),
            }),
            refused: number(&record["refused"]),
            workflows: list(&report["workflows"], |workflow| Workflow {
                id: text(&workflow["workflow"]),
                outcome: text(&workflow["outcome"]),
                problem: text(&workflow["problem"]),
                asked: number(&workflow["rows_asked"]),
                rows: workflow["rows"].as_u64(),
            }),
            cancelled: cancelled["workflow"]
                .as_str()
                .map(|id| (id.to_owned(), text(&cancelled["message"]))),
        }
    }

    /// At no time more holders than the limit.
    pub(crate) fn exclusion(&self) -> Check {
        let most = self.holdings.iter().map(|holding| holding.holders).max();
        let most = most.unwrap_or(0);
        Check::new(
            most <= self.limit && most > 0,
            format!(
                "never more than {} holders of a warehouse: {} holdings, at most {most} at a time",
                self.limit,
                self.holdings.len()
            ),
        )
    }

    /// Each holding of a slot has a greater fence than the one before, and each write the fence of
    /// the last one to come.
    pub(crate) fn fences(&self) -> Check {
        let mut bad = Vec::new();
        let mut last: HashMap<Slot, i64> = HashMap::new();
        for holding in &self.holdings {
            let last = last.entry(holding.slot).or_default();
            if holding.fence < *last {
                bad.push(format!(
                    "holding of {:?} with {}",
                    holding.slot, holding.fence
                ));
            }
            *last = holding.fence;
        }
        let mut highest: HashMap<Slot, i64> = HashMap::new();
        for row in &self.rows {
            let highest = highest.entry(row.slot).or_default();
            if row.fence <= 0 || row.fence < *highest {
                bad.push(format!("row of {} with {}", row.workflow, row.fence));
            }
            *highest = row.fence.max(*highest);
        }
        let what = format!(
            "every write fenced: {} rows accepted, {} refused",
            self.rows.len(),
            self.refused
        );
        Check::none(&bad, what)
    }

    /// All completed with all their rows, but the one that was cancelled.
    pub(crate) fn outcomes(&self, at_least: usize) -> Check {
        let mut bad = Vec::new();
        let ended = self.workflows.len();
        if ended < at_least {
            bad.push(format!("only {ended} of {at_least} ended"));
        }
        let cancelled = self.cancelled.as_ref().map(|(id, _)| id.as_str());
        for workflow in &self.workflows {
            let written = self.rows.iter().filter(|row| row.workflow == workflow.id);
            let written = written.count() as u64;
            let is_right = if cancelled == Some(workflow.id.as_str()) {
                workflow.outcome == "cancelled" && written == 0
            } else {
                workflow.outcome == "completed"
                    && workflow.rows == Some(workflow.asked)
                    && written >= workflow.asked
            };
            if !is_right {
                bad.push(format!(
                    "{} {} with {written} rows {}",
                    workflow.id, workflow.outcome, workflow.problem
                ));
            }
        }
        let what = format!("{ended} workflows completed, or were cancelled as asked");
        Check::none(&bad, what)
    }

    /// The cancelled one waited to its end, and said what for.
    pub(crate) fn cancellation(&self) -> Check {
        let Some((id, message)) = &self.cancelled else {
            return Check::new(false, "no workflow was cancelled");
        };
        let mut holdings = self.holdings.iter();
        let has_held = holdings.any(|holding| holding.workflow == *id);
        let is_plain = message.contains(", held by ") && message.ends_with(" before us");
        Check::new(
            is_plain && !has_held,
            format!("{id} was cancelled while it waited, and said: {message}"),
        )
    }

    /// A worker died inside an activity.
    pub(crate) fn cut_off(&self, worker: &str) -> Check {
        let cut = self.holdings.iter();
        let cut = cut.filter(|holding| holding.worker == worker && !holding.is_done);
        let cut = cut.count();
        Check::new(
            cut > 0,
            format!("{worker} was killed inside {cut} activities, whose locks came free"),
        )
    }
}

fn list<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().into_iter().flatten().map(read).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn fence(value: &Value) -> i64 {
    value["fence"].as_i64().unwrap_or(0)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
