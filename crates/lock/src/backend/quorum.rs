//! Locks on a majority of independent masters (Redlock), with fences.
//!
//! Every member is asked at once, and the answer stands as soon as a majority decides it, so a dead
//! or hung member costs no time. A fence takes two phases: the greatest that the granting majority
//! named, written back to a majority before the lease counts, so that every later majority meets
//! it. Every member has a gate of its own, so one that came back empty does not vote until the
//! longest lease has passed (Redlock's delayed restart).

mod questions;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leasehold_config::Endpoint;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use self::questions::Questions;
use self::tally::{GrantTally, ReleaseTally, agreed};
use super::single::Single;
use super::{Adopting, DataSet, Forcing, Granting, Holding, Releasing, Renewing, Request, Scanned};
use crate::fence::Fence;
use crate::redis::classify::Failure;
use crate::redis::confirm::majority;
use crate::resource::Keys;
use crate::token::Token;
use crate::unavailable::{Cause, Unavailable};

/// Between attempts to take a lock back from one member.
const RELEASE_PAUSE: Duration = Duration::from_millis(200);

/// The backend over several masters.
pub(crate) struct Quorum {
    members: Vec<Member>,
    questions: Questions,
}

#[derive(Clone)]
struct Member {
    endpoint: Endpoint,
    single: Arc<Single>,
}

/// One member's answer to a question.
struct Answer<T> {
    member: Member,
    result: Result<T, Failure>,
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
            questions: Questions::default(),
        }
    }

    /// Waits until a majority is connected, or too few can be.
    pub(crate) async fn first_attempt(&self) -> Result<(), Unavailable> {
        let mut answers = self.ask(|member| async move {
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
    pub(crate) async fn grant(&self, request: &Request) -> Result<Granting, Failure> {
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
            if matches!(granting, Granting::Granted { .. }) {
                return Ok(granting);
            }
            self.give_back(&one);
            refusal = Some(granting);
        }
        refusal.ok_or_else(|| Failure::not_applied(self.too_few(0, Vec::new())))
    }

    async fn grant_one(&self, request: &Request) -> Result<Granting, Failure> {
        let request = Arc::new(Request {
            waits: false,
            ..request.clone()
        });
        let asked = request.clone();
        let mut answers = self.ask(move |member| {
            let request = asked.clone();
            async move { member.single.grant(&request).await }
        });
        let mut tally = GrantTally::default();
        while let Some(answer) = answers.recv().await {
            tally.add(answer);
            if let Some(fence) = tally.fence
                && tally.granted >= self.needed()
            {
                return Ok(self.write_back(&request, fence, tally).await);
            }
            if self.rules_out(tally.refused) {
                break;
            }
        }
        Ok(tally.refusal(self.members.len(), self.needed()))
    }

    /// The second phase: the lease counts once a majority has its fence.
    async fn write_back(
        &self,
        request: &Arc<Request>,
        fence: Fence,
        mut tally: GrantTally,
    ) -> Granting {
        let asked = request.clone();
        let mut answers = self.ask(move |member| {
            let request = asked.clone();
            async move { member.single.raise_fence(&request, fence).await }
        });
        let mut written = 0;
        while let Some(Answer { member, result }) = answers.recv().await {
            match result {
                Ok(true) => written += 1,
                Ok(false) => tally.note(&member, "has lost the lock again"),
                Err(failure) => tally.note(&member, &failure.unavailable.cause().to_string()),
            }
            if written >= self.needed() {
                let slot = request.slot.unwrap_or_default();
                return Granting::Granted {
                    fence,
                    slot,
                    data_set: DataSet::local(),
                };
            }
        }
        tally.granted = written;
        tally.refusal(self.members.len(), self.needed())
    }

    pub(crate) async fn renew(
        &self,
        request: &Request,
        fence: Fence,
        is_over: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Result<Renewing, Failure> {
        let asked = request.clone();
        let mut answers = self.ask(move |member| {
            let (request, is_over) = (asked.clone(), is_over.clone());
            async move {
                let renewing = member.single.renew(&request, fence).await;
                if matches!(renewing, Ok(Renewing::Missing { .. })) && !is_over() {
                    // A member that was away at the grant, or forgot, takes part from now on. It
                    // does not count for this renewal.
                    let _ = member.single.grant(&request).await;
                    // What took the lease back meanwhile may have come before this grant.
                    if is_over() {
                        let _ = member.single.release(&request).await;
                    }
                }
                renewing
            }
        });
        let (mut renewed, mut gone, mut thief) = (0, 0, None);
        let mut missing = Vec::new();
        while let Some(Answer { member, result }) = answers.recv().await {
            match result {
                Ok(Renewing::Renewed { .. }) => renewed += 1,
                Ok(Renewing::Missing { .. }) => gone += 1,
                Ok(Renewing::Stolen { by }) => {
                    gone += 1;
                    thief = Some(by);
                }
                Ok(Renewing::NotReplicated { .. }) => {}
                Err(failure) => {
                    missing.push((member.endpoint, failure.unavailable.cause().clone()));
                }
            }
            if renewed >= self.needed() {
                return Ok(Renewing::Renewed {
                    is_gate_closed: false,
                    data_set: DataSet::local(),
                    // Some member may be given the lock again, above.
                    reasserted: true,
                });
            }
            if self.rules_out(gone) {
                // What is left of the lease, and what was just given to it, is of no more use.
                self.give_back(request);
                return Ok(match thief {
                    Some(by) => Renewing::Stolen { by },
                    None => Renewing::Missing {
                        data_set: DataSet::local(),
                    },
                });
            }
        }
        Err(Failure::unknown(self.too_few(renewed, missing)))
    }

    pub(crate) async fn adopt(&self, request: &Request, from: &Token) -> Result<Adopting, Failure> {
        let (request, from) = (Arc::new(request.clone()), from.clone());
        let asked = request.clone();
        let mut answers = self.ask(move |member| {
            let (request, from) = (asked.clone(), from.clone());
            async move { member.single.adopt(&request, &from).await }
        });
        let (mut tally, mut gone, mut thief) = (GrantTally::default(), 0, None);
        while let Some(Answer { member, result }) = answers.recv().await {
            match result {
                Ok(Adopting::Adopted { fence, .. }) => {
                    tally.granted += 1;
                    tally.fence = tally.fence.max(Some(fence));
                }
                Ok(Adopting::Missing) => gone += 1,
                Ok(Adopting::Stolen { by }) => {
                    gone += 1;
                    thief = Some(by);
                }
                Ok(
                    Adopting::NotReplicated(_)
                    | Adopting::GateClosed { .. }
                    | Adopting::AboveSharedBound { .. },
                ) => {}
                Err(failure) => tally.note(&member, &failure.unavailable.cause().to_string()),
            }
            if let Some(fence) = tally.fence
                && tally.granted >= self.needed()
            {
                return match self.write_back(&request, fence, tally).await {
                    Granting::Granted {
                        fence, data_set, ..
                    } => Ok(Adopting::Adopted { fence, data_set }),
                    _ => Err(Failure::unknown(self.too_few(0, Vec::new()))),
                };
            }
            if self.rules_out(gone) {
                return Ok(thief.map_or(Adopting::Missing, |by| Adopting::Stolen { by }));
            }
        }
        Err(Failure::unknown(self.too_few(tally.granted, Vec::new())))
    }

    /// Tells every member. The outcome stands as soon as a majority decides it; if none does, once every
    /// member has been asked. Whoever was silent is told again in the background.
    pub(crate) async fn release(&self, request: &Request) -> Result<Releasing, Failure> {
        let mut answers = self.ask_to_release(request);
        let (mut tally, mut silent) = (ReleaseTally::default(), Vec::new());
        while let Some(Answer { member, result }) = answers.recv().await {
            match result {
                Ok(releasing) => tally.add(releasing),
                Err(_) => silent.push(member),
            }
            let has_answered = tally.answered() >= self.needed();
            if tally.released >= self.needed() || has_answered && self.rules_out(tally.missing) {
                break;
            }
        }
        if tally.answered() < self.needed() {
            return Err(Failure::unknown(self.too_few(tally.answered(), Vec::new())));
        }
        self.tell_the_rest(request, answers, silent);
        let was_held = !self.rules_out(tally.missing);
        Ok(tally.outcome(was_held))
    }

    /// Tells every member once. An error: some member has not answered.
    pub(crate) async fn take_back(&self, request: &Request) -> Result<(), Failure> {
        let mut answers = self.ask_to_release(request);
        let mut outcome = Ok(());
        while let Some(Answer { result, .. }) = answers.recv().await {
            outcome = outcome.and(result.map(drop));
        }
        outcome
    }

    /// Tells every member, in the background.
    fn give_back(&self, request: &Request) {
        self.tell_the_rest(request, self.ask_to_release(request), Vec::new());
    }

    fn ask_to_release(&self, request: &Request) -> mpsc::Receiver<Answer<Releasing>> {
        let request = request.clone();
        self.ask(move |member| {
            let request = request.clone();
            async move { member.single.release(&request).await }
        })
    }

    /// Tells those who were silent or still are, until they answer or the key must have expired.
    fn tell_the_rest(
        &self,
        request: &Request,
        mut answers: mpsc::Receiver<Answer<Releasing>>,
        mut silent: Vec<Member>,
    ) {
        let request = request.clone();
        let until = Instant::now() + request.ttl;
        self.questions.see_through(async move {
            while let Some(Answer { member, result }) = answers.recv().await {
                if result.is_err() {
                    silent.push(member);
                }
            }
            while !silent.is_empty() && Instant::now() < until {
                sleep(RELEASE_PAUSE).await;
                let told = silent.iter().map(|member| member.single.release(&request));
                let mut told = join_all(told).await.into_iter();
                silent.retain(|_| told.next().is_some_and(|result| result.is_err()));
            }
        });
    }

    /// Who holds each of the locks on a majority of the members.
    pub(crate) async fn inspect(&self, keys: &Keys) -> Result<Vec<Option<Holding>>, Failure> {
        let keys = keys.clone();
        let locks = keys.locks.len();
        let mut answers = self.ask(move |member| {
            let keys = keys.clone();
            async move { member.single.inspect(&keys).await }
        });
        let mut seen: Vec<Vec<Option<Holding>>> = Vec::new();
        let mut missing = Vec::new();
        while let Some(Answer { member, result }) = answers.recv().await {
            match result {
                Ok(holdings) => seen.push(holdings),
                Err(failure) => {
                    missing.push((member.endpoint, failure.unavailable.cause().clone()));
                }
            }
            let agreed: Option<Vec<_>> = (0..locks)
                .map(|lock| agreed(&seen, lock, self.needed()))
                .collect();
            if let Some(agreed) = agreed {
                return Ok(agreed);
            }
        }
        if seen.len() < self.needed() {
            return Err(Failure::not_applied(self.too_few(seen.len(), missing)));
        }
        // Nobody holds what no majority agrees on.
        Ok((0..locks)
            .map(|lock| agreed(&seen, lock, self.needed()).flatten())
            .collect())
    }

    /// The locks on the first member that is connected. One that only a minority has is listed too.
    pub(crate) async fn scan(&self, pattern: &str, cursor: u64) -> Result<Scanned, Failure> {
        let connected = self
            .members
            .iter()
            .find(|member| member.single.topology().link().is_ok());
        match connected {
            Some(member) => member.single.scan(pattern, cursor).await,
            None => Err(Failure::not_applied(self.too_few(0, Vec::new()))),
        }
    }

    /// Takes the lock from its holder on every member that can be reached.
    pub(crate) async fn force_release(&self, keys: &Keys, id: &str) -> Result<Forcing, Failure> {
        let (keys, id) = (keys.clone(), id.to_owned());
        let mut answers = self.ask(move |member| {
            let (keys, id) = (keys.clone(), id.clone());
            async move { member.single.force_release(&keys, &id).await }
        });
        let (mut taken, mut answered, mut other) = (None, 0, None);
        while let Some(Answer { result, .. }) = answers.recv().await {
            match result {
                Ok(Forcing::Taken { from, fence }) => {
                    answered += 1;
                    let greatest = taken.map_or(fence, |(_, before)| fence.max(before));
                    taken = Some((from, greatest));
                }
                Ok(Forcing::HeldByAnother { by }) => {
                    answered += 1;
                    other = Some(by);
                }
                // Members confirm nothing.
                Ok(Forcing::Missing | Forcing::NotReplicated(_)) => answered += 1,
                Err(_) => {}
            }
        }
        match (taken, other) {
            _ if answered < self.needed() => {
                Err(Failure::unknown(self.too_few(answered, Vec::new())))
            }
            (Some((from, fence)), _) => Ok(Forcing::Taken { from, fence }),
            (None, Some(by)) => Ok(Forcing::HeldByAnother { by }),
            (None, None) => Ok(Forcing::Missing),
        }
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

    fn ask<T, Q, F>(&self, question: Q) -> mpsc::Receiver<Answer<T>>
    where
        T: Send + 'static,
        Q: Fn(Member) -> F,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        self.questions.ask(&self.members, |member| {
            let (member, asking) = (member.clone(), question(member.clone()));
            async move {
                let result = asking.await;
                Answer { member, result }
            }
        })
    }
}
