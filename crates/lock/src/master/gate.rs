//! The gate of strict mode: after a failover or restart nothing new is granted until every lease
//! from before has lapsed, or the new master was found to have all of them.
//!
//! Steps, named as the scripts and the model name them: `gate_claim` writes that this incarnation
//! is pending; `WAIT` shows that a majority of the data nodes has that, after which a deposed
//! master can confirm nothing; `gate_open` sets the time from which on grants are given. The
//! Sentinels are asked between the reading of `sync_full` and the claim that names it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::master::confirm::Confirmed;
use crate::master::gate_replies::{Claimed, Opened, PendingClaim};
use crate::master::link::{Link, OpenGate};
use crate::master::server_clock::{Estimate, LastMaster};
use crate::master::state::State;
use crate::master::takeover::{self, Replicas};
use crate::protocol::keys::GateKeys;
use crate::protocol::reply::{self, info_field};
use crate::protocol::script::{GATE_CLAIM, GATE_OPEN, ScriptCall};
use crate::telemetry;
use crate::transport::server_errors::Failure;
use crate::unavailable::Cause;

/// Between attempts at a claim that is not confirmed yet.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the Sentinels may take to name the master again.
const NAMING_LIMIT: Duration = Duration::from_secs(1);
/// Replicas may come and go while the gate is claimed; after this many times the caller comes back.
const ROUNDS: usize = 4;

/// How the gate stands for a client that asks for a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Open after so long; at once if zero.
    OpenIn(Duration),
    /// The claim is on too few data nodes as yet, or the Sentinels do not name the master.
    Unconfirmed,
    /// The node turned out to be another incarnation than the link was made for.
    OtherIncarnation,
}

/// How the gate of a data set stands, as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum GateState {
    /// There is no gate, or nothing is known of it yet.
    #[default]
    Unknown,
    Open,
    /// A claim is not confirmed yet, because.
    Pending {
        reason: String,
    },
    Closed {
        until: Instant,
        reason: String,
    },
}

/// What a gatekeeper needs to know.
#[derive(Clone)]
pub(crate) struct GateSettings {
    /// `LOCK_MAX_TTL`.
    pub(crate) longest: Duration,
    /// `LOCK_MAX_CLOCK_SKEW`: how far apart the data nodes' clocks may be where it is not measured.
    pub(crate) max_clock_skew: Duration,
    /// Who claims, for people.
    pub(crate) owner: String,
    /// How replicas are reached.
    pub(crate) replicas: Replicas,
}

/// Claims and opens the gate of each incarnation that a locker meets.
pub(crate) struct Gatekeeper {
    settings: GateSettings,
    last: LastMaster,
    state: watch::Sender<GateState>,
}

impl Gatekeeper {
    pub(crate) fn new(settings: GateSettings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            last: LastMaster::default(),
            state: watch::Sender::default(),
        })
    }

    /// How the gate stands.
    pub(crate) fn state(&self) -> GateState {
        self.state.borrow().clone()
    }

    /// Claims the gate of every new incarnation as soon as there is a link to it, so that a pause
    /// begins with the failover and not with the first one who asks.
    pub(crate) async fn attend(self: Arc<Self>, mut topology: watch::Receiver<State>) {
        loop {
            let link = match &*topology.borrow_and_update() {
                State::Ready(link) => Some(link.clone()),
                _ => None,
            };
            if let Some(link) = link {
                self.attend_to(&link).await;
                if let Some(estimate) = link.server_clock() {
                    let incarnation = link.incarnation.replication_id.clone();
                    self.last.remember(incarnation, estimate);
                }
            }
            if topology.changed().await.is_err() {
                return;
            }
        }
    }

    /// Until the link ends: claims, and claims again when the Sentinels name its master at a later
    /// epoch than that of the record.
    async fn attend_to(&self, link: &Arc<Link>) {
        loop {
            let mut claimed_again = link.claims_wanted();
            let pause = match self.open(link).await {
                Ok(Gate::OpenIn(remaining)) => remaining,
                Ok(Gate::OtherIncarnation) => {
                    link.close_signal().end(Cause::NotMasterYet);
                    return;
                }
                Ok(Gate::Unconfirmed) | Err(_) => PAUSE,
            };
            let is_open = pause.is_zero();
            tokio::select! {
                _ = link.close_signal().ended() => return,
                _ = claimed_again.changed() => {}
                () = sleep(pause), if !is_open => {}
            }
        }
    }

    /// Claims the gate of the link's incarnation and opens it as far as it may be.
    ///
    /// Cancel safe: every step may be repeated by anyone.
    pub(crate) async fn open(&self, link: &Link) -> Result<Gate, Failure> {
        let Some(keys) = link.gate.clone() else {
            return Ok(Gate::OpenIn(Duration::ZERO));
        };
        let _one_at_a_time = link.opening_gate.lock().await;
        for _ in 0..ROUNDS {
            let (syncs, clock) = self.count_syncs(link).await?;
            let Some(epoch) = link.named_afresh(NAMING_LIMIT).await else {
                return Ok(self.pending("the Sentinels do not name this master"));
            };
            let (claimed, confirmed) = self.claim(link, &keys, epoch, &syncs).await?;
            return match claimed {
                Claimed::Open {
                    remaining,
                    longest,
                    claim,
                } => {
                    let gate = OpenGate { claim, longest };
                    Ok(self.opens(link, remaining, gate, None))
                }
                Claimed::OtherIncarnation => Ok(Gate::OtherIncarnation),
                Claimed::SyncsChanged => continue,
                Claimed::OlderEpoch { record } => Ok(self.pending(&format!(
                    "the gate was claimed at Sentinel's epoch {record}, and the Sentinels name this \
                     master at {epoch}; if they watch it anew (SENTINEL MONITOR), see `Sentinels \
                     that start again` in docs/operations.md"
                ))),
                Claimed::Pending(pending) => {
                    self.open_pending(link, &keys, &pending, confirmed, clock)
                        .await
                }
            };
        }
        Ok(self.pending("replicas keep arriving with histories of their own"))
    }

    /// Records that the gate of the link's incarnation is pending, unless it is claimed already.
    async fn claim(
        &self,
        link: &Link,
        keys: &GateKeys,
        epoch: u64,
        syncs: &str,
    ) -> Result<(Claimed, Confirmed), Failure> {
        let claim = ScriptCall::new(&GATE_CLAIM)
            .key(&keys.record)
            .key(&keys.renewed)
            .key(&keys.counter)
            .argument(&link.incarnation.replication_id)
            .argument(self.settings.longest.as_millis())
            .argument(link.data_nodes())
            .argument(epoch)
            .argument(if link.confirms() { syncs } else { "" })
            .argument(&self.settings.owner);
        let (claimed, confirmed) = link.call_confirmed(claim).await?;
        Ok((link.read(Claimed::parse(&claimed))?, confirmed))
    }

    /// Opens a gate that is pending, once a majority of the data nodes has the claim.
    async fn open_pending(
        &self,
        link: &Link,
        keys: &GateKeys,
        pending: &PendingClaim,
        confirmed: Confirmed,
        clock: Option<Estimate>,
    ) -> Result<Gate, Failure> {
        let data_nodes = pending.data_nodes;
        link.at_least_data_nodes(data_nodes);
        if link.confirms() && !confirmed.by_majority_of(data_nodes) {
            let reason = format!(
                "{} of {data_nodes} data nodes have the claim of this master",
                confirmed.acknowledged
            );
            return Ok(self.pending(&reason));
        }
        let wanted = takeover::Wanted {
            link,
            gate_key: &keys.record,
            claim: pending.claim,
            longest: pending.longest,
        };
        let way = self.way(&wanted, pending.pauses_for, clock).await;
        self.open_claimed(link, &keys.record, pending.claim, way)
            .await
    }

    /// How the gate may be opened after a claim.
    async fn way(
        &self,
        wanted: &takeover::Wanted<'_>,
        pauses_for: Option<&'static str>,
        clock: Option<Estimate>,
    ) -> Way {
        if !wanted.link.confirms() {
            return Way::Fixed;
        }
        if let Some(reason) = pauses_for {
            return Way::Pause {
                reason: reason.to_owned(),
            };
        }
        match self.settings.replicas.have_everything(wanted).await {
            Ok(former) => Way::Fast {
                hold: self.hold(&former, clock),
            },
            Err(reason) => Way::Pause { reason },
        }
    }

    /// How far the new master's clock may be ahead of the last one's.
    fn hold(&self, former: &str, clock: Option<Estimate>) -> Hold {
        let measured = clock.and_then(|clock| self.last.is_behind(former, &clock));
        match measured {
            Some(ahead) => Hold {
                limit: ahead,
                is_measured: true,
            },
            None => Hold {
                limit: self.settings.max_clock_skew,
                is_measured: false,
            },
        }
    }

    async fn open_claimed(
        &self,
        link: &Link,
        key: &str,
        claim: u64,
        way: Way,
    ) -> Result<Gate, Failure> {
        let (mode, hold, reason) = match &way {
            Way::Fast { hold } => ("fast", hold.limit, ""),
            Way::Pause { reason } => ("pause", Duration::ZERO, reason.as_str()),
            Way::Fixed => ("fixed", Duration::ZERO, "a server at a fixed address"),
        };
        let opening = ScriptCall::new(&GATE_OPEN)
            .key(key)
            .argument(&link.incarnation.replication_id)
            .argument(claim)
            .argument(mode)
            .argument(hold.as_millis() + u128::from(!hold.is_zero()))
            .argument(reason);
        let (opened, confirmed) = link.call_confirmed(opening).await?;
        match link.read(Opened::parse(&opened))? {
            Opened::In { remaining, longest } if confirmed.by_majority() => {
                if let Way::Fast { hold } = &way {
                    telemetry::gate_opened_at_once(link, hold.limit, hold.is_measured);
                }
                let gate = OpenGate { claim, longest };
                Ok(self.opens(link, remaining, gate, Some(reason)))
            }
            Opened::In { .. } => Ok(self.pending("the opening is on too few data nodes")),
            Opened::OtherClaim => Ok(self.pending("another client claims the gate")),
            Opened::OtherIncarnation => Ok(Gate::OtherIncarnation),
            Opened::NotAtOnce { uptime } => {
                let reason = format!("the master is up for {uptime:?} only");
                let way = Way::Pause { reason };
                Box::pin(self.open_claimed(link, key, claim, way)).await
            }
        }
    }

    /// Counts the replicas that this life of the master has sent everything to, and reads its clock.
    async fn count_syncs(&self, link: &Link) -> Result<(String, Option<Estimate>), Failure> {
        let connection = link.connection();
        let questions = [&["INFO", "stats"][..], &["TIME"]];
        let limit = connection.command_timeout();
        let sent = Clock::System.now();
        let [stats, time] = link.observe(connection.ask(questions, limit).await)?;
        let stats = link.read(reply::text(&stats))?;
        let syncs = info_field(&stats, "sync_full")
            .unwrap_or_default()
            .to_owned();
        let clock = reply::microseconds(&time).map(|server| Estimate::new(server, sent));
        if let Some(clock) = clock {
            link.saw_clock(clock);
        }
        Ok((syncs, clock))
    }

    fn pending(&self, reason: &str) -> Gate {
        self.set(GateState::Pending {
            reason: reason.to_owned(),
        });
        Gate::Unconfirmed
    }

    /// The gate has a time from which on it is open; the link remembers if that is now.
    fn opens(
        &self,
        link: &Link,
        remaining: Duration,
        gate: OpenGate,
        reason: Option<&str>,
    ) -> Gate {
        let is_open = remaining.is_zero();
        link.set_open_gate(is_open.then_some(gate));
        if is_open {
            if self.set(GateState::Open) {
                telemetry::gate_open(link);
            }
        } else {
            let reason = reason.unwrap_or("another client has claimed it").to_owned();
            let closed = GateState::Closed {
                until: Instant::now() + remaining,
                reason: reason.clone(),
            };
            // A pause that is over may not have been noticed before the next one.
            let is_over = |until: &Instant| *until <= Instant::now();
            let is_told =
                matches!(&*self.state.borrow(), GateState::Closed { until, .. } if !is_over(until));
            if !is_told {
                self.set(closed);
                telemetry::gate_closed(link, remaining, &reason);
            }
        }
        Gate::OpenIn(remaining)
    }

    /// Returns whether the state is another by that.
    fn set(&self, state: GateState) -> bool {
        self.state.send_if_modified(|now| {
            let differs = *now != state;
            *now = state;
            differs
        })
    }
}

/// How a claimed gate is opened.
enum Way {
    /// At once: the replicas have what the last master confirmed.
    Fast { hold: Hold },
    /// After one longest lease.
    Pause { reason: String },
    /// After one longest lease: nothing tells whether this is the same server.
    Fixed,
}

/// For how long a grant is held back while leases of the last master may live.
struct Hold {
    limit: Duration,
    is_measured: bool,
}

#[cfg(test)]
mod tests;
