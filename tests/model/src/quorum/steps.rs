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
    /// `raise.lua` runs on a node.
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
            Step::Raise { client, node } => self.raise(&mut after, client, node)?,
            Step::HandOut { client } => self.hand_out(&mut after, client)?,
            Step::Extend { client } => self.extend(&mut after, client)?,
            Step::Renew { client, node } => self.renew(&mut after, client, node)?,
            Step::Extended { client } => self.extended(&mut after, client)?,
            Step::GiveUp { client } => give_up(&mut after, client),
            Step::Release { node } => release(&mut after, node)?,
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
            if node.fence == self.behind() {
                node.fence_by = NOBODY;
            }
            node.gate = node.gate.saturating_sub(1);
            node.left = node.left.saturating_sub(1);
            if node.left == 0 {
                node.owner = NOBODY;
            }
        }
        for name in 0..CLIENTS as u8 {
            let client = &mut state.clients[usize::from(name)];
            client.fence = self.older(client.fence);
            client.left = client.left.saturating_sub(1);
            let lapsed = client.lease == 1;
            client.lease = client.lease.saturating_sub(1);
            let too_late = client.phase != Phase::Idle && client.left == 0 && self.check_deadline;
            if too_late && client.lease > 0 {
                *client = Client {
                    lease: client.lease,
                    ..Client::IDLE
                };
            } else if too_late || lapsed {
                give_up(state, name);
            }
        }
    }

    fn acquire(&self, state: &mut State, name: u8, at: u8, lost: bool) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        if client.lease > 0 || !matches!(client.phase, Phase::Idle | Phase::Asking) {
            return None;
        }
        if client.phase == Phase::Idle {
            *client = Client {
                phase: Phase::Asking,
                left: self.lease,
                ..Client::IDLE
            };
        }
        let node = &mut state.nodes[usize::from(at)];
        if (lost && !self.losses) || node.gate > 0 || (node.owner != NOBODY && node.owner != name) {
            return None;
        }
        let time = self.behind() + 1 + node.clock * FENCES_PER_TICK;
        node.fence = (node.fence + 1).max(if self.clock_in_fence { time } else { 0 });
        (node.owner, node.left, node.fence_by) = (name, self.lease, name);
        let fence = node.fence;
        if !lost {
            client.answers |= 1 << at;
            client.fence = client.fence.max(node.fence);
        }
        if client.answers.count_ones() >= self.majority && !self.write_back {
            client.phase = Phase::Raising;
        } else if client.answers.count_ones() >= self.majority {
            (client.phase, client.answers) = (Phase::Raising, 0);
        }
        self.count_fence(state, fence)
    }

    /// `raise.lua`: raises the stored fence to the client's; refuses where another attempt has reached it already.
    fn raise(&self, state: &mut State, name: u8, at: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        let node = &mut state.nodes[usize::from(at)];
        let silent = self.gate_on_raise && node.gate > 0;
        if client.phase != Phase::Raising || !self.write_back || silent {
            return None;
        }
        let reached =
            node.fence > client.fence || (node.fence == client.fence && node.fence_by != name);
        if reached && self.refuse_raise {
            (client.fence, client.answers) = (node.fence + 1, 0);
            let fence = client.fence;
            return self.count_fence(state, fence);
        }
        if node.fence <= client.fence {
            (node.fence, node.fence_by) = (client.fence, name);
        }
        client.answers |= 1 << at;
        Some(())
    }

    fn hand_out(&self, state: &mut State, name: u8) -> Option<()> {
        let client = &mut state.clients[usize::from(name)];
        if client.phase != Phase::Raising || client.answers.count_ones() < self.majority {
            return None;
        }
        state.fence_went_back |= client.fence <= state.top_fence;
        state.top_fence = state.top_fence.max(client.fence);
        // Without the check, the client believes in a whole lease from now on.
        let lease = if self.check_deadline {
            client.left
        } else {
            self.lease
        };
        *client = Client {
            lease,
            ..Client::IDLE
        };
        Some(())
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
        *client = Client {
            lease: client.lease.max(client.left),
            ..Client::IDLE
        };
        Some(())
    }

    fn restart(&self, state: &mut State, at: u8) -> Option<()> {
        let node = &mut state.nodes[usize::from(at)];
        let gate = if self.gate { self.lease } else { 0 };
        *node = Node {
            owner: NOBODY,
            left: 0,
            fence: self.behind(),
            fence_by: NOBODY,
            gate,
            clock: node.clock,
        };
        self.restarts.then_some(())
    }
}

fn give_up(state: &mut State, name: u8) {
    state.clients[usize::from(name)] = Client::IDLE;
    for node in &mut state.nodes {
        if node.owner == name {
            node.owner = PAST;
        }
        if node.fence_by == name {
            node.fence_by = NOBODY;
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
            Step::Raise { client, node } => {
                let (wanted, now) = (
                    before.clients[usize::from(client)].fence,
                    after.clients[usize::from(client)].fence,
                );
                if now > wanted {
                    format!(
                        "raise: node {node} refuses fence {wanted} to client {}, which takes {now}",
                        name(client)
                    )
                } else {
                    format!(
                        "raise: node {node} raises its fence to at least {wanted} for client {}",
                        name(client)
                    )
                }
            }
            Step::HandOut { client } => {
                format!(
                    "client {} has its lease, fence {}",
                    name(client),
                    before.clients[usize::from(client)].fence
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
