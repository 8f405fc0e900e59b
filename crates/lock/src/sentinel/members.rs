//! Which Sentinels are asked: those that are configured, and those that they list.
//!
//! A Sentinel that was found through the others is known by its identifier, for its address may
//! belong to another one tomorrow. It counts only while a configured one lists it, and only after it
//! has once named the same master as a configured one: the address of a Sentinel that moved may
//! have been given to one of another group, which real Sentinels list as soon as they hear of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use leasehold_config::{AddressMap, Endpoint};
use tokio::sync::Notify;

use super::agreement::{Evidence, SentinelAnswer};
use super::link::SentinelLink;
use super::names::Name;
use super::target::SentinelTarget;
use super::view::{Peer, View};
use crate::transport::connection::ConnectionSettings;
use crate::unavailable::Cause;

/// More links than this to the Sentinels of one master help nobody.
const MOST_LINKS: usize = 9;

/// The Sentinels that are asked.
pub(super) struct Members {
    service: Arc<str>,
    settings: ConnectionSettings,
    address_map: AddressMap,
    hints: Arc<Notify>,
    names: Vec<Name>,
    members: Vec<SentinelMember>,
}

/// One Sentinel that is asked.
pub(super) struct SentinelMember {
    pub(super) link: SentinelLink,
    target: SentinelTarget,
    origin: Origin,
    /// The others of the same master that it listed when it last answered.
    listed: Option<Vec<Peer>>,
    /// Its identifier when it last answered.
    id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Configured,
    /// Listed by a configured one under this identifier.
    Found {
        id: String,
        /// Whether it has named the same master as a configured one.
        is_proven: bool,
    },
}

impl Members {
    pub(super) fn start(
        configured: &[Endpoint],
        service: &Arc<str>,
        settings: ConnectionSettings,
        address_map: AddressMap,
        hints: &Arc<Notify>,
    ) -> Self {
        let names = configured.iter().map(|name| Name::start(name, hints));
        let mut members = Self {
            service: service.clone(),
            settings,
            address_map,
            hints: hints.clone(),
            names: names.collect(),
            members: Vec::new(),
        };
        members.follow_names();
        members
    }

    pub(super) fn all(&self) -> &[SentinelMember] {
        &self.members
    }

    /// Ends the links to addresses that the configured names lead to no more, and starts those to
    /// new ones.
    pub(super) fn follow_names(&mut self) {
        let targets: Vec<SentinelTarget> = self.names.iter().flat_map(Name::targets).collect();
        self.members.retain(|member| match member.origin {
            Origin::Configured => targets.contains(&member.target),
            // A found one at a configured address is linked to anew, as a configured one.
            Origin::Found { .. } => {
                let endpoint = &member.target.endpoint;
                !targets.iter().any(|target| target.endpoint == *endpoint)
            }
        });
        for target in targets {
            if !self.is_asked(&target.endpoint) {
                self.add(target, Origin::Configured);
            }
        }
    }

    /// Takes in what the Sentinels said of one another: ends the links to found ones that no
    /// configured one lists any more, and starts those to new ones. Returns whether any was added.
    pub(super) fn learn(&mut self, answers: &[SentinelAnswer]) -> bool {
        for answer in answers {
            if let Some(member) = self.members.get_mut(answer.member) {
                member.take_in(answer, answers);
            }
        }
        let Some(listed) = self.listed() else {
            return false;
        };
        self.members
            .retain(|member| member.is_listed_in(&listed, &self.address_map));
        let added: Vec<(SentinelTarget, Origin)> = listed
            .into_iter()
            .filter(|peer| !peer.is_down)
            .filter_map(|peer| self.candidate(peer))
            .collect();
        let count = self.members.len();
        for (target, origin) in added {
            if self.members.len() < MOST_LINKS && !self.is_asked(&target.endpoint) {
                tracing::debug!(sentinel = %target.endpoint, "found another Sentinel");
                self.add(target, origin);
            }
        }
        self.members.len() > count
    }

    /// What the configured Sentinels list together; `None` if none of them has answered.
    fn listed(&self) -> Option<BTreeSet<Peer>> {
        let mut lists = self
            .members
            .iter()
            .filter(|member| member.origin == Origin::Configured)
            .filter_map(|member| member.listed.as_ref())
            .peekable();
        lists.peek()?;
        Some(lists.flatten().cloned().collect())
    }

    /// A listed Sentinel that is not asked yet.
    fn candidate(&self, peer: Peer) -> Option<(SentinelTarget, Origin)> {
        let endpoint = self.address_map.map(&peer.endpoint);
        let is_configured = |member: &SentinelMember| {
            member.origin == Origin::Configured && member.id.as_ref() == Some(&peer.id)
        };
        if self.members.iter().any(is_configured) {
            return None;
        }
        let origin = Origin::Found {
            id: peer.id,
            is_proven: false,
        };
        Some((SentinelTarget::named(endpoint), origin))
    }

    fn is_asked(&self, endpoint: &Endpoint) -> bool {
        self.members
            .iter()
            .any(|member| member.target.endpoint == *endpoint)
    }

    fn add(&mut self, target: SentinelTarget, origin: Origin) {
        let link = SentinelLink::start(
            target.clone(),
            self.settings.clone(),
            &self.service,
            &self.hints,
        );
        self.members.push(SentinelMember {
            link,
            target,
            origin,
            listed: None,
            id: None,
        });
    }
}

impl SentinelMember {
    /// What its reply is worth.
    pub(super) fn answer(&self, index: usize, reply: Result<View, Cause>) -> SentinelAnswer {
        let (confirmation, reply) = match (&self.origin, reply) {
            (Origin::Configured, reply) => (Evidence::Configured, reply),
            (Origin::Found { id, .. }, Ok(view)) if view.sentinel_id.as_ref() != Some(id) => {
                let named = view.address;
                (Evidence::Unproven, Err(Cause::ForeignSentinel { named }))
            }
            (Origin::Found { is_proven, .. }, reply) if *is_proven => (Evidence::Proven, reply),
            (Origin::Found { .. }, reply) => (Evidence::Unproven, reply),
        };
        SentinelAnswer {
            member: index,
            sentinel: self.target.endpoint.clone(),
            confirmation,
            reply,
        }
    }

    fn take_in(&mut self, answer: &SentinelAnswer, all: &[SentinelAnswer]) {
        let Ok(view) = &answer.reply else {
            self.listed = None;
            return;
        };
        self.id.clone_from(&view.sentinel_id);
        self.listed.clone_from(&view.listed);
        if let Origin::Found { is_proven, .. } = &mut self.origin {
            *is_proven |= all.iter().any(|other| other.proves(view));
        }
    }

    fn is_listed_in(&self, listed: &BTreeSet<Peer>, address_map: &AddressMap) -> bool {
        let Origin::Found { id, .. } = &self.origin else {
            return true;
        };
        listed
            .iter()
            .any(|peer| peer.id == *id && address_map.map(&peer.endpoint) == self.target.endpoint)
    }
}

#[cfg(test)]
mod tests;
