//! The steps of clients and nodes. They bear the names of the scripts.

use super::state::{CLIENTS, Client, NOBODY, Node, PAST, Phase, State};
use super::{FENCES_PER_TICK, Quorum};
use crate::report::Tale;

/// One step of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A tick passes, for everyone.
    Tick,
    /// `acquire.lua` runs on a node; its reply may be lost.
    Acquire {
        /// Who asks.
        client: u8,
        /// Where.
        node: u8,
        /// The client never hears of it.
        lost: bool,
    },
    /// The client finds that the answers of the granting majority differ.
    WriteBack {
        /// Who.
        client: u8,
    },
    /// `raise_fence.lua` runs on a node.
    Raise {
        /// Who asks.
        client: u8,
        /// Where.
        node: u8,
    },
    /// The client hands the lease to its caller.
    HandOut {
        /// Who.
        client: u8,
    },
    /// The client begins to extend its lease.
    Extend {
        /// Who.
        client: u8,
    },
    /// `renew.lua` runs on a node.
    Renew {
        /// Who asks.
        client: u8,
        /// Where.
        node: u8,
    },
    /// A majority has renewed.
    Extended {
        /// Who.
        client: u8,
    },
    /// The client lets go, for whatever reason.
    GiveUp {
        /// Who.
        client: u8,
    },
    /// `release.lua` runs for a token that was given up.
    Release {
        /// Where.
        node: u8,
    },
    /// A grant of another lock raises the node's counter.
    OtherGrant {
        /// Where.
        node: u8,
    },
    /// The node restarts with an empty memory.
    RestartEmpty {
        /// Where.
        node: u8,
    },
}

impl Quorum {
    /// The state after `step`, or nothing if the step cannot be taken or changes nothing.
    #[must_use]
    pub fn apply(&self, before: &State, step: Step) -> Option<State> {
        let mut after = *before;
        match step {
            Step::Tick => self.tick(&mut after),
            Step::Acquire { client, node, lost } => self.acquire(&mut after, client, node, lost)?,
            Step::WriteBack { client } => self.begin_write_back(&mut after, client)?,
            Step::Raise { client, node } => self.raise(&mut after, client, node)?,
            Step::HandOut { client } => self.hand_out(&mut after, client)?,
            Step::Extend { client } => self.extend(&mut after, client)?,
            Step::Renew { client, node } => self.renew(&mut after, client, node)?,
            Step::Extended { client } => self.extended(&mut after, client)?,
            Step::GiveUp { client } => give_up(&mut after, client),
            Step::Release { node } => release(&mut after, node)?,
            Step::OtherGrant { node } => self.other_grant(&mut after, node)?,
            Step::RestartEmpty { node } => self.restart(&mut after, node)?,
        }
        (after != *before).then_some(after)
    }

    /// Time brings every deadline nearer, and leaves every fence further behind the clock.
    fn older(&self, fence: u8) -> u8 {
        if self.clock_in_fence {
            fence.saturating_sub(FENCES_PER_TICK)
        } else {
            fence
        }
    }

    /// One more fence in this tick. A clock counts far faster than nodes answer; without one, some bound must do.
    fn count_fence(&self, state: &mut State, fence: u8) -> Option<()> {
        let room = if self.clock_in_fence {
            state.asks < FENCES_PER_TICK
        } else {
            fence < 2 * FENCES_PER_TICK
        };
        state.asks += u8::from(self.clock_in_fence);
        room.then_some(())
    }

    fn tick(&self, state: &mut State) {
        state.asks = 0;
        state.top_fence = self.older(state.top_fence);
        for node in &mut state.nodes {
            node.fence = self.older(node.fence).max(self.behind());
            node.gate = node.gate.saturating_sub(1);
            node.left = node.left.saturating_sub(1);
            if node.left == 0 {
                node.owner = NOBODY;
            }
        }
        for name in 0..CLIENTS as u8 {
            let client = &mut state.clients[usize::from(name)];
            client.fence = self.older(client.fence);
            client.proposed = self.older(client.proposed);
            client.left = client.left.saturating_sub(1);
            let lapsed = client.lease == 1;
            client.lease = client.lease.saturating_sub(1);
            let too_late = client.phase != Phase::Idle && client.left == 0 && self.check_deadline;
            if too_late && client.lease > 0 {
                *client = client.with_lease(client.lease);
            } else if too_late || lapsed {
                give_up(state, name);
            }
        }
    }

    /// `acquire.lua`: grants with `max(counter + 1, proposed)`.
    fn acquire(&self, state: &mut State, name: u8, at: u8, lost: bool) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        if client.lease > 0 || !matches!(client.phase, Phase::Idle | Phase::Asking) {
            return None;
        }
        if client.phase == Phase::Idle {
            *client = client.with_lease(0);
            (client.phase, client.left) = (Phase::Asking, self.lease);
            if self.clock_in_fence {
                client.proposed = self.behind() + 1 + client.clock * FENCES_PER_TICK;
            }
        }
        let node = &mut state.nodes[usize::from(at)];
        if (lost && !self.losses) || node.gate > 0 || (node.owner != NOBODY && node.owner != name) {
            return None;
        }
        node.fence = (node.fence + 1).max(client.proposed);
        (node.owner, node.left) = (name, self.lease);
        let fence = node.fence;
        if !lost {
            client.answers |= 1 << at;
            client.fence = client.fence.max(fence);
            if fence == client.proposed {
                client.agreed |= 1 << at;
            } else {
                client.agreed &= !(1 << at);
            }
        }
        self.count_fence(state, fence)
    }

    /// A majority has granted, with fences that differ: the greatest is to be written back.
    fn begin_write_back(&self, state: &mut State, name: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        let granted = client.answers.count_ones() >= self.majority;
        if client.phase != Phase::Asking || !granted || !self.write_back {
            return None;
        }
        (client.phase, client.answers, client.agreed) = (Phase::Raising, 0, 0);
        Some(())
    }

    /// `raise_fence.lua`: raises the counter to at least the client's fence, where the lock is still its own.
    fn raise(&self, state: &mut State, name: u8, at: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        let node = &mut state.nodes[usize::from(at)];
        let refused = self.raise_needs_lock && node.owner != name;
        if client.phase != Phase::Raising || refused {
            return None;
        }
        node.fence = node.fence.max(client.fence);
        client.answers |= 1 << at;
        Some(())
    }

    /// The grant stands: a majority agreed to what was proposed, or has the greatest written back.
    fn hand_out(&self, state: &mut State, name: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        let granted = client.answers.count_ones() >= self.majority;
        let at_once = client.phase == Phase::Asking && client.agreed.count_ones() >= self.agreement;
        let unwritten = client.phase == Phase::Asking && !self.write_back;
        if !granted || !(at_once || unwritten || client.phase == Phase::Raising) {
            return None;
        }
        let fence = self.fence_of(client);
        state.fence_went_back |= fence <= state.top_fence;
        state.top_fence = state.top_fence.max(fence);
        // Without the check, the client believes in a whole lease from now on.
        let lease = if self.check_deadline {
            client.left
        } else {
            self.lease
        };
        *client = client.with_lease(lease);
        Some(())
    }

    /// The fence under which a client that may hand out its lease does so.
    fn fence_of(&self, client: &Client) -> u8 {
        let agreed = client.agreed.count_ones() >= self.agreement;
        if client.phase == Phase::Asking && (agreed || !self.take_greatest) {
            client.proposed
        } else {
            client.fence
        }
    }

    fn other_grant(&self, state: &mut State, at: u8) -> Option<()> {
        state.others = (state.others < self.others).then_some(state.others + 1)?;
        let node = &mut state.nodes[usize::from(at)];
        node.fence += 1;
        let fence = node.fence;
        self.count_fence(state, fence)
    }

    fn extend(&self, state: &mut State, name: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        if !self.extensions || client.lease == 0 || client.phase != Phase::Idle {
            return None;
        }
        (client.phase, client.left) = (Phase::Extending, self.lease);
        Some(())
    }

    /// `renew.lua`
    fn renew(&self, state: &mut State, name: u8, at: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        let node = &mut state.nodes[usize::from(at)];
        if client.phase != Phase::Extending || node.owner != name {
            return None;
        }
        node.left = self.lease;
        client.answers |= 1 << at;
        Some(())
    }

    fn extended(&self, state: &mut State, name: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        if client.phase != Phase::Extending || client.answers.count_ones() < self.majority {
            return None;
        }
        *client = client.with_lease(client.lease.max(client.left));
        Some(())
    }

    fn restart(&self, state: &mut State, at: u8) -> Option<()> {
        let node = &mut state.nodes[usize::from(at)];
        let gate = if self.gate { self.lease } else { 0 };
        *node = Node {
            owner: NOBODY,
            left: 0,
            fence: self.behind(),
            gate,
        };
        self.restarts.then_some(())
    }
}

fn give_up(state: &mut State, name: u8) {
    let client = &mut state.clients[usize::from(name)];
    *client = client.with_lease(0);
    for node in &mut state.nodes {
        if node.owner == name {
            node.owner = PAST;
        }
    }
}

fn release(state: &mut State, at: u8) -> Option<()> {
    let node = &mut state.nodes[usize::from(at)];
    if node.owner != PAST {
        return None;
    }
    (node.owner, node.left) = (NOBODY, 0);
    Some(())
}

impl Tale for Quorum {
    fn tell(&self, before: &State, step: Step, after: &State) -> String {
        let name = |client: u8| ["A", "B"][usize::from(client)];
        match step {
            Step::Tick => {
                format!("a tick passes; every fence is {FENCES_PER_TICK} less than the clock's")
            }
            Step::Acquire { client, node, lost } => {
                let heard = if lost { ", but the reply is lost" } else { "" };
                let fence = after.nodes[usize::from(node)].fence;
                format!(
                    "acquire: node {node} gives client {} its vote and the fence {fence}{heard}",
                    name(client)
                )
            }
            Step::WriteBack { client } => format!(
                "the answers to client {} differ; it writes back the greatest, {}",
                name(client),
                after.clients[usize::from(client)].fence
            ),
            Step::Raise { client, node } => format!(
                "raise_fence: node {node} has a counter of at least {} for client {}",
                after.clients[usize::from(client)].fence,
                name(client)
            ),
            Step::OtherGrant { node } => {
                format!("a grant of another lock raises the counter of node {node}")
            }
            Step::HandOut { client } => {
                format!(
                    "client {} has its lease, fence {}{}",
                    name(client),
                    self.fence_of(&before.clients[usize::from(client)]),
                    broken(before, after)
                )
            }
            Step::Extend { client } => {
                format!("client {} begins to extend its lease", name(client))
            }
            Step::Renew { client, node } => format!(
                "renew: node {node} extends the key of client {}",
                name(client)
            ),
            Step::Extended { client } => format!("client {} has extended its lease", name(client)),
            Step::GiveUp { client } => format!("client {} lets go", name(client)),
            Step::Release { node } => {
                format!("release: node {node} deletes a key that was given up")
            }
            Step::RestartEmpty { node } => format!("node {node} restarts with an empty memory"),
        }
    }
}

/// What the step broke.
fn broken(before: &State, after: &State) -> &'static str {
    if after.fence_went_back && !before.fence_went_back {
        " -- NOT GREATER than one before"
    } else if after.valid_leases() > 1 {
        " -- TWO HOLDERS"
    } else {
        ""
    }
}
