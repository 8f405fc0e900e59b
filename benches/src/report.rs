//! What the figures report.

use serde::Serialize;

use crate::machine::Machine;
use crate::spread::Spread;

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// How it was started.
    pub command: String,
    /// The figures in the order in which they were measured.
    pub figures: Vec<Figure>,
}

/// One question and its answers.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// The name to ask for it.
    pub name: &'static str,
    /// What it answers.
    pub question: &'static str,
    /// The answers.
    pub rows: Vec<Row>,
}

/// One measured value.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Under which circumstances, `64 tasks` for one.
    pub case: String,
    /// What was measured.
    pub measure: String,
    /// Its unit; a ratio has none.
    pub unit: &'static str,
    /// Over all rounds.
    pub value: Spread,
    /// What the project wants the median to be.
    pub target: Option<Target>,
    /// Whether it is.
    pub holds: Option<bool>,
}

/// A bound on a median.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Not less than this.
    AtLeast(f64),
    /// Not more than this.
    AtMost(f64),
}

impl Target {
    /// Whether `value` keeps the bound.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    /// The bound.
    #[must_use]
    pub fn bound(self) -> f64 {
        match self {
            Self::AtLeast(bound) | Self::AtMost(bound) => bound,
        }
    }
}

impl Figure {
    /// A figure without rows.
    #[must_use]
    pub fn new(name: &'static str, question: &'static str) -> Self {
        Self {
            name,
            question,
            rows: Vec::new(),
        }
    }

    /// Adds a value for orientation.
    pub fn add(&mut self, case: &str, measure: &str, unit: &'static str, value: Spread) {
        self.push(case, measure, unit, value, None);
    }

    /// Adds a value that has a target.
    pub fn aim(
        &mut self,
        case: &str,
        measure: &str,
        unit: &'static str,
        value: Spread,
        target: Target,
    ) {
        self.push(case, measure, unit, value, Some(target));
    }

    fn push(
        &mut self,
        case: &str,
        measure: &str,
        unit: &'static str,
        value: Spread,
        target: Option<Target>,
    ) {
        self.rows.push(Row {
            case: case.to_owned(),
            measure: measure.to_owned(),
            unit,
            value,
            target,
            holds: target.map(|target| target.holds(value.median)),
        });
    }
}
