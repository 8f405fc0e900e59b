//! A link: the connection to one incarnation of the master. It serves that incarnation and dies
//! with it, so nobody asks "am I still on the right node?".

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_config::Endpoint;
use redis::{Pipeline, Value};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::clock::{Clock, Moment};
use crate::master::confirm::{Confirmed, Confirmer, Operation};
use crate::master::identity::Incarnation;
use crate::master::look::Look;
use crate::master::server_clock::Estimate;
use crate::master::verify::Verified;
use crate::protocol::fences::Reign;
use crate::protocol::grant::{self, GrantCommands};
use crate::protocol::keys::GateKeys;
use crate::protocol::reply::{self, Unexpected};
use crate::protocol::script::ScriptCall;
use crate::sentinel::Named;
use crate::sync::Mutex;
use crate::transport::connection::{CloseSignal, Connection};
use crate::transport::server_errors::Failure;
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
    /// The keys of the gate, where grants pass one.
    pub(crate) gate: Option<Arc<GateKeys>>,
    open_gate: Mutex<Option<OpenGate>>,
    /// Whether this link hears when a waiter is called.
    pub(crate) receives_wakeups: bool,
    /// Whether the server reports changes of keys that are read with [`Link::read_and_watch`].
    pub(crate) tracks_key_changes: bool,
    /// When the Sentinels were asked that named this master last.
    named_at: watch::Sender<Moment>,
    /// Somebody waits for the Sentinels to be asked again.
    naming: Notify,
    /// Counts what calls for another claim of the gate.
    claims: watch::Sender<u64>,
    server_clock: Mutex<Option<Estimate>>,
    /// Something on this link timed out: its supervisor should look.
    pub(crate) suspected: Notify,
    /// One task at a time claims and opens the gate.
    pub(crate) opening_gate: tokio::sync::Mutex<()>,
}

/// A gate that is known to be open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenGate {
    /// The number of its claim: what is granted counts under this one alone.
    pub(crate) claim: u64,
    /// The longest lease that it allows.
    pub(crate) longest: Duration,
}

impl Link {
    /// Over a connection that was verified to lead to the master that the Sentinels named.
    pub(crate) fn new(
        verified: Verified,
        named: &Named,
        generation: u64,
        gate: Option<Arc<GateKeys>>,
    ) -> Self {
        let identity = verified.identity;
        let data_nodes = named.data_nodes.max(1 + identity.replicas.len());
        Self {
            connection: verified.connection,
            confirmer: verified.confirmer,
            incarnation: identity.incarnation,
            generation,
            epoch: AtomicU64::new(named.epoch),
            data_nodes: AtomicU64::new(data_nodes as u64),
            down_after: named.down_after,
            gate,
            open_gate: Mutex::default(),
            receives_wakeups: verified.receives_wakeups,
            tracks_key_changes: verified.tracks_key_changes,
            named_at: watch::Sender::new(Clock::System.now()),
            naming: Notify::new(),
            claims: watch::Sender::default(),
            server_clock: Mutex::default(),
            suspected: Notify::new(),
            opening_gate: tokio::sync::Mutex::new(()),
        }
    }

    /// What a fence counter is set to the server's time for.
    pub(crate) fn reign(&self) -> Reign {
        Reign {
            link: self.generation,
            epoch: self.epoch(),
        }
    }

    /// The same for all clients: the life of the data, and Sentinel's epoch, because a master that was
    /// deposed and is promoted again may have the same life.
    /// Empty where the claim of a gate sets the counter.
    pub(crate) fn reign_id(&self) -> String {
        if self.gate.is_some() {
            return String::new();
        }
        let Incarnation {
            replication_id,
            run_id,
        } = &self.incarnation;
        format!("{replication_id}:{run_id}:{}", self.epoch())
    }

    pub(crate) fn node(&self) -> &Endpoint {
        self.connection.node()
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn close_signal(&self) -> &CloseSignal {
        self.connection.close_signal()
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
        self.named_at.send_replace(asked_at);
    }

    /// Waits until a majority of the Sentinels, asked from now on, has named this master, and returns the
    /// epoch at which they did. `None`: they have not within `limit`.
    ///
    /// Cancel safe.
    pub(crate) async fn named_afresh(&self, limit: Duration) -> Option<u64> {
        if self.down_after.is_none() {
            return Some(self.epoch());
        }
        let since = Clock::System.now();
        let mut named_at = self.named_at.subscribe();
        self.naming.notify_one();
        let afresh = named_at.wait_for(|named_at| named_at.is_since(since));
        match timeout(limit, afresh).await {
            Ok(Ok(_)) => Some(self.epoch()),
            _ => None,
        }
    }

    /// Waits until somebody wants the Sentinels to be asked again.
    ///
    /// Cancel safe.
    pub(crate) async fn naming_wanted(&self) {
        self.naming.notified().await;
    }

    /// Follows what calls for another claim of the gate from now on.
    pub(crate) fn claims_wanted(&self) -> watch::Receiver<u64> {
        self.claims.subscribe()
    }

    /// Remembers a reading of the server's clock.
    pub(crate) fn saw_clock(&self, estimate: Estimate) {
        let mut known = self.server_clock.lock();
        *known = Some(estimate.or_better(*known));
    }

    pub(crate) fn server_clock(&self) -> Option<Estimate> {
        *self.server_clock.lock()
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
        let named_at = *self.named_at.borrow();
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
    pub(crate) async fn call(&self, call: ScriptCall) -> Result<Value, Failure> {
        let result = self.connection.call(&call).await;
        self.observe(result)
    }

    /// Runs a script on the master and waits until a majority of the data nodes has its write.
    /// Where the link confirms nothing (relaxed mode) every write counts as confirmed.
    pub(crate) async fn call_confirmed(
        &self,
        call: ScriptCall,
    ) -> Result<(Value, Confirmed), Failure> {
        let Some(confirmer) = &self.confirmer else {
            return Ok((self.call(call).await?, Confirmed::not_asked()));
        };
        let (mut replies, confirmed) = self.confirm(confirmer, Operation::Script(call)).await?;
        Ok((replies.pop().unwrap_or(Value::Nil), confirmed))
    }

    /// Grants by plain commands, and waits until a majority of the data nodes has the lock.
    pub(crate) async fn grant_confirmed(
        &self,
        grant: &GrantCommands,
    ) -> Result<(Vec<Value>, Confirmed), Failure> {
        if let Some(confirmer) = &self.confirmer {
            return self
                .confirm(confirmer, Operation::Grant(grant.clone()))
                .await;
        }
        let mut commands = Pipeline::with_capacity(grant::COMMANDS);
        grant.add_to(&mut commands);
        let limit = self.connection.command_timeout();
        let replies = self.observe(self.connection.run_all(&commands, limit).await)?;
        let replies = self.observe(GrantCommands::checked(&self.connection, replies))?;
        Ok((replies, Confirmed::not_asked()))
    }

    async fn confirm(
        &self,
        confirmer: &Confirmer,
        operation: Operation,
    ) -> Result<(Vec<Value>, Confirmed), Failure> {
        let sent = Clock::System.now();
        let result = confirmer.run(operation, self.data_nodes()).await;
        let (replies, confirmed) = self.observe(result)?;
        if let Some(look) = confirmed.look {
            self.saw_clock(Estimate::new(look.server_us, sent));
            self.looked(look);
        }
        Ok((replies, confirmed))
    }

    /// For how long a grant that was confirmed is held back, to be written again; `None` if it counts, or is
    /// void, as it is.
    pub(crate) fn held_back(&self, confirmed: Confirmed, claim: u64) -> Option<Duration> {
        let look = (confirmed.look).filter(|look| self.allows_grants(*look, claim))?;
        look.held_back
    }

    /// Whether a grant under this claim of the gate is void: the server has it, but what was seen when it was
    /// confirmed does not let it count.
    pub(crate) fn is_void(&self, confirmed: Confirmed, claim: u64) -> bool {
        (confirmed.look).is_some_and(|look| !self.allows_grants(look, claim))
    }

    /// Whether a grant that was made under this claim of the gate, and confirmed, counts. Where the Sentinels
    /// have named this master at a later epoch than the record's, another may have been in between.
    fn allows_grants(&self, look: Look, claim: u64) -> bool {
        look.allows_grants(claim) && look.epoch >= self.epoch()
    }

    /// Remembers whether the gate is open, and how many data nodes it knows of. A record of an epoch
    /// before the Sentinels' is to be claimed anew.
    fn looked(&self, look: Look) {
        let open_claim = look.open_claim().filter(|_| look.epoch >= self.epoch());
        self.set_open_gate(open_claim.map(|claim| OpenGate {
            claim,
            longest: look.longest,
        }));
        self.at_least_data_nodes(look.data_nodes);
        let is_outdated = look.is_claimed && look.epoch < self.epoch();
        if look.is_incarnation && (is_outdated || !look.is_claimed) {
            self.claims.send_modify(|claims| *claims += 1);
        }
    }

    /// Records that the gate is open, or not known to be.
    pub(crate) fn set_open_gate(&self, gate: Option<OpenGate>) {
        *self.open_gate.lock() = gate;
    }

    /// The claim of the gate under which plain commands may grant a lease of `ttl` over this link, 0 where
    /// there is no gate. `None`: the gate is not known to be open, or nothing looks at it again behind a
    /// confirmation, so that the script has to pass it.
    pub(crate) fn claim_for_commands(&self, ttl: Duration) -> Option<u64> {
        if self.gate.is_none() {
            return Some(0);
        }
        self.confirmer.as_ref()?;
        let gate = *self.open_gate.lock();
        gate.filter(|gate| ttl <= gate.longest)
            .map(|gate| gate.claim)
    }

    /// Runs a script on the master after everything that was sent to be confirmed before: on another
    /// connection it could overtake the grant that it is to undo.
    pub(crate) async fn call_behind_grants(&self, call: ScriptCall) -> Result<Value, Failure> {
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
        Ok(self.read(reply::array(&values))?.contains(&Value::Nil))
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
                cause @ (Cause::ReadOnly | Cause::MasterDown) => {
                    self.close_signal().end(cause.clone());
                }
                Cause::Timeout { .. } => self.suspected.notify_one(),
                _ => {}
            }
        }
        result
    }

    /// As [`Connection::read`].
    pub(crate) fn read<T>(&self, parsed: Result<T, Unexpected>) -> Result<T, Failure> {
        self.connection.read(parsed)
    }
}
