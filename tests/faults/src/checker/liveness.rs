//! C5 and C6: whoever waits is served once all is well, and nothing stays locked.

use std::collections::HashMap;

use super::{Bounds, Violation, milliseconds};
use crate::history::{Event, Kind, NEMESIS, STANDSTILL, nanoseconds};

struct Waiter<'a> {
    asked: &'a Event,
    since: u64,
}

/// C5: nobody waits through a calm of `service` in vain, whether the wait ends in a failure or not at all.
///
/// A single attempt waits for nothing, and a lease that was asked for by a process which died is nobody's. Where waiters
/// are not served in turn, whoever sees another one served begins to wait anew.
#[must_use]
pub fn check_waiters(history: &[Event], bounds: Bounds) -> Vec<Violation> {
    let service = nanoseconds(bounds.service);
    let end = history.last().map_or(0, |event| event.at);
    let mut calm_since: Option<u64> = None;
    let mut waiting: HashMap<(&str, u64), Waiter<'_>> = HashMap::new();
    let mut violations = Vec::new();
    let mut in_vain = |waiter: &Waiter<'_>, calm_since: Option<u64>, until: u64, how: &str| {
        let Some(calm) = calm_since else { return };
        let (from, asked) = (calm.max(waiter.since), waiter.asked);
        if until.saturating_sub(from) > service {
            violations.push(Violation {
                rule: "C5".into(),
                at: until,
                resource: asked.resource.clone(),
                what: format!(
                    "{}#{} waited {:.0} ms while nothing was broken, and {how}",
                    asked.process,
                    asked.operation,
                    milliseconds(from, until)
                ),
            });
        }
    };
    for event in history {
        let operation = (event.process.as_str(), event.operation);
        match &event.kind {
            Kind::Calm => calm_since = calm_since.or(Some(event.at)),
            Kind::Storm => {
                for waiter in waiting.values() {
                    in_vain(waiter, calm_since, event.at, "was still waiting");
                }
                calm_since = None;
            }
            // The whole machine stood still, the servers with it.
            Kind::Starved { since }
                if event.process == NEMESIS && event.at - since > nanoseconds(STANDSTILL) =>
            {
                calm_since = calm_since.map(|_| event.at);
            }
            Kind::Invoke { patience_ms } if *patience_ms > 0 => {
                let (asked, since) = (event, event.at);
                waiting.insert(operation, Waiter { asked, since });
            }
            Kind::Granted { .. } => {
                waiting.remove(&operation);
                let others = waiting
                    .values_mut()
                    .filter(|waiter| !bounds.in_turn && waiter.asked.resource == event.resource);
                others.for_each(|waiter| waiter.since = event.at);
            }
            Kind::Cancelled => {
                waiting.remove(&operation);
            }
            Kind::Failed { error } | Kind::Ambiguous { error } => {
                if let Some(waiter) = waiting.remove(&operation) {
                    in_vain(&waiter, calm_since, event.at, error);
                }
            }
            Kind::Stopped {
                victim,
                killed: true,
            } => {
                waiting.retain(|(process, _), _| process != victim);
            }
            _ => {}
        }
    }
    for waiter in waiting.values() {
        in_vain(waiter, calm_since, end, "was never served");
    }
    violations
}

/// C6: the locks that were found when everybody had gone.
#[must_use]
pub fn check_leftovers(history: &[Event]) -> Vec<Violation> {
    let leftover = |event: &Event| match &event.kind {
        Kind::Leftover { key } => Some(Violation {
            rule: "C6".into(),
            at: event.at,
            resource: event.resource.clone(),
            what: format!("`{key}` is still locked"),
        }),
        _ => None,
    };
    history.iter().filter_map(leftover).collect()
}
