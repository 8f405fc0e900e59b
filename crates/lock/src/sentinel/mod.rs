//! Finding the master through Sentinel.
//!
//! One link per Sentinel carries both its events and our questions. All are asked at once; more
//! than half of the known Sentinels must name the same master at the same configuration epoch.
//! Events are hints to ask again, never an address.

mod agreement;
pub(crate) mod link;
mod members;
pub(crate) mod names;
mod target;
pub(crate) mod view;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use leasehold_config::{AddressMap, Endpoint};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use self::agreement::{Agreement, SentinelAnswer, Verdict};
use self::members::Members;
use crate::transport::connection::ConnectionSettings;
use crate::unavailable::{Cause, Unavailable};

/// How long one round of questions may take.
const ROUND: Duration = Duration::from_millis(500);
/// How much longer those are heard that answer after a majority has: they say which others there are.
const HEARD_OUT: Duration = Duration::from_millis(30);

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
    members: Members,
    address_map: AddressMap,
    hints: Arc<Notify>,
    accepted: Option<Agreement>,
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
        Self {
            configured: sentinels.len(),
            members: Members::start(sentinels, &service, settings, address_map.clone(), &hints),
            service,
            address_map,
            hints,
            accepted: None,
        }
    }

    /// Waits for an event of some Sentinel that concerns the master.
    pub(crate) async fn hint(&self) {
        self.hints.notified().await;
    }

    /// Whether some Sentinel lets us ask but not subscribe.
    pub(crate) fn only_polls(&self) -> bool {
        self.members
            .all()
            .iter()
            .any(|member| member.link.only_polls())
    }

    /// Asks all Sentinels who is master.
    pub(crate) async fn master(&mut self) -> Result<Named, Unavailable> {
        self.members.follow_names();
        let (mut verdict, mut answers) = self.ask_all().await;
        if self.members.learn(&answers) && matches!(verdict, Verdict::TooFew { .. }) {
            (verdict, answers) = self.ask_all().await;
            self.members.learn(&answers);
        }
        match verdict {
            Verdict::Agreed(agreement) => self.accept(agreement),
            Verdict::TooFew { unavailable } | Verdict::Failed { unavailable } => Err(unavailable),
        }
    }

    /// One round: every Sentinel at once, ended soon after the first verdict that no further answer
    /// could change for the better.
    async fn ask_all(&self) -> (Verdict, Vec<SentinelAnswer>) {
        let deadline = Instant::now() + ROUND;
        let mut heard_until = deadline + ROUND;
        let mut asking: FuturesUnordered<_> = self
            .members
            .all()
            .iter()
            .enumerate()
            .map(|(index, member)| async move {
                let reply = timeout_at(deadline, member.link.ask(&self.service)).await;
                let reply = reply.unwrap_or_else(|_| Err(member.link.silent_for(ROUND)));
                member.answer(index, reply)
            })
            .collect();
        let mut answers: Vec<SentinelAnswer> = Vec::new();
        let mut agreed = None;
        while let Ok(Some(answer)) = timeout_at(heard_until, asking.next()).await {
            answers.push(answer);
            if agreed.is_none() {
                agreed = agreement::agreement(&answers, self.configured);
                if agreed.is_some() {
                    heard_until = Instant::now() + HEARD_OUT;
                }
            }
        }
        // As configured and not as they came in, so that one failure has one message.
        answers.sort_by_key(|answer| answer.member);
        let verdict = match agreed {
            Some(agreement) => Verdict::Agreed(agreement),
            None => agreement::verdict(&answers, self.configured, &self.service),
        };
        (verdict, answers)
    }

    /// The address that a majority names is taken as the master's, unless it is another node at an
    /// older epoch. Sentinels that lost their configuration start again at epoch 0 with the master in
    /// their file, which may have been deposed long ago and may still take writes.
    fn accept(&mut self, agreement: Agreement) -> Result<Named, Unavailable> {
        if let Some(accepted) = &self.accepted
            && agreement.epoch < accepted.epoch
        {
            if agreement.address != accepted.address {
                return Err(Unavailable::new(Cause::EpochWentBack {
                    named: agreement.address,
                    epoch: agreement.epoch,
                    before: accepted.epoch,
                }));
            }
            tracing::warn!(
                epoch = agreement.epoch,
                before = accepted.epoch,
                "the Sentinels count epochs anew, as after SENTINEL REMOVE and MONITOR; they name \
                 the same master as before"
            );
        }
        let named = Named {
            endpoint: self.address_map.map(&agreement.address),
            epoch: agreement.epoch,
            data_nodes: agreement.data_nodes,
            down_after: Some(agreement.down_after),
        };
        self.accepted = Some(agreement);
        Ok(named)
    }
}

#[cfg(test)]
mod tests;
