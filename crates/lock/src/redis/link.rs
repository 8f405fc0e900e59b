//! A link: the connection to one incarnation of the master. It serves that incarnation and dies
//! with it, so nobody asks "am I still on the right node?".

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leasehold_config::Endpoint;
use redis::Value;
use tokio::sync::Notify;

use super::classify::{Failure, Outcome};
use super::confirm::{Confirmed, Confirmer};
use super::connection::{Connection, Ending};
use super::identity::Incarnation;
use super::invocation::Invocation;
use super::reply::{self, Unexpected};
use crate::clock::{Clock, Moment};
use crate::unavailable::{Cause, Unavailable};

/// How much longer than Sentinel's patience (`down-after`) it counts that a majority of the Sentinels
/// named this master.
pub(crate) const NAMED_FOR: Duration = Duration::from_secs(5);

/// A verified connection to the master, and what is known of it.
pub(crate) struct Link {
    connection: Connection,
    confirmer: Option<Confirmer>,
    pub(crate) incarnation: Incarnation,
    /// Counts the links of one locker; a greater one is newer.
    pub(crate) generation: u64,
    epoch: AtomicU64,
    data_nodes: AtomicU64,
    /// How long Sentinel waits before it declares a master down; `None` without Sentinel.
    pub(crate) down_after: Option<Duration>,
    /// Whether grants pass the gate of the incarnation.
    pub(crate) is_gated: bool,
    /// Whether this link hears when a waiter is called.
    pub(crate) hears_calls: bool,
    /// Whether the server reports changes of keys that are read with [`Link::read_and_watch`].
    pub(crate) sees_changes: bool,
    named_at: Mutex<Moment>,
    /// Something on this link timed out: whoever supervises it should look.
    pub(crate) suspected: Notify,
    /// One task at a time claims and opens the gate.
    pub(crate) opening_gate: tokio::sync::Mutex<()>,
}

/// What a link is made of.
pub(crate) struct LinkParts {
    pub(crate) connection: Connection,
    pub(crate) confirmer: Option<Confirmer>,
    pub(crate) incarnation: Incarnation,
    pub(crate) generation: u64,
    pub(crate) epoch: u64,
    pub(crate) data_nodes: usize,
    pub(crate) down_after: Option<Duration>,
    pub(crate) gated: bool,
    pub(crate) hears_calls: bool,
    pub(crate) sees_changes: bool,
}

impl Link {
    pub(crate) fn new(parts: LinkParts) -> Self {
        Self {
            connection: parts.connection,
            confirmer: parts.confirmer,
            incarnation: parts.incarnation,
            generation: parts.generation,
            epoch: AtomicU64::new(parts.epoch),
            data_nodes: AtomicU64::new(parts.data_nodes as u64),
            down_after: parts.down_after,
            is_gated: parts.gated,
            hears_calls: parts.hears_calls,
            sees_changes: parts.sees_changes,
            named_at: Mutex::new(Clock::System.now()),
            suspected: Notify::new(),
            opening_gate: tokio::sync::Mutex::new(()),
        }
    }

    pub(crate) fn node(&self) -> &Endpoint {
        self.connection.node()
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn ending(&self) -> &Ending {
        self.connection.ending()
    }

    /// Sentinel's configuration epoch, 0 without Sentinel.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Data nodes that Sentinel knows, the master included.
    pub(crate) fn data_nodes(&self) -> usize {
        usize::try_from(self.data_nodes.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Records that a majority of the Sentinels named this master when asked at `asked_at`.
    pub(crate) fn named(&self, asked_at: Moment, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
        if let Ok(mut named_at) = self.named_at.lock() {
            *named_at = asked_at;
        }
    }

    /// Records a greater number of data nodes. A smaller one never counts while the link lives: a
    /// node that is out of sight may still be promoted.
    pub(crate) fn at_least_data_nodes(&self, data_nodes: usize) {
        self.data_nodes
            .fetch_max(data_nodes as u64, Ordering::Relaxed);
    }

    /// Refuses when no majority of the Sentinels has named this master for so long that they may
    /// have promoted another.
    pub(crate) fn check_named(&self) -> Result<(), Unavailable> {
        let Some(down_after) = self.down_after else {
            return Ok(());
        };
        let Ok(named_at) = self.named_at.lock().map(|named_at| *named_at) else {
            return Ok(());
        };
        let since = Clock::System.elapsed_since(named_at);
        if since <= down_after + NAMED_FOR {
            return Ok(());
        }
        Err(Unavailable::on(
            self.node(),
            Cause::MasterUnconfirmed { since },
        ))
    }

    /// Runs a script on the master.
    pub(crate) async fn call(&self, call: impl Into<Invocation>) -> Result<Value, Failure> {
        let result = self.connection.call(&call.into()).await;
        self.observe(result)
    }

    /// Runs a script on the master and waits until a majority of the data nodes has its write.
    /// Where the link confirms nothing (relaxed mode) every write counts as confirmed.
    pub(crate) async fn call_confirmed(
        &self,
        call: impl Into<Invocation>,
    ) -> Result<(Value, Confirmed), Failure> {
        let call = call.into();
        let result = match &self.confirmer {
            Some(confirmer) => confirmer.call(call, self.data_nodes()).await,
            None => self
                .connection
                .call(&call)
                .await
                .map(|reply| (reply, Confirmed::not_asked())),
        };
        self.observe(result)
    }

    /// Runs a script on the master after every script that was sent with [`Link::call_confirmed`]
    /// before: on another connection it could overtake the grant that it is to undo.
    pub(crate) async fn call_behind_grants(
        &self,
        call: impl Into<Invocation>,
    ) -> Result<Value, Failure> {
        self.call_confirmed(call).await.map(|(reply, _)| reply)
    }

    /// Reads keys and has the server report the next change of any of them. Returns whether one of
    /// them is missing already.
    pub(crate) async fn read_and_watch(&self, keys: &[Arc<str>]) -> Result<bool, Failure> {
        let mut reading = redis::pipe();
        reading.cmd("CLIENT").arg("CACHING").arg("YES").cmd("MGET");
        for key in keys {
            reading.arg(&**key);
        }
        let result = self
            .connection
            .run_all(&reading, self.connection.command_timeout())
            .await;
        let mut replies = self.observe(result)?;
        let values = self
            .connection
            .checked(replies.pop().unwrap_or(Value::Nil))?;
        let values = reply::array(&values).map_err(|unexpected| self.unexpected(unexpected))?;
        Ok(values.contains(&Value::Nil))
    }

    /// Whether writes are confirmed on a majority of the data nodes.
    pub(crate) fn confirms(&self) -> bool {
        self.confirmer.is_some()
    }

    /// Ends the link at once when an error proves that its node is not the master any more, and has
    /// it examined when a command went unanswered.
    pub(crate) fn observe<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &result {
            match failure.unavailable.cause() {
                cause @ (Cause::ReadOnly | Cause::MasterDown) => self.ending().end(cause.clone()),
                Cause::Timeout { .. } => self.suspected.notify_one(),
                _ => {}
            }
        }
        result
    }

    /// The failure of a reply that the protocol does not know.
    pub(crate) fn unexpected(&self, unexpected: Unexpected) -> Failure {
        let cause = Cause::Protocol {
            detail: unexpected.detail,
        };
        Failure {
            unavailable: Unavailable::on(self.node(), cause),
            outcome: Outcome::Unknown,
        }
    }
}
