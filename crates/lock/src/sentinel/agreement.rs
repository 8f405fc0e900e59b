//! From the Sentinels' answers to one master: pure decisions, no sockets.
//!
//! The rule: more than half of the known Sentinels name the same address at the same epoch. It
//! survives any minority of dead, hung, outdated or lying Sentinels. During a failover the answers
//! differ for as long as the news takes to spread among them, some tens of milliseconds; until they
//! agree there is no master to connect to.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_config::Endpoint;

use super::view::View;
use crate::unavailable::{Cause, Unavailable};

/// One Sentinel's reply to "who is master".
#[derive(Debug, Clone)]
pub(super) struct SentinelAnswer {
    /// Its place among the Sentinels that were asked.
    pub(super) member: usize,
    pub(super) sentinel: Endpoint,
    pub(super) confirmation: Evidence,
    pub(super) reply: Result<View, Cause>,
}

/// How much is known of the Sentinel that answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It is configured.
    Configured,
    /// It was found, and has named the same master as a configured one.
    Proven,
    /// It was found, and counts as soon as it names the same master as a configured one.
    Unproven,
}

impl SentinelAnswer {
    /// Whether a configured Sentinel says the same as a found one.
    pub(super) fn proves(&self, found: &View) -> bool {
        self.confirmation == Evidence::Configured
            && self
                .reply
                .as_ref()
                .is_ok_and(|view| (&view.address, view.epoch) == (&found.address, found.epoch))
    }
}

/// What a majority of the Sentinels says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) address: Endpoint,
    pub(super) epoch: u64,
    pub(super) data_nodes: usize,
    pub(super) down_after: Duration,
}

/// The end of one round of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Agreed(Agreement),
    /// Not enough of the Sentinels are known to us, or answered.
    TooFew {
        unavailable: Unavailable,
    },
    Failed {
        unavailable: Unavailable,
    },
}

/// The agreement among the answers so far, if there is one.
pub(super) fn agreement(answers: &[SentinelAnswer], configured: usize) -> Option<Agreement> {
    let views = distinct_views(answers);
    let needed = needed(&views, configured);
    let mut votes: BTreeMap<(&Endpoint, u64), Vec<&View>> = BTreeMap::new();
    for view in &views {
        votes
            .entry((&view.address, view.epoch))
            .or_default()
            .push(view);
    }
    let ((address, epoch), supporters) = votes
        .into_iter()
        .find(|(_, supporters)| supporters.len() >= needed)?;
    Some(Agreement {
        address: address.clone(),
        epoch,
        data_nodes: 1 + supporters
            .iter()
            .map(|view| view.replicas)
            .max()
            .unwrap_or_default(),
        down_after: supporters
            .iter()
            .map(|view| view.down_after)
            .min()
            .unwrap_or_default(),
    })
}

/// Why the answers hold no agreement, once all are in.
pub(super) fn verdict(answers: &[SentinelAnswer], configured: usize, service: &str) -> Verdict {
    if let Some(agreement) = agreement(answers, configured) {
        return Verdict::Agreed(agreement);
    }
    let views = distinct_views(answers);
    let needed = needed(&views, configured);
    let failed = |cause| Verdict::Failed {
        unavailable: Unavailable::new(cause),
    };
    if views.is_empty() {
        return no_view(answers, service);
    }
    if views.len() < needed {
        let silent = causes(answers);
        let cause = Cause::NoSentinelMajority {
            answered: views.len(),
            needed,
            silent: silent.into(),
            announced: answers.iter().any(is_found_and_silent),
        };
        return Verdict::TooFew {
            unavailable: Unavailable::new(cause),
        };
    }
    let views: Vec<String> = answers
        .iter()
        .filter_map(|answer| {
            let view = answer.reply.as_ref().ok()?;
            Some(format!(
                "{} names {} at epoch {}",
                answer.sentinel, view.address, view.epoch
            ))
        })
        .collect();
    failed(Cause::SentinelsDisagree {
        views: views.join(", "),
    })
}

fn is_found_and_silent(answer: &SentinelAnswer) -> bool {
    answer.confirmation != Evidence::Configured && answer.reply.is_err()
}

/// Nobody named a master: the cause that most helps the reader.
fn no_view(answers: &[SentinelAnswer], service: &str) -> Verdict {
    let causes = causes(answers);
    let failed = |unavailable| Verdict::Failed { unavailable };
    let first = |wanted: fn(&Cause) -> bool| causes.iter().find(|(_, cause)| wanted(cause));
    if first(|cause| matches!(cause, Cause::UnknownMaster { .. })).is_some() {
        let service = service.to_owned();
        return failed(Unavailable::new(Cause::UnknownMaster { service }));
    }
    let telling = first(|cause| {
        matches!(
            cause,
            Cause::NoPassword
                | Cause::WrongPassword
                | Cause::NoPermission { .. }
                | Cause::IsNotSentinel
                | Cause::Tls { .. }
        )
    });
    if let Some((sentinel, cause)) = telling {
        return failed(Unavailable::on_sentinel(sentinel, cause.clone()));
    }
    failed(Unavailable::new(Cause::NoSentinelReachable {
        sentinels: causes.into(),
    }))
}

/// The view of a Sentinel, if it counts.
fn counted<'a>(answer: &'a SentinelAnswer, all: &[SentinelAnswer]) -> Option<&'a View> {
    let view = answer.reply.as_ref().ok()?;
    let counts =
        answer.confirmation != Evidence::Unproven || all.iter().any(|other| other.proves(view));
    counts.then_some(view)
}

/// The views of different Sentinels: one that was reached by two names speaks once.
fn distinct_views(answers: &[SentinelAnswer]) -> Vec<&View> {
    let mut distinct: Vec<&View> = Vec::with_capacity(answers.len());
    for view in answers.iter().filter_map(|answer| counted(answer, answers)) {
        let is_known = view.sentinel_id.is_some()
            && distinct
                .iter()
                .any(|known| known.sentinel_id == view.sentinel_id);
        if !is_known {
            distinct.push(view);
        }
    }
    distinct
}

/// A majority of the Sentinels: of those configured, or of those that the middle one of the
/// answering Sentinels knows, so that a lying minority can neither lower nor raise it.
fn needed(views: &[&View], configured: usize) -> usize {
    let mut known: Vec<usize> = views
        .iter()
        .map(|view| view.other_sentinels.saturating_add(1))
        .collect();
    known.sort_unstable();
    let middle = known.get(known.len() / 2).copied().unwrap_or_default();
    configured.max(middle) / 2 + 1
}

fn causes(answers: &[SentinelAnswer]) -> Vec<(Endpoint, Cause)> {
    let uncounted = answers
        .iter()
        .filter(|answer| counted(answer, answers).is_none());
    uncounted
        .map(|answer| {
            let cause = match &answer.reply {
                Err(cause) => cause.clone(),
                Ok(view) => Cause::ForeignSentinel {
                    named: view.address.clone(),
                },
            };
            (answer.sentinel.clone(), cause)
        })
        .collect()
}

#[cfg(test)]
mod tests;
