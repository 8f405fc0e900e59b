//! Keeps exactly one verified link to the master, or says why there is none.
//!
//! One task, one loop: find the master, connect, verify on the very connection to be used, publish;
//! watch over the link until it ends; drop it *before* looking for the next. It never gives up, and
//! nothing it met before keeps it from trying again.

use std::sync::Arc;
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::classify::Outcome;
use super::confirm::Confirmer;
use super::connection::{Connection, ConnectionSettings, Ending};
use super::identity::{self, Identity, Role};
use super::link::{Link, LinkParts};
use super::source::{Named, Source};
use super::topology::State;
use crate::clock::Clock;
use crate::unavailable::{Cause, Unavailable};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Wrong credentials are tried seldom: servers and auditors count the attempts.
const PAUSE_AFTER_REFUSED_CREDENTIALS: Duration = Duration::from_secs(5);
/// How soon to ask again while the Sentinels are about to agree on another master.
const PAUSE_WHILE_SENTINELS_DISAGREE: Duration = Duration::from_millis(100);

/// How to supervise a data set.
#[derive(Clone)]
pub(crate) struct Supervision {
    pub(crate) settings: ConnectionSettings,
    /// Whether writes are to be confirmed on a majority of the data nodes.
    pub(crate) confirms: bool,
    /// Whether grants pass the gate of the incarnation.
    pub(crate) gated: bool,
    pub(crate) calls: Calls,
}

/// How waiters are called.
#[derive(Clone)]
pub(crate) struct Calls {
    /// The channel that is this locker's own.
    pub(crate) channel: String,
    pub(crate) on_call: Arc<dyn Fn(Call<'_>) + Send + Sync>,
}

/// One call to a waiter. Only ever a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call<'a> {
    /// The resource is free and it is this locker's turn.
    Free(&'a str),
    /// Somebody else was called, and this locker is next should it not answer.
    Soon(&'a str),
    /// A lock key that was read for this purpose has changed.
    Changed(&'a str),
}

pub(crate) struct Supervisor {
    source: Source,
    supervision: Supervision,
    publish: watch::Sender<State>,
    generation: u64,
    told_of_polling: bool,
    told_of_blindness: bool,
}

impl Supervisor {
    pub(crate) fn new(
        source: Source,
        supervision: Supervision,
        publish: watch::Sender<State>,
    ) -> Self {
        Self {
            source,
            supervision,
            publish,
            generation: 0,
            told_of_polling: false,
            told_of_blindness: false,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.publish.is_closed() {
            match self.establish().await {
                Ok(link) => {
                    tracing::info!(
                        node = %link.node(), epoch = link.epoch(), generation = link.generation,
                        "connected to the master"
                    );
                    let established = Instant::now();
                    self.publish.send_replace(State::Ready(link.clone()));
                    let cause = self.watch_over(&link).await;
                    link.ending().end(cause.clone());
                    tracing::warn!(node = %link.node(), %cause, "lost the master");
                    self.publish_down(Unavailable::on(link.node(), cause));
                    if established.elapsed() > 5 * LONGEST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                }
                Err(unavailable) => {
                    tracing::debug!(%unavailable, "no master");
                    let pause_now = self.pause_after(&unavailable, &mut pause);
                    self.publish_down(unavailable);
                    pause_now.wait(&self.source).await;
                }
            }
        }
    }

    fn publish_down(&self, unavailable: Unavailable) {
        let unavailable = if self.source.is_fixed() {
            unavailable
        } else {
            unavailable.of_named_master()
        };
        self.publish.send_replace(State::Down(unavailable));
    }

    /// Finds the master and returns a verified link to it.
    async fn establish(&mut self) -> Result<Arc<Link>, Unavailable> {
        let named = self.source.master().await?;
        let ending = Ending::default();
        let calls = self.supervision.calls.clone();
        let connection = self
            .connect(&named, &ending, move |message| calls.dispatch(&message))
            .await?;
        let identity = self.identify(&connection, &named).await?;
        let confirmer = if self.supervision.confirms {
            let second = self.connect(&named, &ending, |_| {}).await?;
            let again = self.identify(&second, &named).await?;
            if again.incarnation != identity.incarnation {
                return Err(Unavailable::on(&named.endpoint, Cause::NotMasterYet));
            }
            Some(Confirmer::new(
                second,
                self.supervision.settings.command_timeout / 2,
            ))
        } else {
            None
        };

        let hears_calls = self.listen(&connection).await?;
        let sees_changes = self.track(&connection).await?;

        // The Sentinels may have moved on while the connection was made.
        let asked_at = Clock::System.now();
        let named_again = self.source.master().await?;
        if (&named_again.endpoint, named_again.epoch) != (&named.endpoint, named.epoch) {
            return Err(Unavailable::on(&named.endpoint, Cause::NotMasterYet));
        }
        self.generation += 1;
        let link = Link::new(LinkParts {
            connection,
            confirmer,
            incarnation: identity.incarnation,
            generation: self.generation,
            epoch: named_again.epoch,
            data_nodes: named_again.data_nodes.max(1 + identity.connected_replicas),
            down_after: named_again.down_after,
            gated: self.supervision.gated,
            hears_calls,
            sees_changes,
        });
        link.named(asked_at, link.epoch());
        Ok(Arc::new(link))
    }

    async fn connect(
        &self,
        named: &Named,
        ending: &Ending,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Connection, Unavailable> {
        let settings = &self.supervision.settings;
        Connection::open(&named.endpoint, settings, ending.clone(), on_push).await
    }

    /// Listens for calls to waiters. A user without the right to is served by polling.
    async fn listen(&mut self, connection: &Connection) -> Result<bool, Unavailable> {
        let channel = self.supervision.calls.channel.as_str();
        let Err(failure) = connection.subscribe(&[channel]).await else {
            return Ok(true);
        };
        if !matches!(failure.unavailable.cause(), Cause::NoPermission { .. }) {
            return Err(failure.unavailable);
        }
        if !std::mem::replace(&mut self.told_of_polling, true) {
            tracing::warn!(
                channel,
                "this user may not subscribe to its channel, so a held lock is polled each \
                 LOCK_RETRY_INTERVAL and its waiters are not served in order"
            );
        }
        Ok(false)
    }

    /// Has the server report changes of the keys that we choose: a foreign client that frees its
    /// lock calls nobody. Without it such a release is found by polling.
    async fn track(&mut self, connection: &Connection) -> Result<bool, Unavailable> {
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON").arg("OPTIN");
        let Err(failure) = connection.run(&tracking).await else {
            return Ok(true);
        };
        if failure.outcome == Outcome::Unknown {
            return Err(failure.unavailable);
        }
        if !std::mem::replace(&mut self.told_of_blindness, true) {
            tracing::warn!(
                error = %failure.unavailable,
                "the server reports no changed keys, so a lock that a plain client frees is noticed \
                 within LOCK_RETRY_INTERVAL"
            );
        }
        Ok(false)
    }

    async fn identify(
        &self,
        connection: &Connection,
        named: &Named,
    ) -> Result<Identity, Unavailable> {
        let limit = self.supervision.settings.command_timeout;
        let identity = identity::read(connection, limit)
            .await
            .map_err(|failure| failure.unavailable)?;
        let cause = match &identity.role {
            Role::Master => return Ok(identity),
            Role::Sentinel => Cause::IsSentinel,
            Role::Replica { master } if self.source.is_fixed() => Cause::IsReplica {
                master: master.clone(),
            },
            Role::Replica { .. } => Cause::NotMasterYet,
        };
        Err(Unavailable::on(&named.endpoint, cause))
    }

    /// Returns why the link has to be given up.
    async fn watch_over(&mut self, link: &Arc<Link>) -> Cause {
        let mut next_check = Instant::now() + self.jittered(self.source.reconcile_every());
        loop {
            tokio::select! {
                biased;
                cause = link.ending().ended() => return cause,
                () = self.publish.closed() => return Cause::Disconnected,
                () = link.suspected.notified() => {
                    if let Err(cause) = probe(link).await {
                        return cause;
                    }
                }
                () = self.source.hint() => next_check = Instant::now(),
                () = sleep_until(next_check) => match self.reconcile(link).await {
                    Ok(pause) => next_check = Instant::now() + pause,
                    Err(cause) => return cause,
                },
            }
        }
    }

    /// Asks again who is master, and the link's own node who it is. Returns when to ask next.
    async fn reconcile(&mut self, link: &Arc<Link>) -> Result<Duration, Cause> {
        let asked_at = Clock::System.now();
        let asking = self.source.master();
        let named = tokio::select! {
            biased;
            cause = link.ending().ended() => return Err(cause),
            named = asking => named,
        };
        let pause = match named {
            Ok(named) if &named.endpoint == link.node() => {
                link.named(asked_at, named.epoch);
                link.at_least_data_nodes(named.data_nodes);
                self.jittered(self.source.reconcile_every())
            }
            Ok(named) => return Err(Cause::Superseded { by: named.endpoint }),
            Err(unavailable) => match unavailable.cause() {
                Cause::SentinelsDisagree { .. } => PAUSE_WHILE_SENTINELS_DISAGREE,
                _ => {
                    tracing::warn!(%unavailable, "the master is not confirmed");
                    self.jittered(LONGEST_PAUSE)
                }
            },
        };
        self.check_incarnation(link).await?;
        Ok(pause)
    }

    async fn check_incarnation(&self, link: &Arc<Link>) -> Result<(), Cause> {
        let limit = self.supervision.settings.command_timeout;
        match link.observe(identity::read(link.connection(), limit).await) {
            Ok(identity) if identity.role != Role::Master => Err(Cause::ReadOnly),
            Ok(identity) if identity.incarnation != link.incarnation => Err(Cause::NotMasterYet),
            Ok(identity) => {
                link.at_least_data_nodes(1 + identity.connected_replicas);
                Ok(())
            }
            // A slow or refusing node is the business of `suspected`; it is still the master.
            Err(_) => Ok(()),
        }
    }

    fn pause_after(&self, unavailable: &Unavailable, pause: &mut Duration) -> Pause {
        match unavailable.cause() {
            Cause::NoPassword | Cause::WrongPassword => Pause {
                length: PAUSE_AFTER_REFUSED_CREDENTIALS,
                hints: false,
            },
            Cause::SentinelsDisagree { .. } | Cause::NotMasterYet => Pause {
                length: PAUSE_WHILE_SENTINELS_DISAGREE,
                hints: true,
            },
            _ => {
                let length = self.jittered(*pause);
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                Pause {
                    length,
                    hints: true,
                }
            }
        }
    }

    /// `around` ± 20 %, so that many clients do not ask in step.
    fn jittered(&self, around: Duration) -> Duration {
        around.mul_f64(0.8 + 0.4 * fastrand::f64())
    }
}

struct Pause {
    length: Duration,
    hints: bool,
}

impl Pause {
    async fn wait(&self, source: &Source) {
        tokio::select! {
            () = sleep(self.length) => {}
            () = source.hint(), if self.hints => {}
        }
    }
}

impl Calls {
    /// Reads a message on our channel: `free <name>` or `soon <name>`.
    fn dispatch(&self, message: &PushInfo) {
        match message.kind {
            PushKind::Message => {}
            PushKind::Invalidate => return self.dispatch_changes(message),
            _ => return,
        }
        let Some(Value::BulkString(payload)) = message.data.get(1) else {
            return;
        };
        let Ok(payload) = std::str::from_utf8(payload) else {
            return;
        };
        match payload.split_once(' ') {
            Some(("free", name)) => (self.on_call)(Call::Free(name)),
            Some(("soon", name)) => (self.on_call)(Call::Soon(name)),
            _ => {}
        }
    }

    /// Reads an invalidation: the keys that changed. The one that means "all" comes with the loss
    /// of the data set, and its waiters poll.
    fn dispatch_changes(&self, message: &PushInfo) {
        let Some(Value::Array(keys)) = message.data.first() else {
            return;
        };
        for key in keys {
            if let Value::BulkString(key) = key
                && let Ok(key) = std::str::from_utf8(key)
            {
                (self.on_call)(Call::Changed(key));
            }
        }
    }
}

/// Two unanswered PINGs in a row end a link: a socket that does not answer is never kept.
async fn probe(link: &Link) -> Result<(), Cause> {
    const EACH: Duration = Duration::from_millis(500);
    let mut ping = redis::pipe();
    ping.cmd("PING");
    let mut last = Cause::Timeout { after: EACH };
    for _ in 0..2 {
        match link.connection().run_all(&ping, EACH).await {
            Ok(_) => return Ok(()),
            Err(failure) => last = failure.unavailable.cause().clone(),
        }
    }
    Err(last)
}
