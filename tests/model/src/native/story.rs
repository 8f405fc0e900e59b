//! A trace in words.

use super::state::{CLIENTS, LOCKS, Phase, State};
use super::{Native, Step};
use crate::report::Tale;

impl Tale for Native {
    fn tell(&self, before: &State, step: Step, after: &State) -> String {
        let name = |client: u8| ['A', 'B'][usize::from(client)];
        let of = |client: u8| &after.clients[usize::from(client)];
        let line = match step {
            Step::Tick => format!("a tick passes; the clock gives fence {}", after.clock()),
            Step::Copy => "the replica, or the disk, has what the master has".to_owned(),
            Step::Failover => format!(
                "the copy takes over, its counter is {}; every link ends",
                after.data.counter
            ),
            Step::Flush => "somebody flushes the data set".to_owned(),
            Step::RestartEmpty => "the master restarts with an empty memory".to_owned(),
            Step::Connect { client } => format!(
                "client {} makes a link; the counter is {}",
                name(client),
                after.data.counter
            ),
            Step::Send { client, lock } => {
                format!("client {} sends its pipeline for lock {lock}", name(client))
            }
            Step::Set { client } => {
                format!("SET: the lock has the token of client {}", name(client))
            }
            Step::Incr { client } => {
                format!(
                    "INCR: client {} is given fence {}",
                    name(client),
                    after.data.counter
                )
            }
            Step::Get { client } => {
                format!("GET: client {} reads who holds the lock", name(client))
            }
            Step::Transaction { client } | Step::Script { client } => format!(
                "client {} sets the lock and is given fence {} in one step",
                name(client),
                of(client).fence
            ),
            Step::LoseReply { client } => {
                format!("the connection of client {} breaks", name(client))
            }
            Step::LateSet { client } => {
                format!(
                    "a SET of client {} runs that was given up for lost",
                    name(client)
                )
            }
            Step::Release { client } => format!("client {} releases", name(client)),
            Step::GiveUp { client } => format!("client {} lets go", name(client)),
            Step::ForceDelete { lock } => format!("somebody deletes lock {lock} by force"),
        };
        line + &counted(before, after)
    }
}

/// Who holds since this step, and what it broke.
fn counted(before: &State, after: &State) -> String {
    let mut said = String::new();
    for (name, client) in ['A', 'B'].iter().zip(0..CLIENTS) {
        let (was, is) = (&before.clients[client], &after.clients[client]);
        if was.phase != Phase::Holding && is.phase == Phase::Holding {
            said += &format!(
                "; client {name} holds lock {} with fence {}",
                is.lock, is.fence
            );
        }
    }
    if (0..LOCKS as u8).any(|lock| after.holders(lock) > 1) {
        said += " -- TWO HOLDERS";
    }
    if after.fence_went_back && !before.fence_went_back {
        said += " -- ITS FENCE IS NOT GREATER than one that was granted before";
    }
    said
}
