//! Sending on an open connection: every command has a deadline, and none outlives the connection.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::Endpoint;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};

use super::classify::{self, Failure};
use super::connection::Ending;
use super::deadlines::{Deadlines, Overdue};
use crate::unavailable::{Cause, Unavailable};

/// The way to one server; clones share it.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) node: Endpoint,
    pub(super) multiplexed: MultiplexedConnection,
    pub(super) command_timeout: Duration,
    pub(super) ending: Ending,
    pub(super) deadlines: Arc<Deadlines>,
}

impl Wire {
    /// Runs one command. An error reply stays a value.
    pub(super) async fn send(&self, command: &Cmd) -> Result<Value, Failure> {
        self.send_for(1, command).await
    }

    /// Runs one command that stands for so many requests. An error reply stays a value.
    pub(super) async fn send_for(&self, requests: usize, command: &Cmd) -> Result<Value, Failure> {
        let mut multiplexed = self.multiplexed.clone();
        let reply = pin!(multiplexed.send_packed_command(command));
        self.bounded(requests, self.command_timeout, reply).await
    }

    /// Runs several commands in one go, within `limit`. Error replies stay values.
    pub(super) async fn send_all(
        &self,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, Failure> {
        let mut multiplexed = self.multiplexed.clone();
        let replies = pin!(multiplexed.send_packed_commands(commands, 0, commands.len()));
        self.bounded(commands.len(), limit, replies).await
    }

    pub(super) async fn subscribe(&self, channels: &[&str]) -> Result<(), Failure> {
        let mut multiplexed = self.multiplexed.clone();
        let confirmed = pin!(multiplexed.subscribe(channels));
        self.bounded(1, self.command_timeout, confirmed).await
    }

    /// Waits for a reply. It comes pinned: a large future is copied each time it is handed on.
    async fn bounded<T>(
        &self,
        requests: usize,
        limit: Duration,
        reply: Pin<&mut impl Future<Output = redis::RedisResult<T>>>,
    ) -> Result<T, Failure> {
        let failed = |cause| Failure::unknown(Unavailable::on(&self.node, cause));
        if self.ending.has_ended() {
            let cause = self.ending.cause();
            return Err(Failure::not_applied(Unavailable::on(&self.node, cause)));
        }
        match self.deadlines.within(requests, limit, reply).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => {
                let (cause, outcome) = classify::command_error(&error);
                Err(Failure {
                    unavailable: Unavailable::on(&self.node, cause),
                    outcome,
                })
            }
            Err(Overdue::TimedOut) => Err(failed(Cause::Timeout { after: limit })),
            Err(Overdue::Ended) => Err(failed(self.ending.cause())),
        }
    }
}
