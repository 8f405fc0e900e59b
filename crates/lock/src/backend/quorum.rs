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
mod renewing;
mod vote_count;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{FuturesUnordered, unfold};
use leasehold_config::Endpoint;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use self::fan_out::FanOut;
use self::member::{Answer, Member};
use self::proposals::Proposals;
use self::vote_count::{Decision, ReleaseCount, VoteCount};
use super::single::Single;
use crate::backend::ops::{DataSet, GrantOutcome, ReleaseOutcome, Request};
use crate::fence::Fence;
use crate::master::confirm::majority;
use crate::resource::Keys;
use crate::transport::server_errors::{Failure, Outcome};
use crate::unavailable::{Cause, Unavailable};

/// Between attempts to release a lock on one member.
const RELEASE_PAUSE: Duration = Duration::from_millis(200);

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
        while let Some(Answer { member, result }) = answers.recv().await {
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
        while let Some(answer) = answers.recv().await {
            votes.add(answer);
            match votes.decision(self.needed()) {
                Some(Decision::Stands(fence)) => return Ok(self.granted(&request, fence)),
                Some(Decision::WriteBack(fence)) => {
                    return Ok(self.write_back(&request, fence, votes).await);
                }
                None if self.rules_out(votes.refused) => break,
                None => {}
            }
        }
        votes
            .greatest
            .into_iter()
            .for_each(|fence| self.proposals.seen(fence));
        // A token that was sent before may be granted again by its next attempt: it keeps what it has.
        if !request.is_repeated {
            self.give_back(&request, &votes.granted, answers);
        }
        Ok(votes.refusal(self.members.len(), self.needed()))
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

    fn granted(&self, request: &Request, fence: Fence) -> GrantOutcome {
        self.proposals.seen(fence);
        self.proposals.end_wait(&request.keys.wait_key);
        GrantOutcome::Granted {
            fence,
            slot: request.slot.unwrap_or_default(),
            data_set: DataSet::local(),
        }
    }

    /// The second round trip: the lease counts once a majority has its fence.
    async fn write_back(
        &self,
        request: &Arc<Request>,
        fence: Fence,
        mut votes: VoteCount,
    ) -> GrantOutcome {
        let asked = request.clone();
        let mut answers = self.send(move |member| {
            let request = asked.clone();
            async move { member.single.raise_fence(&request, fence).await }
        });
        let mut written = Vec::new();
        while let Some(Answer { member, result }) = answers.recv().await {
            match result {
                Ok(true) => written.push(member),
                Ok(false) => votes.note(&member, "has lost the lock again"),
                Err(failure) => votes.note(&member, &failure.unavailable.cause().to_string()),
            }
            if written.len() >= self.needed() {
                return self.granted(request, fence);
            }
        }
        votes.granted = written;
        votes.refusal(self.members.len(), self.needed())
    }

    /// Releases, in the background, what a refused attempt was granted, and what it is granted yet.
    fn give_back(
        &self,
        request: &Arc<Request>,
        granted: &[Member],
        late: mpsc::Receiver<Answer<GrantOutcome>>,
    ) {
        let until = Instant::now() + request.ttl;
        self.release_the_rest(request, self.send_releases(granted, request), Vec::new());
        let request = request.clone();
        let late = unfold(late, |mut late| async move {
            let answer = late.recv().await?;
            Some((answer, late))
        });
        let releasing = late.for_each_concurrent(None, move |Answer { member, result }| {
            let request = request.clone();
            let grant_uncertain = match result {
                Ok(granting) => matches!(granting, GrantOutcome::Granted { .. }),
                Err(failure) => failure.outcome == Outcome::Unknown,
            };
            async move {
                if grant_uncertain {
                    release_until(&request, vec![member], until).await;
                }
            }
        });
        self.fan_out.run_to_completion(releasing);
    }

    /// Gives up the place in every member's queue. One that is not reached calls this locker in vain, which
    /// then leaves again, or drops it once it counts no more.
    pub(crate) async fn leave(&self, keys: &Keys) -> Result<(), Failure> {
        self.proposals.end_wait(&keys.wait_key);
        let keys = Arc::new(keys.clone());
        let mut answers = self.send(move |member| {
            let keys = keys.clone();
            async move { member.single.leave(&keys).await }
        });
        let (mut answered, mut missing) = (0, Vec::new());
        while let Some(Answer { member, result }) = answers.recv().await {
            match result {
                Ok(()) => answered += 1,
                Err(failure) => {
                    missing.push((member.endpoint, failure.unavailable.cause().clone()));
                }
            }
        }
        if answered >= self.needed() {
            return Ok(());
        }
        Err(Failure::unknown(self.too_few(answered, missing)))
    }

    /// Whether a majority of the members calls the waiters of this locker.
    pub(crate) fn store_notifies_waiters(&self) -> bool {
        let members = self.members.iter();
        let calling = members.filter(|member| member.single.store_notifies_waiters());
        calling.count() >= self.needed()
    }

    /// Asks every member. The outcome stands as soon as a majority decides it; if none does, once every
    /// member has been asked. Whoever was silent is asked again in the background.
    pub(crate) async fn release(&self, request: &Request) -> Result<ReleaseOutcome, Failure> {
        let mut answers = self.send_releases(&self.members, request);
        let (mut count, mut silent) = (ReleaseCount::default(), Vec::new());
        while let Some(Answer { member, result }) = answers.recv().await {
            match result {
                Ok(releasing) => count.add(releasing),
                Err(_) => silent.push(member),
            }
            let has_answered = count.answered() >= self.needed();
            if count.released >= self.needed() || has_answered && self.rules_out(count.missing) {
                break;
            }
        }
        if count.answered() < self.needed() {
            return Err(Failure::unknown(self.too_few(count.answered(), Vec::new())));
        }
        self.release_the_rest(request, answers, silent);
        let was_held = !self.rules_out(count.missing);
        Ok(count.outcome(was_held))
    }

    /// Asks every member once. An error: some member has not answered.
    pub(crate) async fn take_back(&self, request: &Request) -> Result<(), Failure> {
        let mut answers = self.send_releases(&self.members, request);
        let mut outcome = Ok(());
        while let Some(Answer { result, .. }) = answers.recv().await {
            outcome = outcome.and(result.map(drop));
        }
        outcome
    }

    /// Asks every member, in the background.
    fn release_in_background(&self, request: &Request) {
        let answers = self.send_releases(&self.members, request);
        self.release_the_rest(request, answers, Vec::new());
    }

    fn send_releases(
        &self,
        members: &[Member],
        request: &Request,
    ) -> mpsc::Receiver<Answer<ReleaseOutcome>> {
        let request = Arc::new(request.clone());
        self.send_to(members, move |member| {
            let request = request.clone();
            async move { member.single.release(&request).await }
        })
    }

    /// Asks those who were silent or still are, until they answer or the key must have expired.
    fn release_the_rest(
        &self,
        request: &Request,
        mut answers: mpsc::Receiver<Answer<ReleaseOutcome>>,
        mut silent: Vec<Member>,
    ) {
        let request = request.clone();
        let until = Instant::now() + request.ttl;
        self.fan_out.run_to_completion(async move {
            while let Some(Answer { member, result }) = answers.recv().await {
                if result.is_err() {
                    silent.push(member);
                }
            }
            if !silent.is_empty() {
                sleep(RELEASE_PAUSE).await;
                release_until(&request, silent, until).await;
            }
        });
    }

    fn needed(&self) -> usize {
        majority(self.members.len())
    }

    /// Whether so many members against it leave no majority.
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

    fn send<T, Q, F>(&self, request: Q) -> mpsc::Receiver<Answer<T>>
    where
        T: Send + 'static,
        Q: Fn(Member) -> F,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.send_to(&self.members, request)
    }

    fn send_to<T, Q, F>(&self, members: &[Member], request: Q) -> mpsc::Receiver<Answer<T>>
    where
        T: Send + 'static,
        Q: Fn(Member) -> F,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.fan_out.send(members, |member| {
            let (member, sending) = (member.clone(), request(member.clone()));
            async move {
                let result = sending.await;
                Answer { member, result }
            }
        })
    }
}

/// Releases on each of these members, until it answers or the key must have expired.
async fn release_until(request: &Request, members: Vec<Member>, until: Instant) {
    let releases = members.into_iter().map(|member| async move {
        while member.single.release(request).await.is_err() && Instant::now() < until {
            sleep(RELEASE_PAUSE).await;
        }
    });
    releases
        .collect::<FuturesUnordered<_>>()
        .for_each(|()| std::future::ready(()))
        .await;
}
