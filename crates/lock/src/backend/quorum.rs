//! Locks on a majority of independent masters (Redlock), with fences.
//!
//! Every member is asked at once, and the answer stands as soon as a majority decides it, so a dead
//! or hung member costs no time. A fence is proposed to all members alike. Where a majority grants it
//! as it was proposed, the lease stands after one round trip; otherwise the greatest that was answered is
//! written back to a majority first, so that every later majority meets it. Every member has a queue, and a
//! release calls the first waiter of each, who asks all members. Every member has a gate of its own, so one
//! that came back empty does not vote until the longest lease has passed (Redlock's delayed restart).

mod adopting;
mod fan_out;
mod member;
mod operator;
mod proposals;
mod releasing;
mod renewing;
mod vote_count;

use std::sync::Arc;

use leasehold_config::Endpoint;
use tokio::sync::mpsc;

use self::fan_out::FanOut;
use self::member::{Member, MemberAnswer};
use self::proposals::Proposals;
use self::vote_count::{Decision, VoteCount};
use super::single::Single;
use crate::backend::ops::{DataSet, GrantOutcome, Request};
use crate::fence::Fence;
use crate::master::confirm::majority;
use crate::transport::server_errors::Failure;
use crate::unavailable::{Cause, Unavailable};

/// The backend over several masters.
pub(crate) struct Quorum {
    members: Vec<Member>,
    fan_out: FanOut,
    proposals: Proposals,
}

impl Quorum {
    pub(crate) fn new(members: Vec<(Endpoint, Single)>) -> Self {
        let members = members
            .into_iter()
            .map(|(endpoint, single)| Member {
                endpoint,
                single: Arc::new(single),
            })
            .collect();
        Self {
            members,
            fan_out: FanOut::default(),
            proposals: Proposals::new(),
        }
    }

    /// Waits until a majority is connected, or too few can be.
    pub(crate) async fn first_attempt(&self) -> Result<(), Unavailable> {
        let mut answers = self.send(|member| async move {
            let link = member.single.topology().first_attempt().await;
            link.map(|_| ()).map_err(Failure::not_applied)
        });
        let mut connected = 0;
        let mut missing = Vec::new();
        while let Some(MemberAnswer { member, result }) = answers.recv().await {
            match result {
                Ok(()) => connected += 1,
                Err(failure) => {
                    missing.push((member.endpoint, failure.unavailable.cause().clone()));
                }
            }
            if connected >= self.needed() {
                return Ok(());
            }
        }
        Err(self.too_few(connected, missing))
    }

    /// Why no majority can be asked at present, if so.
    pub(crate) fn outage(&self) -> Option<Unavailable> {
        let missing: Vec<(Endpoint, Cause)> = self
            .members
            .iter()
            .filter_map(|member| {
                let unavailable = member.single.topology().link().err()?;
                Some((member.endpoint.clone(), unavailable.cause().clone()))
            })
            .collect();
        let connected = self.members.len() - missing.len();
        (connected < self.needed()).then(|| self.too_few(connected, missing))
    }

    /// Grants one of the request's locks. Members must agree on which, so slots are tried one by
    /// one, from a random one on.
    pub(crate) async fn grant(&self, request: &Request) -> Result<GrantOutcome, Failure> {
        if request.slot.is_some() {
            return self.grant_one(request).await;
        }
        let slots = request.keys.locks.len();
        let first = fastrand::usize(..slots.max(1));
        let mut refusal = None;
        for step in 0..slots {
            let slot = Some((first + step) % slots);
            let one = Request {
                slot,
                ..request.clone()
            };
            let granting = self.grant_one(&one).await?;
            if matches!(granting, GrantOutcome::Granted { .. }) {
                return Ok(granting);
            }
            refusal = Some(granting);
        }
        refusal.ok_or_else(|| Failure::not_applied(self.too_few(0, Vec::new())))
    }

    async fn grant_one(&self, request: &Request) -> Result<GrantOutcome, Failure> {
        let (request, proposed) = self.proposing(request)?;
        let asked = request.clone();
        let mut answers = self.send(move |member| {
            let request = asked.clone();
            async move { member.single.grant(&request).await }
        });
        let mut votes = VoteCount::of(proposed);
        let mut decision = None;
        while decision.is_none() && !self.rules_out(votes.refused) {
            let Some(answer) = answers.recv().await else {
                break;
            };
            votes.add(answer);
            decision = votes.decision(self.needed());
        }
        if let Some(decision) = decision
            && let Some(granting) = self.settle(&request, decision, &mut votes).await
        {
            self.leave_the_rest(&request, std::mem::take(&mut votes.queued), answers);
            return Ok(granting);
        }
        if let Some(fence) = votes.greatest {
            self.proposals.seen(fence);
        }
        // A token that was sent before may be granted again by its next attempt: it keeps what it has.
        if !request.is_repeated {
            self.give_back(&request, &votes.granted, answers);
        }
        let refusal = votes.refusal(self.members.len(), self.needed());
        Ok(GrantOutcome::Refused(refusal))
    }

    /// What a majority has granted, once it has the fence too.
    async fn settle(
        &self,
        request: &Arc<Request>,
        decision: Decision,
        votes: &mut VoteCount,
    ) -> Option<GrantOutcome> {
        let fence = match decision {
            Decision::Stands(fence) => fence,
            Decision::WriteBack(fence) => self
                .write_back(request, fence, votes)
                .await
                .then_some(fence)?,
        };
        self.proposals.seen(fence);
        self.proposals.end_wait(&request.keys.wait_key);
        Some(GrantOutcome::Granted {
            fence,
            slot: request.slot.unwrap_or_default(),
            data_set: DataSet::local(),
        })
    }

    /// The request with what all members are asked for.
    fn proposing(&self, request: &Request) -> Result<(Arc<Request>, Fence), Failure> {
        let proposal = self.proposals.next(&request.keys.wait_key, request.waits);
        let proposal = proposal.map_err(|error| {
            let detail = format!("a member's fence counter is too great: {error}");
            Failure::not_applied(Unavailable::new(Cause::Protocol { detail }))
        })?;
        let request = Request {
            proposal: Some(proposal),
            ..request.clone()
        };
        Ok((Arc::new(request), proposal.fence))
    }

    /// The second round trip: the lease counts once a majority has its fence.
    async fn write_back(
        &self,
        request: &Arc<Request>,
        fence: Fence,
        votes: &mut VoteCount,
    ) -> bool {
        let asked = request.clone();
        let mut answers = self.send(move |member| {
            let request = asked.clone();
            async move { member.single.raise_fence(&request, fence).await }
        });
        let mut written = Vec::new();
        while let Some(MemberAnswer { member, result }) = answers.recv().await {
            match result {
                Ok(true) => written.push(member),
                Ok(false) => votes.note(&member, "has lost the lock again"),
                Err(failure) => votes.note(&member, &failure.unavailable.cause().to_string()),
            }
            if written.len() >= self.needed() {
                return true;
            }
        }
        votes.granted = written;
        false
    }

    /// Whether a majority of the members calls the waiters of this locker.
    pub(crate) fn store_notifies_waiters(&self) -> bool {
        let members = self.members.iter();
        let calling = members.filter(|member| member.single.store_notifies_waiters());
        calling.count() >= self.needed()
    }

    fn needed(&self) -> usize {
        majority(self.members.len())
    }

    /// Whether this many members against it leave no majority.
    fn rules_out(&self, against: usize) -> bool {
        against > self.members.len() - self.needed()
    }

    fn too_few(&self, answered: usize, missing: Vec<(Endpoint, Cause)>) -> Unavailable {
        let needed = self.needed();
        Unavailable::new(Cause::NoQuorum {
            answered,
            needed,
            silent: missing.into(),
        })
    }

    fn send<T, Q, F>(&self, request: Q) -> mpsc::Receiver<MemberAnswer<T>>
    where
        T: Send + 'static,
        Q: Fn(Member) -> F,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.send_to(&self.members, request)
    }

    fn send_to<T, Q, F>(&self, members: &[Member], request: Q) -> mpsc::Receiver<MemberAnswer<T>>
    where
        T: Send + 'static,
        Q: Fn(Member) -> F,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.fan_out.send(members, |member| {
            let (member, sending) = (member.clone(), request(member.clone()));
            async move {
                let result = sending.await;
                MemberAnswer { member, result }
            }
        })
    }
}
