//! What must hold, and what must be possible.

use stateright::Property;

use super::state::{MAX_CLIENTS, NODES, Phase, State};
use super::{Step, Takeover};

/// At most one client holds a valid lease.
pub const ONE_LEASE: &str = "at most one valid lease";
/// Every confirmed grant has a greater fence than all before it.
pub const FENCES_INCREASE: &str = "fences increase in grant order";
/// No renewal takes the key of a later grant, and the Sentinels' master does not refuse a holder in favour of an older one.
pub const NOBODY_ROBBED: &str = "no holder loses its key to an older grant";
/// A lease that was handed over or released by force does not get its key back in that history.
pub const REVOKED_STAYS: &str = "a revoked lease stays revoked";
/// Once faults stop, a waiting client is granted a lease within two longest leases.
pub const RECOVERS: &str = "a grant is possible again within two longest leases once faults stop";
/// The fast way is really reached.
pub const FAST_GRANT: &str = "a lease is granted and confirmed on the new master with no pause";

/// The properties of the configuration.
pub(super) fn all(model: &Takeover) -> Vec<Property<Takeover>> {
    let mut properties = vec![
        Property::always(ONE_LEASE, |_, state: &State| state.valid_leases() <= 1),
        Property::sometimes("a lease is held", |_, state: &State| {
            state.valid_leases() == 1
        }),
    ];
    if model.bounds.grants > 0 {
        properties.extend([
            Property::always(FENCES_INCREASE, |_, state: &State| !state.fence_went_back),
            Property::always(NOBODY_ROBBED, |_, state: &State| !state.robbed),
        ]);
    }
    if model.bounds.revocations {
        properties.push(Property::always(REVOKED_STAYS, |_, state: &State| {
            !state.revoked_came_back
        }));
    }
    if model.bounds.check_recovery {
        properties.push(Property::always(RECOVERS, recovers));
    }
    if model.rules.fast && model.bounds.failovers > 0 {
        properties.push(Property::sometimes(FAST_GRANT, is_granted_fast));
    }
    properties
}

/// A client holds what was granted behind a gate that opened less than a tick, or as long as grants are held back, ago.
fn is_granted_fast(model: &Takeover, state: &State) -> bool {
    let Some(full) = model.bounds.lease.checked_sub(model.bounds.skew) else {
        return false;
    };
    let hold = if model.bounds.skew == 0 { 1 } else { full };
    state.nodes.iter().any(|node| {
        let owner = usize::from(node.lock.owner);
        let is_fresh = node.gate.phase == Phase::Open && node.gate.hold >= hold;
        is_fresh
            && owner < MAX_CLIENTS
            && node.lock.left >= full
            && state.clients[owner].lease >= full
    })
}

/// Stops all faults, lets the Sentinels' master have its replicas and one waiting client do its duty while every holder is
/// silent: the client must have its grant within two longest leases.
fn recovers(model: &Takeover, state: &State) -> bool {
    let mut calm = Calm {
        model,
        state: *state,
    };
    let Some(client) = (0..state.crew).find(|name| state.client(*name).lease == 0) else {
        return true;
    };
    let node = state.master;
    let late = 0;
    calm.go(Step::GiveUp { client });
    calm.settle();
    for tick in 0..=2 * model.bounds.lease {
        if tick > 0 {
            calm.go(Step::Tick);
        }
        calm.settle();
        calm.go(Step::Acquire { client, node, late });
        calm.replicate();
        if calm.go(Step::Confirm { client }) {
            return true;
        }
    }
    false
}

/// A run without faults.
struct Calm<'a> {
    model: &'a Takeover,
    state: State,
}

impl Calm<'_> {
    /// Takes the step if it can be taken.
    fn go(&mut self, step: Step) -> bool {
        let next = self.model.apply(&self.state, step);
        if let Some(next) = next {
            self.state = next;
        }
        next.is_some()
    }

    /// Everyone follows the master, whose gate is claimed and opened.
    fn settle(&mut self) {
        let (master, epoch) = (self.state.master, self.state.epoch);
        for node in 0..NODES as u8 {
            self.go(Step::Follow { node, to: master });
        }
        self.go(Step::GateClaim {
            node: master,
            epoch,
        });
        self.replicate();
        if !self.go(Step::GateOpenFast { node: master }) {
            self.go(Step::GateOpen { node: master });
        }
        self.replicate();
    }

    fn replicate(&mut self) {
        for node in 0..NODES as u8 {
            self.go(Step::Replicate { node });
        }
    }
}
