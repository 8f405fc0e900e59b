//! In tests, a network between a locker and a store in memory: it delays and loses what it carries, as a seed says.
//!
//! Like one connection it keeps the order of what is sent. A reply may come when nobody waits for it any more, and what
//! was sent arrives also if its sender is gone.

use std::time::Duration;

use fastrand::Rng;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::sync::Mutex;
use crate::transport::server_errors::Failure;
use crate::unavailable::{Cause, Unavailable};

/// How long a reply is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_millis(400);

#[derive(Debug)]
pub(crate) struct Network {
    state: Mutex<NetworkState>,
}

#[derive(Debug)]
struct NetworkState {
    rng: Rng,
    /// When the last of what was sent arrives.
    last_arrival: Instant,
    slowest: Duration,
    is_calm: bool,
    is_next_reply_lost: bool,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
struct Journey {
    arrives: Instant,
    way_back: Duration,
    loss: Option<Loss>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Request,
    Reply,
    /// The request, and the client sees the connection end.
    RequestSeen,
    ReplySeen,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(NetworkState {
                rng: Rng::with_seed(seed),
                last_arrival: Instant::now(),
                slowest: Duration::ZERO,
                is_calm: false,
                is_next_reply_lost: false,
            }),
        }
    }

    /// From now on everything arrives, soon.
    pub(crate) fn calm(&self) {
        self.state.lock().is_calm = true;
    }

    /// The next request is carried out, and its reply never comes.
    pub(crate) fn lose_next_reply(&self) {
        self.state.lock().is_next_reply_lost = true;
    }

    /// The longest that a request has been on its way.
    pub(crate) fn slowest(&self) -> Duration {
        self.state.lock().slowest
    }

    /// Carries a request to the store and its reply back.
    pub(crate) async fn carry<T: Send + 'static>(
        &self,
        carry_out: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let journey = self.state.lock().journey();
        let (reply, replied) = oneshot::channel();
        tokio::spawn(async move {
            sleep_until(journey.arrives).await;
            let is_lost = matches!(journey.loss, Some(Loss::Request | Loss::RequestSeen));
            let outcome = (!is_lost).then(carry_out);
            sleep(journey.way_back).await;
            match (journey.loss, outcome) {
                (None, Some(outcome)) => drop(reply.send(outcome)),
                (Some(Loss::RequestSeen | Loss::ReplySeen), _) => drop(reply),
                _ => sleep(2 * PATIENCE).await,
            }
        });
        match timeout(PATIENCE, replied).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::unknown(Unavailable::new(Cause::Disconnected))),
            Err(_) => {
                let after = PATIENCE;
                Err(Failure::unknown(Unavailable::new(Cause::Timeout { after })))
            }
        }
    }
}

impl NetworkState {
    fn journey(&mut self) -> Journey {
        let arrives = (Instant::now() + self.delay()).max(self.last_arrival);
        self.last_arrival = arrives;
        self.slowest = self.slowest.max(arrives - Instant::now());
        let loss = match self.rng.u32(..100) {
            _ if std::mem::take(&mut self.is_next_reply_lost) => Some(Loss::Reply),
            _ if self.is_calm => None,
            0..4 => Some(Loss::Request),
            4..8 => Some(Loss::Reply),
            8..12 => Some(Loss::RequestSeen),
            12..16 => Some(Loss::ReplySeen),
            _ => None,
        };
        Journey {
            arrives,
            way_back: self.delay(),
            loss,
        }
    }

    fn delay(&mut self) -> Duration {
        let most = match self.rng.u32(..100) {
            _ if self.is_calm => 1,
            0..60 => 2,
            60..90 => 40,
            90..98 => 300,
            _ => 1_500,
        };
        Duration::from_millis(self.rng.u64(..=most))
    }
}
