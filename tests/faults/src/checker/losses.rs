//! C4: a holder is told in time, and what was lost stays lost.

use std::{collections::HashMap, time::Duration};

use super::{Violation, leases::Lease, milliseconds};
use crate::history::{Event, Kind, nanoseconds};

/// When each process could do nothing: it was frozen, or the machine was too busy for it.
struct Freezes<'a> {
    by_process: HashMap<&'a str, Vec<(u64, u64)>>,
}

impl<'a> Freezes<'a> {
    fn collect(history: &'a [Event]) -> Self {
        let mut by_process: HashMap<&str, Vec<(u64, u64)>> = HashMap::new();
        for event in history {
            match &event.kind {
                Kind::Stopped {
                    victim,
                    killed: false,
                } => {
                    let freezes = by_process.entry(victim).or_default();
                    // Who is frozen twice is thawed once.
                    if freezes.iter().all(|(_, to)| *to != u64::MAX) {
                        freezes.push((event.at, u64::MAX));
                    }
                }
                Kind::Resumed { victim } => {
                    let frozen = by_process.get_mut(victim.as_str());
                    let open =
                        frozen.and_then(|all| all.iter_mut().find(|(_, to)| *to == u64::MAX));
                    if let Some((_, to)) = open {
                        *to = event.at;
                    }
                }
                Kind::Starved { since } => {
                    let process = event.process.as_str();
                    by_process
                        .entry(process)
                        .or_default()
                        .push((*since, event.at));
                }
                _ => {}
            }
        }
        for freezes in by_process.values_mut() {
            freezes.sort_unstable();
        }
        Self { by_process }
    }

    /// When a process that had something to do at `due` could first do it.
    fn able(&self, process: &str, due: u64) -> u64 {
        let frozen = self.by_process.get(process).map_or(&[][..], Vec::as_slice);
        // In the order of time: after one freeze, the next may already have begun.
        frozen.iter().fold(due, |able, (from, to)| {
            if (*from..*to).contains(&able) {
                *to
            } else {
                able
            }
        })
    }
}

/// What is known of one operation while its events go by.
struct Followed<'a> {
    lease: &'a Lease,
    is_over: bool,
}

/// Follows every lease through the history.
#[must_use]
pub fn check(history: &[Event], leases: &[Lease], lateness: Duration) -> Vec<Violation> {
    let freezes = Freezes::collect(history);
    let mut followed: HashMap<(&str, u64), Followed<'_>> = leases
        .iter()
        .map(|lease| {
            let operation = (lease.process.as_str(), lease.operation);
            let is_over = false;
            (operation, Followed { lease, is_over })
        })
        .collect();
    let mut violations = Vec::new();
    for event in history {
        let Some(one) = followed.get_mut(&(event.process.as_str(), event.operation)) else {
            continue;
        };
        let deadline = one.lease.deadline;
        let what = match event.kind {
            Kind::Checked { valid: true } if one.is_over => {
                "was valid again after it had been lost".to_owned()
            }
            Kind::Extended { .. } if one.is_over => {
                "was prolonged after it had been lost".to_owned()
            }
            // The deadline of a lease that is never renewed does not move.
            Kind::Checked { valid: true } if !one.lease.renewed && event.at > deadline => {
                format!(
                    "was valid {:.1} ms after its deadline",
                    milliseconds(deadline, event.at)
                )
            }
            Kind::Checked { valid: false } => {
                one.is_over = true;
                continue;
            }
            Kind::Lost { .. } => {
                one.is_over = true;
                let able = freezes.able(&event.process, deadline);
                let due = able.saturating_add(nanoseconds(lateness));
                if event.at <= due {
                    continue;
                }
                format!(
                    "was reported lost {:.1} ms after its deadline",
                    milliseconds(deadline, event.at)
                )
            }
            _ => continue,
        };
        violations.push(Violation {
            rule: "C4".into(),
            at: event.at,
            resource: event.resource.clone(),
            what: format!("{} {what}", one.lease.name()),
        });
    }
    violations
}
