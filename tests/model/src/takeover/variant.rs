//! What a configuration is, and the bounds that several of them share.

use super::rules::Rules;
use super::{Bounds, ONE_LEASE, Takeover};
use crate::Expected;

/// A configuration and what it must show.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is particular about it.
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
    pub fn model(&self) -> Takeover {
        Takeover {
            rules: self.rules,
            bounds: self.bounds,
        }
    }
}

/// One failover.
pub(super) const ONE: Bounds = Bounds {
    clients: 2,
    lease: 2,
    delay: 0,
    failovers: 1,
    restarts: 0,
    saves: 0,
    flushes: 0,
    backlog_expiries: 0,
    grants: 0,
    skew: 0,
    measured: false,
    revocations: false,
    pings: false,
    new_deployment: false,
    check_recovery: false,
};

/// Two failovers.
pub(super) const TWO: Bounds = Bounds {
    failovers: 2,
    ..ONE
};

/// Two failovers, and leases of one tick, where a counterexample needs no time to pass.
pub(super) const BRIEF: Bounds = Bounds { lease: 1, ..TWO };

/// One failover, with leases that are handed over and released by force.
pub(super) const REVOKED: Bounds = Bounds {
    grants: 2,
    revocations: true,
    ..ONE
};

pub(super) const fn sound(name: &'static str, about: &'static str, bounds: Bounds) -> Variant {
    Variant {
        name,
        about,
        rules: Rules::PROTOCOL,
        bounds,
        expected: Expected::Holds,
    }
}

pub(super) const fn broken(
    name: &'static str,
    about: &'static str,
    bounds: Bounds,
    rules: Rules,
) -> Variant {
    Variant {
        rules,
        expected: Expected::Breaks(ONE_LEASE),
        ..sound(name, about, bounds)
    }
}
