//! What must hold, and what must be possible.

use stateright::Property;

use super::state::{Kind, NODES, State};
use super::{Step, Strict};

/// At most one client holds a valid lease.
pub const ONE_LEASE: &str = "at most one valid lease";
/// Every confirmed grant has a greater fence than all before it.
pub const FENCES_INCREASE: &str = "fences increase in grant order";
/// A lease that was released by force does not get its key back.
pub const BROKEN_STAYS_BROKEN: &str = "a lease released by force stays lost";
/// Once faults stop, a waiting client is granted a lease within the longest lease.
pub const RECOVERS: &str = "a grant is possible again within the longest lease once faults stop";

/// The properties of the configuration.
pub(super) fn all(model: &Strict) -> Vec<Property<Strict>> {
    let mut properties = vec![
        Property::always(ONE_LEASE, |_, state: &State| state.valid_leases() <= 1),
        Property::sometimes("a lease is held", |_, state: &State| {
            state.valid_leases() == 1
        }),
    ];
    if model.bounds.fences {
        properties.push(Property::always(FENCES_INCREASE, |_, state: &State| {
            !state.fence_went_back
        }));
    }
    if model.bounds.force_releases {
        properties.push(Property::always(BROKEN_STAYS_BROKEN, |_, state: &State| {
            !state.broken_lease_came_back
        }));
    }
    if model.bounds.check_recovery {
        properties.push(Property::always(RECOVERS, recovers));
    }
    if model.bounds.failovers != Some(0) {
        properties.push(Property::sometimes(
            "a master grants after a failover",
            |_, state: &State| grants(state) && state.epoch >= 1,
        ));
        properties.push(Property::sometimes(
            "a master re-takes a holder's key while its gate is closed",
            |_, state: &State| {
                let master = usize::from(state.master);
                state.epoch >= 1
                    && !state.gate_is_open(master)
                    && granted_at(state, Kind::Renew, state.master)
            },
        ));
    }
    if model.bounds.failovers.is_some_and(|most| most >= 2) {
        properties.push(Property::sometimes(
            "a master grants after two failovers",
            |_, state: &State| grants(state) && state.epoch >= 2,
        ));
    }
    properties
}

/// The present master has just run `acquire` for someone.
fn grants(state: &State) -> bool {
    granted_at(state, Kind::Acquire, state.master)
}

fn granted_at(state: &State, kind: Kind, node: u8) -> bool {
    state
        .clients
        .iter()
        .any(|client| client.write.kind == kind && client.write.node == node)
}

/// Stops all faults and lets Sentinel and one waiting client do their duty while every holder is silent: within the
/// longest lease the client must have its grant.
fn recovers(model: &Strict, state: &State) -> bool {
    let mut calm = Calm {
        model,
        state: *state,
    };
    let master = state.master;
    // A client that holds nothing and waits for nothing. If there is none, the first to let go is one.
    let Some(waiting) = state.crew().find(|name| state.clients[*name].lease == 0) else {
        return true;
    };
    let waiting = u8::try_from(waiting).unwrap_or(0);
    calm.go(Step::GiveUp { client: waiting });
    for node in 0..NODES as u8 {
        calm.go(Step::Repoint { node });
    }
    calm.go(Step::GateClaim { node: master });
    calm.replicate();
    calm.go(Step::GateOpen { node: master });
    for tick in 0..=model.bounds.lease {
        if tick > 0 {
            calm.go(Step::Tick);
        }
        if calm.go(Step::Acquire {
            client: waiting,
            node: master,
            late: 0,
        }) {
            calm.replicate();
            return calm.go(Step::Confirm { client: waiting });
        }
    }
    false
}

/// A run without faults.
struct Calm<'a> {
    model: &'a Strict,
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

    fn replicate(&mut self) {
        for node in 0..NODES as u8 {
            self.go(Step::Replicate { node });
        }
    }
}
