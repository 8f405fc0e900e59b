//! Opening a verified connection: the server reports its role and incarnation before it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leasehold_config::Endpoint;

use crate::master::confirm::{Confirmer, Subject};
use crate::master::identity::{self, Identity, Role};
use crate::master::supervision::Supervision;
use crate::transport::connection::{CloseSignal, Connection, ConnectionSettings};
use crate::transport::server_errors::Outcome;
use crate::unavailable::{Cause, Unavailable};

/// A connection that was found to lead to a master, and what comes with it.
pub(crate) struct Verified {
    pub(crate) connection: Connection,
    /// What confirms writes, in strict mode.
    pub(crate) confirmer: Option<Confirmer>,
    pub(crate) identity: Identity,
    pub(crate) receives_wakeups: bool,
    pub(crate) tracks_key_changes: bool,
}

#[cfg(test)]
impl Verified {
    /// In tests, a connection to a master in this life of its data.
    pub(crate) fn master(connection: Connection, confirmer: Option<Confirmer>, life: &str) -> Self {
        let incarnation = identity::Incarnation {
            replication_id: Arc::from(life),
            run_id: "run".to_owned(),
        };
        let identity = Identity {
            role: Role::Master,
            incarnation,
            replicas: std::collections::BTreeSet::new(),
            others: 0,
            server_us: None,
        };
        Self {
            connection,
            confirmer,
            identity,
            receives_wakeups: false,
            tracks_key_changes: false,
        }
    }
}

/// Makes verified connections.
#[derive(Clone)]
pub(crate) struct Verifier {
    supervision: Supervision,
    /// Whether the address is configured and not named by Sentinels.
    is_fixed: bool,
    told: Arc<Told>,
}

/// Which warnings were given: each is worth one line per process, not one per connection.
#[derive(Default)]
struct Told {
    of_polling: AtomicBool,
    of_blindness: AtomicBool,
}

impl Verifier {
    pub(crate) fn new(supervision: Supervision, is_fixed: bool) -> Self {
        Self {
            supervision,
            is_fixed,
            told: Arc::default(),
        }
    }

    /// Connects to a node and asks, on the very connections that will be used, whether it is a
    /// master.
    ///
    /// Cancel safe: a dropped attempt closes what it opened.
    pub(crate) async fn verify(&self, node: &Endpoint) -> Result<Verified, Unavailable> {
        let settings = &self.supervision.settings;
        let ending = CloseSignal::default();
        let calls = self.supervision.calls.clone();
        let on_push = move |message| calls.dispatch(&message);
        let connection = match Connection::open(node, settings, ending.clone(), on_push).await {
            Ok(connection) => connection,
            Err(refused) => return Err(self.unless_sentinel(node, refused).await),
        };
        let identity = self.identify(&connection).await?;
        let gate = self.supervision.gate.as_deref();
        let confirmer = if let Some(gate) = gate.filter(|_| self.supervision.confirms) {
            let second = Connection::open(node, settings, ending, |_| {}).await?;
            let again = self.identify(&second).await?;
            if again.incarnation != identity.incarnation {
                return Err(Unavailable::on(node, Cause::NotMasterYet));
            }
            let subject = Subject {
                replication_id: identity.incarnation.replication_id.clone(),
                gate_key: gate.record.as_str().into(),
            };
            Some(Confirmer::new(
                second,
                settings.command_timeout / 2,
                subject,
                again.others,
            ))
        } else {
            None
        };
        let receives_wakeups = self.listen(&connection).await?;
        let tracks_key_changes = self.track(&connection).await?;
        Ok(Verified {
            connection,
            confirmer,
            identity,
            receives_wakeups,
            tracks_key_changes,
        })
    }

    /// A Sentinel knows no `SELECT`, and neither does a server on which it is disabled.
    async fn unless_sentinel(&self, node: &Endpoint, refused: Unavailable) -> Unavailable {
        if !matches!(refused.cause(), Cause::CommandDisabled { command } if command == "SELECT") {
            return refused;
        }
        let settings = ConnectionSettings {
            database: 0,
            ..self.supervision.settings.clone()
        };
        let opened = Connection::open(node, &settings, CloseSignal::default(), |_| {}).await;
        let Ok(connection) = opened else {
            return refused;
        };
        match self.identify(&connection).await {
            Err(other) if *other.cause() == Cause::IsSentinel => other,
            _ => refused,
        }
    }

    async fn identify(&self, connection: &Connection) -> Result<Identity, Unavailable> {
        let identity = identity::read(connection, connection.command_timeout())
            .await
            .map_err(|failure| failure.unavailable)?;
        let cause = match &identity.role {
            Role::Master => return Ok(identity),
            Role::Sentinel => Cause::IsSentinel,
            Role::Replica { master } if self.is_fixed => Cause::IsReplica {
                master: master.clone(),
            },
            Role::Replica { .. } => Cause::NotMasterYet,
        };
        Err(Unavailable::on(connection.node(), cause))
    }

    /// Listens for calls to waiters. Where the server refuses that, waiters poll.
    async fn listen(&self, connection: &Connection) -> Result<bool, Unavailable> {
        let channel = self.supervision.calls.channel.as_str();
        let Err(failure) = connection.subscribe(&[channel]).await else {
            return Ok(true);
        };
        if !failure.unavailable.cause().is_about_the_command() {
            return Err(failure.unavailable);
        }
        if !self.told.of_polling.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                channel,
                error = %failure.unavailable,
                "the server refuses SUBSCRIBE, so a held lock is polled each LOCK_RETRY_INTERVAL \
                 and its waiters are not served in order"
            );
        }
        Ok(false)
    }

    /// Has the server report changes of the keys that we choose: a foreign client that frees its
    /// lock calls nobody. Without it such a release is found by polling.
    async fn track(&self, connection: &Connection) -> Result<bool, Unavailable> {
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("OPTIN");
        let Err(failure) = connection.run(&tracking).await else {
            return Ok(true);
        };
        if failure.outcome == Outcome::Unknown {
            return Err(failure.unavailable);
        }
        if !self.told.of_blindness.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = %failure.unavailable,
                "the server reports no changed keys, so a lock that a plain client frees is noticed \
                 within LOCK_RETRY_INTERVAL"
            );
        }
        Ok(false)
    }
}
