//! The gate's record in Redis: the longest lease that the clients agreed on, and whether grants are given.

use std::time::Duration;

use leasehold::config::Safety;

use super::Subject;
use super::report::{Check, Report};
use crate::duration::shown;
use crate::gate::{Gate, State};

const LONGEST: Check = ("LH0222", "LOCK_MAX_TTL as on record");
const GATE: Check = ("LH0223", "gate open");

/// Returns the gate, where there is one and this user may read it.
pub(super) async fn examine(subject: &Subject<'_>, report: &mut Report) -> Option<Gate> {
    if subject.config.lock.safety != Safety::Strict {
        return None;
    }
    let Ok(gate) = Gate::read(subject.probe, subject.config).await else {
        for check in [LONGEST, GATE] {
            report.skip(check, "this user may not read the gate's record");
        }
        return None;
    };
    match &gate.record {
        Some(record) => examine_longest(subject, record.longest, report),
        None => report.pass(LONGEST, gate.described()),
    }
    examine_gate(&gate, report);
    Some(gate)
}

fn examine_longest(subject: &Subject<'_>, longest: Duration, report: &mut Report) {
    let lock = &subject.config.lock;
    let told = format!(
        "LOCK_MAX_TTL is {} here and {} in the gate's record",
        shown(lock.max_ttl),
        shown(longest)
    );
    if lock.max_ttl != longest {
        let fix = "LOCK_MAX_TTL differs between the clients of this Redis, or was changed: give all of them the same. \
                   The record keeps the greatest, and so long grants may pause after a failover";
        report.warn(LONGEST, told, fix);
    } else {
        report.pass(LONGEST, shown(longest));
    }
}

fn examine_gate(gate: &Gate, report: &mut Report) {
    match gate.state {
        State::NoRecord | State::Open | State::Unclaimed => report.pass(GATE, gate.described()),
        State::Pending => {
            let fix = "bring the replicas back; it goes on by itself";
            report.warn(GATE, gate.described(), fix);
        }
        State::Closed { .. } => {
            let fix = "wait: leases from before the failover or restart may still run";
            report.warn(GATE, gate.described(), fix);
        }
    }
}
