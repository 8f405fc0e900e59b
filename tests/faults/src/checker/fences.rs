//! C2 and C3: fences go up, and what checks them is never written by a holder from before.

use std::collections::HashMap;

use super::{
    Violation,
    leases::{Lease, by_resource},
};
use crate::history::{Event, Kind};

/// C2: of two leases on one resource, the one asked for after the other was granted has the greater fence; and no
/// fence comes twice.
#[must_use]
pub fn check_order(leases: &[Lease]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (resource, by_grant) in by_resource(leases) {
        let broken = |lease: &Lease, what: String| Violation {
            rule: "C2".into(),
            at: lease.granted,
            resource: resource.to_owned(),
            what,
        };
        let mut seen: HashMap<i64, &Lease> = HashMap::new();
        for lease in &by_grant {
            if let Some(other) = seen.insert(lease.fence, lease) {
                violations.push(broken(
                    lease,
                    format!("{} has the fence of {}", lease.name(), other.name()),
                ));
            }
        }
        let mut by_asking = by_grant.clone();
        by_asking.sort_by_key(|lease| lease.asked);
        let mut granted = by_grant.iter().peekable();
        let mut greatest: Option<&Lease> = None;
        for lease in by_asking {
            while let Some(earlier) = granted.next_if(|earlier| earlier.granted < lease.asked) {
                if greatest.is_none_or(|greatest| earlier.fence > greatest.fence) {
                    greatest = Some(earlier);
                }
            }
            if let Some(earlier) = greatest
                && lease.fence < earlier.fence
            {
                violations.push(broken(
                    lease,
                    format!(
                        "{} was asked for after {} was granted",
                        lease.name(),
                        earlier.name()
                    ),
                ));
            }
        }
    }
    violations
}

/// C3: what the register took.
#[must_use]
pub fn check_register(history: &[Event]) -> Vec<Violation> {
    /// The greatest fence taken so far, and from whom.
    struct Last<'a> {
        fence: i64,
        writer: (&'a str, u64),
    }
    let mut taken: HashMap<&str, Last<'_>> = HashMap::new();
    let mut violations = Vec::new();
    for event in history {
        let Kind::WriteAccepted { fence } = event.kind else {
            continue;
        };
        let writer = (event.process.as_str(), event.operation);
        let (process, operation) = writer;
        let what = match taken.get(event.resource.as_str()) {
            Some(last) if fence < last.fence => {
                format!(
                    "a write of {process}#{operation} with fence {fence} came after one with {}",
                    last.fence
                )
            }
            Some(last) if fence == last.fence && writer != last.writer => {
                let (other, its) = last.writer;
                format!("{process}#{operation} and {other}#{its} both wrote with fence {fence}")
            }
            _ => {
                taken.insert(&event.resource, Last { fence, writer });
                continue;
            }
        };
        violations.push(Violation {
            rule: "C3".into(),
            at: event.at,
            resource: event.resource.clone(),
            what,
        });
    }
    violations
}
