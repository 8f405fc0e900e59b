//! A trace in words.

use super::state::{NO_ID, NOBODY, PAST, Phase, State};
use super::{Step, Takeover};
use crate::report::Tale;

impl Tale for Takeover {
    fn tell(&self, before: &State, step: Step, after: &State) -> String {
        let line = match step {
            Step::Tick => "a tick passes".to_owned(),
            Step::Acquire { client, node, late } => {
                format!(
                    "SET: node {node} sets the key for client {}{}",
                    letter(client),
                    sent(late)
                )
            }
            Step::Renew { client, node, late } if after.node(node) == before.node(node) => {
                format!(
                    "renew: node {node} refuses client {}{}",
                    letter(client),
                    sent(late)
                )
            }
            Step::Renew { client, node, late } => {
                let verb = match before.node(node).lock.owner {
                    NOBODY => "re-asserts the key of",
                    owner if owner == client => "extends the key of",
                    _ => "takes the key for",
                };
                format!(
                    "renew: node {node} {verb} client {}{}",
                    letter(client),
                    sent(late)
                )
            }
            Step::Confirm { client } if after.client(client).write.rewritten => {
                format!(
                    "renew: client {} writes again what was held back",
                    letter(client)
                )
            }
            Step::Confirm { client } => format!(
                "WAIT, look: client {} counts it, its lease runs for {} ticks",
                letter(client),
                after.client(client).lease
            ),
            Step::GiveUp { client } => format!("client {} lets go", letter(client)),
            Step::Release { node } => {
                format!("release: node {node} deletes a key that was given up")
            }
            Step::Adopt { client, node } => {
                format!(
                    "adopt: node {node} hands the key over to client {}",
                    letter(client)
                )
            }
            Step::ForceRelease { node } => format!("force_release: node {node} deletes the key"),
            Step::Ping { node } => format!("master {node} sends a PING to its replicas"),
            Step::GateClaim { node, .. }
            | Step::GateOpen { node }
            | Step::GateOpenFast { node } => gate(before, step, after, node),
            _ => fault(before, step, after),
        };
        line + &lapses(before, after) + broken(before, after)
    }
}

fn gate(before: &State, step: Step, after: &State, node: u8) -> String {
    match step {
        Step::GateClaim { .. }
            if before.node(node).gate.of == after.node(node).gate.of
                && before.node(node).gate.phase == after.node(node).gate.phase
                && before.node(node).gate.epoch == after.node(node).gate.epoch =>
        {
            format!("gate_claim: node {node} writes the new sync_full, the gate stays as it is")
        }
        Step::GateClaim { epoch, .. } => {
            let kind = match after.node(node).gate.phase {
                Phase::PendingFast => ", it may open at once",
                Phase::PendingFirst => ", a new deployment",
                _ => "",
            };
            format!("gate_claim: node {node} records its gate as pending at epoch {epoch}{kind}")
        }
        Step::GateOpenFast { .. } => format!("gate_open: the gate of node {node} is open at once"),
        _ => {
            let left = after.node(node).gate.left;
            format!("gate_open: the gate of node {node} opens in {left} ticks")
        }
    }
}

fn fault(before: &State, step: Step, after: &State) -> String {
    match step {
        Step::Replicate { node } => format!(
            "node {node} catches up: {}{}",
            has(after, node),
            counted(before, after, after.node(node).upstream)
        ),
        Step::FullSync { node } => format!(
            "node {node}, too far behind, is sent everything: {}{}",
            has(after, node),
            counted(before, after, after.node(node).upstream)
        ),
        Step::Promote { node } => {
            format!(
                "Sentinel promotes node {node} (epoch {}): {}",
                after.epoch,
                has(after, node)
            )
        }
        Step::Repromote { node } => format!(
            "the Sentinels name node {node} at epoch {}, which never ceased to be a master: {}",
            after.epoch,
            has(after, node)
        ),
        Step::Follow { node, to } => {
            let partly = after.node(node).id2 != NO_ID;
            let how = if partly {
                " by a partial resynchronisation"
            } else {
                ""
            };
            format!(
                "node {node} follows node {to}{how}: {}{}",
                has(after, node),
                counted(before, after, to)
            )
        }
        Step::RestartEmpty { node } => format!("node {node} restarts with an empty memory"),
        Step::RestartWithData { node } => {
            format!("node {node} restarts with its data: {}", has(after, node))
        }
        Step::RestartAsItWas { node } => {
            format!("replica {node} restarts as it was: {}", has(after, node))
        }
        Step::Save { node } => format!("node {node} writes a snapshot: {}", has(after, node)),
        Step::RestartOld { node } => {
            format!(
                "node {node} restarts with an old snapshot: {}",
                has(after, node)
            )
        }
        Step::Flush { node } => format!("somebody flushes node {node}"),
        Step::DropBacklog { node } => {
            format!("node {node}, long without replicas, drops its backlog")
        }
        _ => String::new(),
    }
}

fn letter(client: u8) -> char {
    ['A', 'B', 'C'][usize::from(client)]
}

fn sent(late: u8) -> String {
    match late {
        0 => String::new(),
        _ => format!(", sent {late} ticks ago"),
    }
}

/// What a node stores, and of which history.
fn has(state: &State, name: u8) -> String {
    let node = state.node(name);
    let key = match node.lock.owner {
        NOBODY => "no key".to_owned(),
        PAST => "a key that was given up".to_owned(),
        client => format!("the key of client {}", letter(client)),
    };
    format!("{key} in history {}", node.id)
}

fn counted(before: &State, after: &State, at: u8) -> &'static str {
    if after.node(at).synced && !before.node(at).synced {
        "; its master counts a full synchronisation"
    } else {
        ""
    }
}

/// Which leases end with this step.
fn lapses(before: &State, after: &State) -> String {
    (0..after.crew)
        .filter(|client| before.client(*client).lease > 0 && after.client(*client).lease == 0)
        .map(|client| format!("; the lease of client {} ends", letter(client)))
        .collect()
}

/// What the step broke.
fn broken(before: &State, after: &State) -> &'static str {
    if after.valid_leases() > 1 {
        " -- TWO HOLDERS"
    } else if after.fence_went_back && !before.fence_went_back {
        " -- ITS FENCE IS NOT GREATER than one granted before"
    } else if after.robbed && !before.robbed {
        " -- IN FAVOUR OF AN OLDER GRANT"
    } else if after.revoked_came_back && !before.revoked_came_back {
        " -- A REVOKED LEASE IS BACK"
    } else {
        ""
    }
}
