//! C5 and C6: whoever waits is served once all is well, and nothing stays locked.

use std::collections::HashMap;

use super::{Bounds, Violation, milliseconds};
use crate::history::{Event, Kind, NEMESIS, STANDSTILL, nanoseconds};

struct Waiter<'a> {
    asked: &'a Event,
    since: u64,
}

/// Who waits while the history goes by.
struct Waiting<'a> {
    service: u64,
    calm_since: Option<u64>,
    waiters: HashMap<(&'a str, u64), Waiter<'a>>,
    violations: Vec<Violation>,
}

impl<'a> Waiting<'a> {
    fn follow(&mut self, event: &'a Event, bounds: Bounds) {
        let operation = (event.process.as_str(), event.operation);
        match &event.kind {
            Kind::Calm => self.calm_since = self.calm_since.or(Some(event.at)),
            Kind::Storm => {
                self.end_calm(event.at, "was still waiting");
                self.calm_since = None;
            }
            // The whole machine stood still, the servers with it.
            Kind::Starved { since }
                if event.process == NEMESIS && event.at - since > nanoseconds(STANDSTILL) =>
            {
                self.calm_since = self.calm_since.map(|_| event.at);
            }
            Kind::Invoke { patience_ms } if *patience_ms > 0 => {
                let (asked, since) = (event, event.at);
                self.waiters.insert(operation, Waiter { asked, since });
            }
            Kind::Granted { .. } => {
                self.waiters.remove(&operation);
                let others = self
                    .waiters
                    .values_mut()
                    .filter(|waiter| !bounds.in_turn && waiter.asked.resource == event.resource);
                others.for_each(|waiter| waiter.since = event.at);
            }
            Kind::Cancelled => {
                self.waiters.remove(&operation);
            }
            Kind::Failed { error } | Kind::Ambiguous { error } => {
                if let Some(waiter) = self.waiters.remove(&operation) {
                    let found = self.in_vain(&waiter, event.at, error);
                    self.violations.extend(found);
                }
            }
            Kind::Stopped {
                victim,
                killed: true,
            } => self.waiters.retain(|(process, _), _| process != victim),
            _ => {}
        }
    }

    /// Everybody who still waits at the end of a calm.
    fn end_calm(&mut self, at: u64, how: &str) {
        let waiters = self.waiters.values();
        let found: Vec<_> = waiters
            .filter_map(|waiter| self.in_vain(waiter, at, how))
            .collect();
        self.violations.extend(found);
    }

    /// Whether this one waited through a calm of `service`.
    fn in_vain(&self, waiter: &Waiter<'_>, until: u64, how: &str) -> Option<Violation> {
        let (from, asked) = (self.calm_since?.max(waiter.since), waiter.asked);
        (until.saturating_sub(from) > self.service).then(|| Violation {
            rule: "C5".into(),
            at: until,
            resource: asked.resource.clone(),
            what: format!(
                "{}#{} waited {:.0} ms while nothing was broken, and {how}",
                asked.process,
                asked.operation,
                milliseconds(from, until)
            ),
        })
    }
}

/// C5: nobody waits through a calm of `service` in vain, whether the wait ends in a failure or not at all.
///
/// A single attempt waits for nothing, and a lease that was asked for by a process which died is nobody's. Where waiters
/// are not served in turn, whoever sees another one served begins to wait anew.
#[must_use]
pub fn check_waiters(history: &[Event], bounds: Bounds) -> Vec<Violation> {
    let mut waiting = Waiting {
        service: nanoseconds(bounds.service),
        calm_since: None,
        waiters: HashMap::new(),
        violations: Vec::new(),
    };
    for event in history {
        waiting.follow(event, bounds);
    }
    let end = history.last().map_or(0, |event| event.at);
    waiting.end_calm(end, "was never served");
    waiting.violations
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
