//! What a task does, whichever protocol it follows: the decisions, and the lease as they see it.

use std::time::Duration;

use super::Shared;
use crate::random::Random;

/// How one lease is asked for, held and given back.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) resource: String,
    /// How long to wait for it; zero for one attempt.
    pub(super) patience: Duration,
    pub(super) ttl: Duration,
    pub(super) renewed: bool,
    pub(super) hold: Duration,
    pub(super) parting: Parting,
    /// Give up asking after this.
    pub(super) cancel_after: Option<Duration>,
}

/// How a lease ends for its holder, unless it is lost before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    Release,
    Drop,
    /// Another task takes the lease over; and a third tries with the same ticket.
    HandOver,
}

impl Plan {
    /// Draws what to do next.
    pub(super) fn draw(shared: &Shared, random: &mut Random) -> Self {
        let usual = shared.ttl();
        let ttl = if random.percent(30) { usual / 3 } else { usual };
        let hold = match random.between(0, 100) {
            // Long enough to be renewed several times.
            0..4 => ttl.mul_f64(1.5) + random.milliseconds(0, 1_000),
            4..20 => random.milliseconds(50, 300),
            _ => random.milliseconds(1, 40),
        };
        let patience = if random.percent(25) {
            Duration::ZERO
        } else {
            random.milliseconds(500, 15_000)
        };
        Self {
            resource: random.choose(&shared.assignment.resources).clone(),
            patience,
            ttl,
            renewed: random.percent(85),
            hold,
            parting: match random.between(0, 100) {
                0..65 => Parting::Release,
                65..85 => Parting::Drop,
                _ => Parting::HandOver,
            },
            cancel_after: random.percent(10).then(|| random.milliseconds(1, 400)),
        }
    }

    /// The last thing that a task does: every resource can be had.
    pub(super) fn last(shared: &Shared, resource: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            patience: Duration::from_secs(25),
            ttl: shared.ttl(),
            renewed: true,
            hold: Duration::from_millis(1),
            parting: Parting::Release,
            cancel_after: None,
        }
    }

    /// How long to hold before looking at the lease again, and writing under it.
    pub(super) fn step(random: &mut Random) -> Duration {
        random.milliseconds(2, 30)
    }
}
