//! What a configuration is, and the bounds that several of them share.

use super::rules::Rules;
use super::{Bounds, Strict};
use crate::Expected;

/// A configuration and what it must show.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is different from strict mode.
    pub about: &'static str,
    /// The rules in force.
    pub rules: Rules,
    /// How far to explore.
    pub bounds: Bounds,
    /// What it must show.
    pub expected: Expected,
}

impl Variant {
    /// The model of this variant.
    #[must_use]
    pub fn model(&self) -> Strict {
        Strict {
            rules: self.rules,
            bounds: self.bounds,
        }
    }
}

/// Faults of every kind, as many as there may be.
pub(super) const SMALL: Bounds = Bounds {
    clients: 2,
    lease: 2,
    delay: 0,
    failovers: None,
    restarts: None,
    flushes: None,
    backlog_expiries: None,
    fences: false,
    skew: 0,
    floors: true,
    force_releases: false,
    check_recovery: false,
};

/// Failovers alone, two of them.
pub(super) const FAILOVERS: Bounds = Bounds {
    failovers: Some(2),
    restarts: Some(0),
    flushes: Some(0),
    backlog_expiries: Some(0),
    ..SMALL
};

/// Fences make many more states, so faults are counted.
pub(super) const FENCES: Bounds = Bounds {
    failovers: Some(1),
    fences: true,
    ..FAILOVERS
};

pub(super) const fn sound(name: &'static str, about: &'static str, bounds: Bounds) -> Variant {
    Variant {
        name,
        about,
        rules: Rules::STRICT,
        bounds,
        expected: Expected::Holds,
    }
}
