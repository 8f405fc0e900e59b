//! What must hold, and what must be possible.

use stateright::Property;

use super::state::{Kind, NOBODY, NODES, State};
use super::{Step, Strict};

/// At most one client holds a valid lease.
pub const ONE_LEASE: &str = "at most one valid lease";
/// Every confirmed grant has a greater fence than all before it.
pub const FENCES_INCREASE: &str = "fences increase in grant order";
/// A lease that was released by force does not get its key back.
pub const BROKEN_STAYS_BROKEN: &str = "a lease released by force stays lost";
/// Once faults stop, a waiting client is granted a lease within two longest leases.
pub const RECOVERS: &str = "a grant is possible again within two longest leases once faults stop";

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
            "two masters' gates are open, and one of them grants",
            |_, state: &State| grants_with_gates_open(state, 2),
        ));
        properties.push(Property::sometimes(
            "a master re-takes a holder's key while its gate is closed",
            |_, state: &State| {
                (0..NODES).any(|node| {
                    state.epoch >= 1
                        && state.serves(node)
                        && !state.gate_is_open(node)
                        && granted_at(state, Kind::Renew, node)
                })
            },
        ));
    }
    if model.bounds.failovers.is_some_and(|most| most >= 2) {
        properties.push(Property::sometimes(
            "a master grants after two failovers",
            |_, state: &State| state.epoch >= 2 && grants_with_gates_open(state, 2),
        ));
    }
    properties
}

/// As many masters believe that they may grant; so all but the first of them have waited for their gates. One has just
/// run `acquire` for someone.
fn grants_with_gates_open(state: &State, open: usize) -> bool {
    let may_grant = |node: &usize| state.serves(*node) && state.gate_is_open(*node);
    (0..NODES).filter(may_grant).count() >= open
        && (0..NODES).any(|node| granted_at(state, Kind::Acquire, node))
}

fn granted_at(state: &State, kind: Kind, node: usize) -> bool {
    state
        .clients
        .iter()
        .any(|client| client.write.kind == kind && usize::from(client.write.node) == node)
}

/// From here a lease is granted in time, whichever master Sentinel settles on.
fn recovers(model: &Strict, state: &State) -> bool {
    match state.master {
        NOBODY => (0..NODES as u8)
            .filter(|node| state.serves(usize::from(*node)))
            .all(|master| recovers_with(model, state, master)),
        master => recovers_with(model, state, master),
    }
}

/// Stops all faults and lets Sentinel and one waiting client do their duty while every holder is silent: the client must
/// have its grant within the longest lease, or within two if a replica was sent everything while the gate was closed.
fn recovers_with(model: &Strict, state: &State, master: u8) -> bool {
    let mut calm = Calm {
        model,
        state: *state,
    };
    // A client that holds nothing and waits for nothing. If there is none, the first to let go is one.
    let Some(waiting) = state.crew().find(|name| state.clients[*name].lease == 0) else {
        return true;
    };
    let client = u8::try_from(waiting).unwrap_or(0);
    let acquire = Step::Acquire {
        client,
        node: master,
        late: 0,
    };
    calm.go(Step::GiveUp { client });
    for node in 0..NODES as u8 {
        calm.follow(node, master);
    }
    if !calm.state.nodes[usize::from(master)].gate.phase.has_time() {
        calm.open_gate(master);
    }
    for tick in 0..=2 * model.bounds.lease {
        if tick > 0 {
            calm.go(Step::Tick);
        }
        if !calm.go(acquire) {
            continue;
        }
        calm.replicate();
        if calm.go(Step::Confirm { client }) {
            return true;
        }
        // The gate is closed, or a replica was sent everything. Where it stays open then, the grant counts after all.
        calm.open_gate(master);
        if calm.go(Step::Confirm { client }) {
            return true;
        }
        calm.go(Step::GiveUp { client });
        calm.go(Step::Release { node: master });
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

    fn follow(&mut self, node: u8, master: u8) {
        if !self.go(Step::Repoint { node }) {
            self.go(Step::Return { node, to: master });
        }
    }

    fn open_gate(&mut self, master: u8) {
        self.go(Step::GateClaim { node: master });
        self.replicate();
        self.go(Step::GateOpen { node: master });
    }

    fn replicate(&mut self) {
        for node in 0..NODES as u8 {
            self.go(Step::Replicate { node });
        }
    }
}
