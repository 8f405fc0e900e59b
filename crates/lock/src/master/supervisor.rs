//! Keeps exactly one verified link to the master, or says why there is none.
//!
//! One task, one loop: find the master, connect, verify on the very connection to be used, publish;
//! watch over the link until it ends; drop it *before* looking for the next. It never gives up, and
//! nothing it met before keeps it from trying again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock::Clock;
use crate::master::identity::{self, Role};
use crate::master::link::Link;
use crate::master::server_clock::Estimate;
use crate::master::source::Source;
use crate::master::state::State;
use crate::master::supervision::Supervision;
use crate::master::verify::Verifier;
use crate::protocol::keys::GateKeys;
use crate::sentinel::Named;
use crate::telemetry::MasterEvents;
use crate::unavailable::{Cause, Unavailable};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How much sooner and later than planned something may be done.
const EARLIEST: f64 = 0.8;
const LATEST: f64 = 1.2;
/// Wrong credentials are tried seldom: servers and auditors count the attempts.
const PAUSE_AFTER_REFUSED_CREDENTIALS: Duration = Duration::from_secs(5);
/// How soon to ask again while the Sentinels are about to agree on another master.
const PAUSE_WHILE_SENTINELS_DISAGREE: Duration = Duration::from_millis(100);

pub(crate) struct Supervisor {
    source: Source,
    verifier: Verifier,
    command_timeout: Duration,
    gate: Option<Arc<GateKeys>>,
    publish: watch::Sender<State>,
    generation: u64,
    /// When to ask the Sentinels again without a hint.
    next_check: Instant,
    telling: MasterEvents,
}

impl Supervisor {
    pub(crate) fn new(
        source: Source,
        supervision: Supervision,
        publish: watch::Sender<State>,
    ) -> Self {
        Self {
            command_timeout: supervision.settings.command_timeout,
            gate: supervision.gate.clone(),
            verifier: Verifier::new(supervision, source.is_fixed()),
            source,
            publish,
            generation: 0,
            next_check: Instant::now(),
            telling: MasterEvents::default(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.publish.is_closed() {
            match self.establish().await {
                Ok(link) => {
                    self.telling.connected(&link);
                    let established = Instant::now();
                    self.publish.send_replace(State::Ready(link.clone()));
                    let cause = self.watch_over(&link).await;
                    link.close_signal().end(cause.clone());
                    self.telling.lost(&link, &cause);
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
        let unavailable = unavailable.with_part(self.source.part());
        self.publish.send_replace(State::Down(unavailable));
    }

    /// Finds the master and returns a verified link to it.
    async fn establish(&mut self) -> Result<Arc<Link>, Unavailable> {
        let mut named = self.source.master().await?;
        loop {
            let verifier = self.verifier.clone();
            let attempt = verifier.verify(&named.endpoint);
            let verified = match self.unless_superseded(&named, attempt).await {
                Ok(verified) => verified?,
                Err(other) => {
                    named = other;
                    continue;
                }
            };
            // The Sentinels may have moved on while the connection was made.
            let asked_at = Clock::System.now();
            let named_again = self.source.master().await?;
            if (&named_again.endpoint, named_again.epoch) != (&named.endpoint, named.epoch) {
                named = named_again;
                continue;
            }
            self.generation += 1;
            let gate = self.gate.clone();
            let link = Link::new(verified, &named_again, self.generation, gate);
            link.named(asked_at, link.epoch());
            return Ok(Arc::new(link));
        }
    }

    /// Awaits an attempt to reach `named`, and gives it up as soon as the Sentinels name another: a
    /// master that hangs must not hold up the one that replaces it.
    async fn unless_superseded<T>(
        &mut self,
        named: &Named,
        attempt: impl Future<Output = T>,
    ) -> Result<T, Named> {
        let mut attempt = pin!(attempt);
        self.next_check = Instant::now() + jittered(self.source.reconcile_every());
        loop {
            tokio::select! {
                biased;
                outcome = &mut attempt => return Ok(outcome),
                () = self.source.hint() => {}
                () = sleep_until(self.next_check) => {}
            }
            let pause = match self.source.master().await {
                Ok(other) if other.endpoint != named.endpoint => return Err(other),
                Ok(_) => self.source.reconcile_every(),
                Err(_) => PAUSE_WHILE_SENTINELS_DISAGREE,
            };
            self.next_check = Instant::now() + jittered(pause);
        }
    }

    /// Returns why the link has to be given up.
    async fn watch_over(&mut self, link: &Arc<Link>) -> Cause {
        self.next_check = Instant::now() + jittered(self.source.reconcile_every());
        loop {
            let examined = tokio::select! {
                biased;
                cause = link.close_signal().ended() => return cause,
                () = self.publish.closed() => return Cause::Disconnected,
                () = link.suspected.notified() => self.while_listening(link, probe(link)).await,
                () = link.naming_wanted() => self.confirm_named(link).await,
                () = self.source.hint() => self.reconcile(link).await,
                () = sleep_until(self.next_check) => self.reconcile(link).await,
            };
            if let Err(cause) = examined {
                return cause;
            }
        }
    }

    /// Asks again who is master, and the link's own node who it is.
    async fn reconcile(&mut self, link: &Arc<Link>) -> Result<(), Cause> {
        self.confirm_named(link).await?;
        let limit = self.command_timeout;
        self.while_listening(link, check_incarnation(link, limit))
            .await
    }

    /// Asks the Sentinels whether they still name this master, and when to ask next.
    async fn confirm_named(&mut self, link: &Arc<Link>) -> Result<(), Cause> {
        let asked_at = Clock::System.now();
        let asking = self.source.master();
        let named = tokio::select! {
            biased;
            cause = link.close_signal().ended() => return Err(cause),
            named = asking => named,
        };
        let pause = match named {
            Ok(named) if &named.endpoint == link.node() => {
                link.named(asked_at, named.epoch);
                link.at_least_data_nodes(named.data_nodes);
                jittered(self.source.reconcile_every())
            }
            Ok(named) => return Err(Cause::Superseded { by: named.endpoint }),
            Err(unavailable) => match unavailable.cause() {
                Cause::SentinelsDisagree { .. } => PAUSE_WHILE_SENTINELS_DISAGREE,
                _ => {
                    tracing::warn!(%unavailable, "the master is not confirmed");
                    jittered(LONGEST_PAUSE)
                }
            },
        };
        self.next_check = Instant::now() + pause;
        Ok(())
    }

    /// Awaits an examination of the link's node, with an open ear for its end and for the Sentinels:
    /// a node that hangs must not hold up the news that it was replaced.
    async fn while_listening(
        &mut self,
        link: &Arc<Link>,
        examination: impl Future<Output = Result<(), Cause>>,
    ) -> Result<(), Cause> {
        let mut examination = pin!(examination);
        loop {
            tokio::select! {
                biased;
                cause = link.close_signal().ended() => return Err(cause),
                result = &mut examination => return result,
                () = link.naming_wanted() => self.confirm_named(link).await?,
                () = self.source.hint() => self.confirm_named(link).await?,
                () = sleep_until(self.next_check) => self.confirm_named(link).await?,
            }
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
                let length = jittered(*pause);
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                Pause {
                    length,
                    hints: true,
                }
            }
        }
    }
}

/// `around` ± 20 %, so that many clients do not ask in step.
fn jittered(around: Duration) -> Duration {
    around.mul_f64(EARLIEST + (LATEST - EARLIEST) * fastrand::f64())
}

/// Asks the link's node whether it is still the master that it was.
async fn check_incarnation(link: &Link, limit: Duration) -> Result<(), Cause> {
    let sent = Clock::System.now();
    match link.observe(identity::read(link.connection(), limit).await) {
        Ok(identity) if identity.role != Role::Master => Err(Cause::ReadOnly),
        Ok(identity) if identity.incarnation != link.incarnation => Err(Cause::NotMasterYet),
        Ok(identity) => {
            link.at_least_data_nodes(1 + identity.replicas.len());
            if let Some(server_us) = identity.server_us {
                link.saw_clock(Estimate::new(server_us, sent));
            }
            Ok(())
        }
        // A slow or refusing node is the business of `suspected`; it is still the master.
        Err(_) => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::link::NAMED_FOR;
    use crate::master::source::RECONCILE_EVERY;

    #[test]
    fn a_master_that_is_named_whenever_the_sentinels_are_asked_always_counts_as_named() {
        let for_their_answers = Duration::from_millis(500);
        let asked_again = RECONCILE_EVERY.mul_f64(LATEST) + for_their_answers;
        assert!(asked_again <= NAMED_FOR, "{asked_again:?}");
    }
}
