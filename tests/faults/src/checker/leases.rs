//! From events to leases: who held what from when until when, as the holder itself saw it.

use std::collections::{BTreeMap, HashMap};

use crate::history::{Event, Kind};

/// One lease, as its holder saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who.
    pub process: String,
    /// By which operation.
    pub operation: u64,
    /// What.
    pub resource: String,
    /// With which fencing token.
    pub fence: i64,
    /// When it was asked for: the attempt that was granted was not sent before.
    pub asked: u64,
    /// When the holder had it.
    pub granted: u64,
    /// When the holder's right ended: its last known deadline, or the release, the loss, a forced release or the
    /// holder's death, whichever came first.
    pub ended: u64,
    /// The last deadline that the holder knew.
    pub deadline: u64,
    /// Whether it was renewed in the background.
    pub renewed: bool,
    /// What tells this holding from every other, if anything does.
    pub holder: String,
}

/// All leases of a history, in the order of being granted.
#[must_use]
pub fn collect(history: &[Event]) -> Vec<Lease> {
    let mut open: HashMap<(&str, u64), Lease> = HashMap::new();
    let mut invoked: HashMap<(&str, u64), u64> = HashMap::new();
    let mut done = Vec::new();
    for event in history {
        let operation = (event.process.as_str(), event.operation);
        match &event.kind {
            Kind::Invoke { .. } => {
                invoked.insert(operation, event.at);
            }
            Kind::Granted { .. } => {
                let invoked = invoked.get(&operation).copied().unwrap_or(0);
                open.extend(granted(event, invoked).map(|lease| (operation, lease)));
            }
            Kind::Extended { deadline } => {
                if let Some(lease) = open.get_mut(&operation) {
                    lease.deadline = lease.deadline.max(*deadline);
                }
            }
            Kind::Lost { .. } | Kind::ReleaseInvoked { .. } | Kind::Checked { valid: false } => {
                done.extend(open.remove(&operation).map(|lease| end(lease, event.at)));
            }
            Kind::Stopped {
                victim,
                killed: true,
            } => {
                let orphans: Vec<_> = open
                    .keys()
                    .filter(|(process, _)| process == victim)
                    .copied()
                    .collect();
                for orphan in orphans {
                    done.extend(open.remove(&orphan).map(|lease| end(lease, event.at)));
                }
            }
            _ => {}
        }
    }
    done.extend(open.into_values().map(|lease| end(lease, u64::MAX)));
    end_forced(history, &mut done);
    done.sort_by_key(|lease| lease.granted);
    done
}

/// A lease that was just granted to whoever asked at `invoked`.
fn granted(event: &Event, invoked: u64) -> Option<Lease> {
    let Kind::Granted {
        fence,
        asked,
        deadline,
        renewed,
        holder,
    } = &event.kind
    else {
        return None;
    };
    Some(Lease {
        process: event.process.clone(),
        operation: event.operation,
        resource: event.resource.clone(),
        fence: *fence,
        asked: invoked.max(*asked),
        granted: event.at,
        ended: u64::MAX,
        deadline: *deadline,
        renewed: *renewed,
        holder: holder.clone(),
    })
}

/// Ends the leases that were taken away by force. When the server did it is not known exactly, and whether it did may
/// not be known at all: the right ends with the order.
fn end_forced(history: &[Event], leases: &mut [Lease]) {
    let mut forced: HashMap<&str, u64> = HashMap::new();
    for event in history {
        if let Kind::ForceInvoked { holder } = &event.kind {
            forced.entry(holder).or_insert(event.at);
        }
    }
    for lease in leases {
        if let Some(at) = forced.get(lease.holder.as_str()) {
            lease.ended = lease.ended.min(*at);
        }
    }
}

/// Leases by resource, each in the order of being granted.
pub(super) fn by_resource(leases: &[Lease]) -> BTreeMap<&str, Vec<&Lease>> {
    let mut sorted: BTreeMap<&str, Vec<&Lease>> = BTreeMap::new();
    for lease in leases {
        sorted.entry(&lease.resource).or_default().push(lease);
    }
    sorted
}

fn end(lease: Lease, at: u64) -> Lease {
    Lease {
        ended: lease.deadline.min(at),
        ..lease
    }
}

impl Lease {
    /// Who and which, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}#{} (fence {})", self.process, self.operation, self.fence)
    }
}
