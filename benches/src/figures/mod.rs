//! The figures: one file, one question.

use std::time::Duration;

use crate::report::Figure;
use crate::rounds::Rounds;
use crate::{Error, Result};

mod deposing;
mod failover;
mod fairness;
mod gate;
mod hand_over;
mod hand_over_quorum;
mod idle;
mod latency;
mod memory;
mod quorum;
mod routine;
mod scale;
mod start_up;
mod strict;
mod takeover;
mod uncontended;

/// The first argument of a process that does one part of a figure.
pub const PART: &str = "--part";

/// The names of all figures, in the order in which they are measured.
pub const NAMES: [&str; 14] = [
    "uncontended",
    "latency",
    "strict",
    "hand-over",
    "idle",
    "fairness",
    "scale",
    "memory",
    "start-up",
    "failover",
    "gate",
    "takeover",
    "routine",
    "quorum",
];

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Seconds per contender and case.
    pub seconds: f64,
    /// In how many rounds.
    pub rounds: usize,
}

impl Effort {
    /// The rounds of a case.
    #[must_use]
    pub fn rounds(self) -> Rounds {
        Rounds::of(self.seconds, self.rounds)
    }

    /// The time of a figure that watches for a while instead of in rounds.
    #[must_use]
    pub fn while_of(self, factor: f64) -> Duration {
        Duration::from_secs_f64(self.seconds * factor)
    }
}

/// Measures one figure.
///
/// # Errors
///
/// When servers cannot be started or do not answer, and for a name that is not in [`NAMES`].
pub async fn measure(name: &str, effort: Effort) -> Result<Figure> {
    match name {
        "uncontended" => uncontended::measure(effort).await,
        "latency" => latency::measure(effort).await,
        "memory" => memory::measure(effort).await,
        "strict" => strict::measure(effort).await,
        "hand-over" => {
            let mut figure = hand_over::measure(effort).await?;
            hand_over_quorum::measure(&mut figure, effort).await?;
            Ok(figure)
        }
        "idle" => idle::measure(effort).await,
        "fairness" => fairness::measure(effort).await,
        "scale" => scale::measure(effort).await,
        "start-up" => start_up::measure(effort).await,
        "gate" => gate::measure(effort).await,
        "routine" => routine::measure(effort).await,
        "takeover" => takeover::measure(effort).await,
        "failover" => failover::measure(effort).await,
        "quorum" => quorum::measure(effort).await,
        other => Err(Error::from(format!(
            "there is no figure {other:?}; there are {}",
            NAMES.join(", ")
        ))),
    }
}

/// Does one part of a figure in a process of its own.
///
/// # Errors
///
/// As [`measure`].
pub async fn part(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["contend", store, address, seconds] => {
            fairness::contend(store, address, seconds.parse()?).await
        }
        ["hold", port, seconds] => scale::hold(port.parse()?, seconds.parse()?).await,
        ["wait", port, seconds] => scale::wait(port.parse()?, seconds.parse()?).await,
        other => Err(Error::from(format!("there is no part {other:?}"))),
    }
}
