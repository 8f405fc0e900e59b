//! A trace in words.

use super::state::{NOBODY, PAST, Phase, State};
use super::{Step, Strict};
use crate::report::Tale;

impl Tale for Strict {
    #[expect(clippy::too_many_lines, reason = "a table of steps")]
    fn tell(&self, before: &State, step: Step, after: &State) -> String {
        let line = match step {
            Step::Tick => return format!("a tick passes{}", lapses(before, after)),
            Step::Acquire { client, node, late } => {
                format!(
                    "acquire: node {node} sets the key for client {}{}",
                    name(client),
                    delay(late)
                )
            }
            Step::Renew { client, node, late } => {
                let missing = before.nodes[usize::from(node)].lock.owner == NOBODY;
                let verb = if missing { "re-asserts" } else { "extends" };
                format!(
                    "renew: node {node} {verb} the key of client {}{}",
                    name(client),
                    delay(late)
                )
            }
            Step::Confirm { client } => {
                let lease = after.clients[usize::from(client)].lease;
                format!(
                    "confirm: client {} counts it, its lease runs for {lease} ticks",
                    name(client)
                )
            }
            Step::GiveUp { client } => format!("client {} lets go", name(client)),
            Step::Release { node } => {
                format!("release: node {node} deletes a key that was given up")
            }
            Step::ForceRelease { node } => format!("an operator deletes the key on node {node}"),
            Step::GateClaim { node } => {
                let gate = after.nodes[usize::from(node)].gate;
                match gate.phase {
                    Phase::Open | Phase::OpenNew => format!(
                        "gate_claim: node {node} counts its synchronisations anew, the gate stays as it is"
                    ),
                    Phase::PendingNew => format!(
                        "gate_claim: node {node} records the gate as pending, as a new deployment"
                    ),
                    _ if gate.resynced => {
                        format!("gate_claim: node {node} closes its gate again, pending (resynced)")
                    }
                    _ => format!("gate_claim: node {node} records the gate as pending"),
                }
            }
            Step::GateOpen { node } => {
                let left = after.nodes[usize::from(node)].gate.left;
                format!("confirm, gate_open: the gate of node {node} opens in {left} ticks")
            }
            Step::Replicate { node } => {
                format!(
                    "node {node} copies what node {} has: {}{}",
                    before.nodes[usize::from(node)].upstream,
                    has(after, node),
                    counted(before, after)
                )
            }
            Step::FullSync { node } => {
                format!(
                    "node {node}, too far behind, is sent all that node {} has: {}{}",
                    before.nodes[usize::from(node)].upstream,
                    has(after, node),
                    counted(before, after)
                )
            }
            Step::Promote { node } => {
                format!(
                    "Sentinel promotes node {node}{}, which has {}",
                    self.epoch(after),
                    has(after, node)
                )
            }
            Step::Repoint { node } => {
                format!(
                    "Sentinel makes node {node} follow node {}; it now has {}{}",
                    after.master,
                    has(after, node),
                    counted(before, after)
                )
            }
            Step::RestartEmpty { node } => format!("node {node} restarts with an empty memory"),
            Step::RestartAlone { node } => {
                format!(
                    "node {node} restarts with an empty memory and without its configuration, as a master"
                )
            }
            Step::RestartOld { node } => {
                format!("replica {node} restarts with what it had earlier")
            }
            Step::RestartWithData { node } => {
                format!("node {node} restarts and finds its data on disk")
            }
            Step::Flush { node } => format!("somebody flushes node {node}"),
            Step::BacklogExpiry { node } => {
                format!(
                    "node {node}, long without replicas, drops its backlog: another master_replid, no second one"
                )
            }
            Step::Return { node, to } => {
                format!(
                    "node {node} {} master {to}; it now has {}{}",
                    if self.rules.any_master_will_do() {
                        "is made to follow the"
                    } else {
                        "goes back to the deposed"
                    },
                    has(after, node),
                    counted(before, after)
                )
            }
            Step::Repromote { node } => {
                format!(
                    "Sentinel promotes node {node}{}, which never ceased to be a master",
                    self.epoch(after)
                )
            }
        };
        line + &rival(before, after)
    }
}

impl Strict {
    /// Sentinel's epoch, where it is counted.
    fn epoch(&self, state: &State) -> String {
        self.bounds
            .failovers
            .map_or_else(String::new, |_| format!(" (epoch {})", state.epoch))
    }
}

/// The clients' names.
fn name(client: u8) -> char {
    ['A', 'B', 'C'][usize::from(client)]
}

fn delay(late: u8) -> String {
    if late == 0 {
        String::new()
    } else {
        format!(", sent {late} ticks ago")
    }
}

/// What a node stores.
fn has(state: &State, node: u8) -> String {
    match state.nodes[usize::from(node)].lock.owner {
        NOBODY => "no key".into(),
        PAST => "the key of a token that was given up".into(),
        client => format!("the key of client {}", name(client)),
    }
}

/// Whether a master counted a full synchronisation.
fn counted(before: &State, after: &State) -> &'static str {
    let counts = |state: &State| state.nodes.iter().filter(|node| node.synced).count();
    if counts(after) > counts(before) {
        "; a full synchronisation, which is counted"
    } else {
        ""
    }
}

/// Which leases end with this tick.
fn lapses(before: &State, after: &State) -> String {
    let lapsed = (0..after.crew).filter(|client| {
        let at = usize::from(*client);
        before.clients[at].lease > 0 && after.clients[at].lease == 0
    });
    lapsed
        .map(|client| format!("; the lease of client {} lapses", name(client)))
        .collect()
}

/// What the step broke, if it did.
fn rival(before: &State, after: &State) -> String {
    let mut said = String::new();
    if after.valid_leases() > 1 && before.valid_leases() <= 1 {
        let holders: Vec<String> = (0..after.crew)
            .filter(|client| after.clients[usize::from(*client)].lease > 0)
            .map(|client| name(client).to_string())
            .collect();
        said = format!(" -- TWO HOLDERS: {}", holders.join(" and "));
    }
    if after.fence_went_back && !before.fence_went_back {
        said += " -- ITS FENCE IS NOT GREATER than one granted before";
    }
    if after.broken_lease_came_back && !before.broken_lease_came_back {
        said += " -- A LEASE RELEASED BY FORCE IS BACK";
    }
    said
}
