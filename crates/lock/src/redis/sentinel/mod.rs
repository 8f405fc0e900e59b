//! Finding the master through Sentinel.
//!
//! One link per Sentinel carries both its events and our questions. All are asked at once; more
//! than half of the known Sentinels must name the same master at the same configuration epoch.
//! Events are hints to ask again, never an address.

pub(crate) mod link;
mod resolver;
pub(crate) mod view;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use leasehold_config::{AddressMap, Endpoint};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::link::SentinelLink;
use self::resolver::{Agreement, Answer, Verdict};
use super::connection::ConnectionSettings;
use crate::clock::{Clock, Moment};
use crate::unavailable::{Cause, Unavailable};

/// How long one round of questions may take.
const ROUND: Duration = Duration::from_millis(500);
/// More links than this to the Sentinels of one master help nobody.
const MOST_LINKS: usize = 9;
/// How long all Sentinels must agree on a lower epoch before it is believed to be an operator's
/// doing (SENTINEL REMOVE and MONITOR) and not an outdated answer.
const LOWER_EPOCH_SETTLES: Duration = Duration::from_secs(5);

/// A master as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) endpoint: Endpoint,
    /// Sentinel's configuration epoch, 0 without Sentinel.
    pub(crate) epoch: u64,
    /// Data nodes that Sentinel knows, the master included.
    pub(crate) data_nodes: usize,
    pub(crate) down_after: Option<Duration>,
}

/// The Sentinels of one master.
pub(crate) struct Sentinels {
    service: Arc<str>,
    configured: usize,
    links: Vec<SentinelLink>,
    settings: ConnectionSettings,
    address_map: AddressMap,
    hints: Arc<Notify>,
    accepted: Option<Agreement>,
    lower_since: Option<Moment>,
}

impl Sentinels {
    /// Starts one link per Sentinel. The settings are those of the Sentinels, not of the nodes.
    pub(crate) fn start(
        sentinels: &[Endpoint],
        service: &str,
        settings: ConnectionSettings,
        address_map: AddressMap,
    ) -> Self {
        let service: Arc<str> = service.into();
        let hints = Arc::new(Notify::new());
        let links: Vec<SentinelLink> = sentinels
            .iter()
            .map(|endpoint| {
                SentinelLink::start(endpoint.clone(), settings.clone(), &service, &hints)
            })
            .collect();
        Self {
            service,
            configured: links.len(),
            links,
            settings,
            address_map,
            hints,
            accepted: None,
            lower_since: None,
        }
    }

    /// Waits for an event of some Sentinel that concerns the master.
    pub(crate) async fn hint(&self) {
        self.hints.notified().await;
    }

    /// Whether some Sentinel lets us ask but not subscribe.
    pub(crate) fn only_polls(&self) -> bool {
        self.links.iter().any(SentinelLink::only_polls)
    }

    /// Asks all Sentinels who is master.
    pub(crate) async fn master(&mut self) -> Result<Named, Unavailable> {
        let mut verdict = self.ask_all().await;
        if let Verdict::TooFew { .. } = verdict
            && self.discover().await
        {
            verdict = self.ask_all().await;
        }
        match verdict {
            Verdict::Agreed(agreement) => self.accept(agreement),
            Verdict::TooFew { unavailable } | Verdict::Failed { unavailable } => Err(unavailable),
        }
    }

    /// One round: every Sentinel at once, ended by the first verdict that no further answer could
    /// change for the better.
    async fn ask_all(&self) -> Verdict {
        let deadline = Instant::now() + ROUND;
        let mut asking: FuturesUnordered<_> = self
            .links
            .iter()
            .map(|link| async move {
                let reply = timeout_at(deadline, link.ask(&self.service)).await;
                let reply = reply.unwrap_or_else(|_| Err(link.silent_for(ROUND)));
                Answer {
                    sentinel: link.endpoint().clone(),
                    reply,
                }
            })
            .collect();
        let mut answers: Vec<Answer> = Vec::with_capacity(self.links.len());
        while let Some(answer) = asking.next().await {
            answers.push(answer);
            if let Some(agreement) = resolver::agreement(&answers, self.configured) {
                return Verdict::Agreed(agreement);
            }
        }
        // As configured and not as they came in, so that one failure has one message.
        let rank = |answer: &Answer| {
            let links = &self.links;
            links
                .iter()
                .position(|link| *link.endpoint() == answer.sentinel)
        };
        answers.sort_by_key(rank);
        resolver::verdict(&answers, self.configured, &self.service)
    }

    /// An agreement becomes the master's name, unless it goes back to an older epoch and another
    /// node: that is first taken for an outdated answer.
    fn accept(&mut self, agreement: Agreement) -> Result<Named, Unavailable> {
        if let Some(accepted) = &self.accepted
            && agreement.epoch < accepted.epoch
            && agreement.address != accepted.address
        {
            let since = *self.lower_since.get_or_insert_with(|| Clock::System.now());
            if Clock::System.elapsed_since(since) < LOWER_EPOCH_SETTLES {
                let views = format!(
                    "they name {} at epoch {} and named {} at epoch {} before",
                    agreement.address, agreement.epoch, accepted.address, accepted.epoch
                );
                return Err(Unavailable::new(Cause::SentinelsDisagree { views }));
            }
            tracing::warn!(
                epoch = agreement.epoch,
                before = accepted.epoch,
                "the Sentinels went back to a lower epoch, as after SENTINEL REMOVE and MONITOR"
            );
        }
        self.lower_since = None;
        let named = Named {
            endpoint: self.address_map.map(&agreement.address),
            epoch: agreement.epoch,
            data_nodes: agreement.data_nodes,
            down_after: Some(agreement.down_after),
        };
        self.accepted = Some(agreement);
        Ok(named)
    }

    /// Adds links to Sentinels that the configured ones know and we do not. Returns whether any
    /// was added.
    async fn discover(&mut self) -> bool {
        let deadline = Instant::now() + ROUND;
        let mut known: Vec<Endpoint> = self
            .links
            .iter()
            .map(|link| link.endpoint().clone())
            .collect();
        let mut found = Vec::new();
        for link in &self.links {
            let asked = timeout_at(deadline, link.others(&self.service)).await;
            for other in asked.ok().and_then(Result::ok).unwrap_or_default() {
                let reachable = self.address_map.map(&other);
                if known.len() < MOST_LINKS && !known.contains(&reachable) {
                    known.push(reachable.clone());
                    found.push(reachable);
                }
            }
        }
        for endpoint in &found {
            tracing::debug!(%endpoint, "found another Sentinel");
            let settings = self.settings.clone();
            self.links.push(SentinelLink::start(
                endpoint.clone(),
                settings,
                &self.service,
                &self.hints,
            ));
        }
        !found.is_empty()
    }
}
