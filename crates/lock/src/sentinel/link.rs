//! The link to one Sentinel: events in, questions out, and a PING each second, so that a Sentinel
//! which hangs or vanished is noticed before it is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leasehold_config::Endpoint;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::names;
use super::target::SentinelTarget;
use super::view::{self, View};
use crate::transport::connection::{CloseSignal, Connection, ConnectionSettings};
use crate::unavailable::Cause;

/// Events that may mean another master. They reach us from every Sentinel, because the one that
/// leads a failover announces it last.
const EVENTS: [&str; 4] = ["+switch-master", "+reset-master", "+monitor", "-monitor"];
const QUESTION: Duration = Duration::from_millis(500);
/// How long the resolution of a name may take.
const RESOLVING: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Wrong credentials are tried seldom: servers and auditors count the attempts.
const PAUSE_AFTER_REFUSED_CREDENTIALS: Duration = Duration::from_secs(5);

#[derive(Clone)]
enum LinkState {
    Connecting,
    Up(Connection),
    Down(Cause),
}

/// Keeps a connection to one Sentinel; ends it when dropped.
pub(crate) struct SentinelLink {
    state: watch::Receiver<LinkState>,
    only_polls: Arc<AtomicBool>,
    _task: AbortOnDropHandle<()>,
}

impl SentinelLink {
    /// Starts connecting. `hints` is notified of every event that concerns `service`.
    pub(super) fn start(
        target: SentinelTarget,
        mut settings: ConnectionSettings,
        service: &Arc<str>,
        hints: &Arc<Notify>,
    ) -> Self {
        let (publish, state) = watch::channel(LinkState::Connecting);
        let only_polls = Arc::new(AtomicBool::new(false));
        settings.tls = settings
            .tls
            .map(|tls| tls.expecting(&target.certificate_name));
        let scheduler = LinkTask {
            endpoint: target.endpoint,
            settings,
            service: service.clone(),
            hints: hints.clone(),
            only_polls: only_polls.clone(),
            publish,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(scheduler.run()));
        Self {
            state,
            only_polls,
            _task: task,
        }
    }

    pub(crate) fn only_polls(&self) -> bool {
        self.only_polls.load(Ordering::Relaxed)
    }

    /// Asks who is master. The caller bounds the wait.
    pub(crate) async fn ask(&self, service: &str) -> Result<View, Cause> {
        let connection = self.connection().await?;
        let questions = view::questions(service);
        // A Sentinel that is just switching is asked again at once: it takes one event loop turn.
        for _ in 0..3 {
            let answers = connection
                .run_all(&questions, QUESTION)
                .await
                .map_err(|failure| failure.unavailable.cause().clone())?;
            if let Some(view) = view::parse(&answers, service)? {
                return Ok(view);
            }
        }
        Err(Cause::SentinelsDisagree {
            views: "it is switching to another master".into(),
        })
    }

    /// What kept this Sentinel from answering within a round of questions.
    pub(crate) fn silent_for(&self, after: Duration) -> Cause {
        match &*self.state.borrow() {
            LinkState::Connecting => Cause::ConnectTimeout { after },
            LinkState::Up(_) => Cause::Timeout { after },
            LinkState::Down(cause) => cause.clone(),
        }
    }

    async fn connection(&self) -> Result<Connection, Cause> {
        let mut state = self.state.clone();
        let known = state
            .wait_for(|state| !matches!(state, LinkState::Connecting))
            .await;
        match known.as_deref() {
            Ok(LinkState::Up(connection)) => Ok(connection.clone()),
            Ok(LinkState::Down(cause)) => Err(cause.clone()),
            Ok(LinkState::Connecting) | Err(_) => Err(Cause::Disconnected),
        }
    }
}

/// The task behind a [`SentinelLink`].
struct LinkTask {
    endpoint: Endpoint,
    settings: ConnectionSettings,
    service: Arc<str>,
    hints: Arc<Notify>,
    only_polls: Arc<AtomicBool>,
    publish: watch::Sender<LinkState>,
}

impl LinkTask {
    async fn run(self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let cause = match self.connect().await {
                Ok(connection) => {
                    self.publish.send_replace(LinkState::Up(connection.clone()));
                    // Subscribed first, asked now: no event can fall between.
                    self.hints.notify_one();
                    pause = SHORTEST_PAUSE;
                    self.stay(&connection).await
                }
                Err(cause) => cause,
            };
            tracing::debug!(sentinel = %self.endpoint, %cause, "no link to the Sentinel");
            let refused = matches!(cause, Cause::NoPassword | Cause::WrongPassword);
            self.publish.send_replace(LinkState::Down(cause));
            if refused {
                sleep(PAUSE_AFTER_REFUSED_CREDENTIALS).await;
            } else {
                sleep(shortened(pause)).await;
                pause = longer(pause);
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Cause> {
        let (hints, service) = (self.hints.clone(), self.service.clone());
        let on_push = move |message: PushInfo| {
            if concerns(&message, &service) {
                hints.notify_one();
            }
        };
        let resolving = timeout(RESOLVING, names::resolve(&self.endpoint));
        let addresses = resolving
            .await
            .unwrap_or(Err(Cause::ConnectTimeout { after: RESOLVING }))?;
        let mut last = Cause::Refused;
        for address in &addresses {
            let ending = CloseSignal::default();
            match Connection::open(address, &self.settings, ending, on_push.clone()).await {
                Ok(connection) => {
                    self.subscribe(&connection).await?;
                    return Ok(connection);
                }
                Err(unavailable) => last = unavailable.cause().clone(),
            }
        }
        Err(last)
    }

    /// A Sentinel that refuses the subscription is asked more often.
    async fn subscribe(&self, connection: &Connection) -> Result<(), Cause> {
        let Err(failure) = connection.subscribe(&EVENTS).await else {
            return Ok(());
        };
        let cause = failure.unavailable.cause().clone();
        if !cause.is_about_the_command() {
            return Err(cause);
        }
        if !self.only_polls.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                sentinel = %self.endpoint,
                error = %cause,
                "the Sentinel refuses SUBSCRIBE, so it is polled each second"
            );
        }
        Ok(())
    }

    /// Returns why the connection is of no more use.
    async fn stay(&self, connection: &Connection) -> Cause {
        let mut ping = redis::pipe();
        ping.cmd("PING");
        let mut missed = 0;
        loop {
            tokio::select! {
                cause = connection.close_signal().ended() => return cause,
                () = sleep(PING_EVERY) => {}
            }
            match connection.run_all(&ping, QUESTION).await {
                Ok(_) => missed = 0,
                Err(failure) => {
                    missed += 1;
                    if missed == 2 || connection.close_signal().has_ended() {
                        return failure.unavailable.cause().clone();
                    }
                }
            }
        }
    }
}

/// By up to a half, so that not all clients come at once.
fn shortened(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + 0.5 * fastrand::f64())
}

/// The pause after one more failure.
fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

/// Whether an event speaks of our master: its payload begins with the name, or with `master <name>`.
pub(crate) fn concerns(message: &PushInfo, service: &str) -> bool {
    if message.kind != PushKind::Message {
        return false;
    }
    let Some(Value::BulkString(payload)) = message.data.get(1) else {
        return false;
    };
    let payload = String::from_utf8_lossy(payload);
    let mut words = payload.split(' ');
    match words.next() {
        Some("master") => words.next() == Some(service),
        first => first == Some(service),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(payload: &str) -> PushInfo {
        let texts = ["+switch-master", payload];
        let data = texts
            .iter()
            .map(|text| Value::BulkString(text.as_bytes().to_vec()))
            .collect();
        PushInfo {
            kind: PushKind::Message,
            data,
        }
    }

    #[test]
    fn pauses_grow_and_differ() {
        let mut pause = SHORTEST_PAUSE;
        let mut lengths = std::collections::BTreeSet::new();
        for _ in 0..10 {
            for _ in 0..20 {
                let length = shortened(pause);
                assert!(length >= pause / 2 && length <= pause, "{length:?}");
                lengths.insert(length);
            }
            let next = longer(pause);
            assert!(next == pause * 2 || next == LONGEST_PAUSE, "{next:?}");
            pause = next;
        }
        assert_eq!(pause, LONGEST_PAUSE);
        assert!(lengths.len() > 10, "not all at once");
    }

    #[test]
    fn only_events_of_our_master_are_hints() {
        assert!(concerns(
            &event("mymaster 10.0.0.1 6379 10.0.0.2 6379"),
            "mymaster"
        ));
        assert!(concerns(
            &event("master mymaster 10.0.0.1 6379"),
            "mymaster"
        ));
        assert!(!concerns(
            &event("other 10.0.0.1 6379 10.0.0.2 6379"),
            "mymaster"
        ));
        assert!(!concerns(&event("mymaster2 10.0.0.1 6379"), "mymaster"));
        assert!(!concerns(&event(""), "mymaster"));
    }
}
