//! What must hold of every history, each rule a function of its own, all in `O(n log n)`.
//!
//! | rule | what it demands |
//! | --- | --- |
//! | C1 [`exclusion`] | no two leases on one resource are valid at one instant, each by its holder's own deadline |
//! | C2 [`fences`] | fences are distinct, and greater for a lease that was asked for after another was granted |
//! | C3 [`fences`] | the register never takes a write with a fence below one it has taken, nor two holders' writes with one fence |
//! | C4 [`losses`] | a holder is told of a loss by its deadline, and never again told that the lease is valid |
//! | C5 [`liveness`] | whoever waits while nothing is broken is served; where turns are a matter of luck, somebody is |
//! | C6 [`liveness`] | nothing stays locked when everybody has gone |

pub mod availability;
pub mod exclusion;
pub mod fences;
pub mod leases;
pub mod liveness;
pub mod losses;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::client::Protocol;
use crate::history::Event;

/// A rule that was broken, and where to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which rule: `C1` to `C6`.
    pub rule: String,
    /// When it was first seen to be broken.
    pub at: u64,
    /// On which resource; empty if it concerns none.
    pub resource: String,
    /// What happened.
    pub what: String,
}

/// What a run may take for granted about itself.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How late a running process may notice a timer, on a busy machine.
    pub lateness: Duration,
    /// How long a waiter may take to be served once all is calm: the gate, the leases of the dead, and its turn.
    pub service: Duration,
    /// Whether waiters are served in turn. Where they are not, somebody must be, and who is a matter of luck.
    pub in_turn: bool,
}

impl Bounds {
    /// What is promised to those who follow a protocol.
    #[must_use]
    pub fn of(protocol: Protocol) -> Self {
        Self {
            lateness: Duration::from_millis(400),
            service: Duration::from_secs(10),
            in_turn: protocol != Protocol::Quorum,
        }
    }
}

/// Checks a history, which must be in the order of time, against every rule.
#[must_use]
pub fn check(history: &[Event], bounds: Bounds) -> Vec<Violation> {
    let leases = leases::collect(history);
    let mut violations = exclusion::check(&leases);
    violations.extend(fences::check_order(&leases));
    violations.extend(fences::check_register(history));
    violations.extend(losses::check(history, &leases, bounds.lateness));
    violations.extend(liveness::check_waiters(history, bounds));
    violations.extend(liveness::check_leftovers(history));
    violations.sort_by_key(|violation| violation.at);
    violations
}

/// Milliseconds between two times, for messages.
pub(crate) fn milliseconds(from: u64, to: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for people to read")]
    let span = to.abs_diff(from) as f64;
    span / 1e6
}
