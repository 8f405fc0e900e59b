//! Releases, and what is released or left in the background.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, unfold};
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::Quorum;
use super::member::{Member, MemberAnswer};
use super::vote_count::ReleaseCount;
use crate::backend::ops::{GrantOutcome, ReleaseOutcome, Request};
use crate::protocol::keys::Keys;
use crate::transport::server_errors::{Failure, Outcome};

/// Between attempts to release a lock on one member.
const RELEASE_PAUSE: Duration = Duration::from_millis(200);

impl Quorum {
    /// Asks every member. The outcome stands as soon as a majority decides it; if none does, once every
    /// member has been asked. Members that did not answer are asked again in the background.
    pub(crate) async fn release(&self, request: &Request) -> Result<ReleaseOutcome, Failure> {
        let mut answers = self.send_releases(&self.members, request);
        let (mut count, mut silent) = (ReleaseCount::default(), Vec::new());
        while let Some(MemberAnswer { member, result }) = answers.recv().await {
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
        while let Some(MemberAnswer { result, .. }) = answers.recv().await {
            outcome = outcome.and(result.map(drop));
        }
        outcome
    }

    /// Asks every member, in the background.
    pub(super) fn release_in_background(&self, request: &Request) {
        let answers = self.send_releases(&self.members, request);
        self.release_the_rest(request, answers, Vec::new());
    }

    fn send_releases(
        &self,
        members: &[Member],
        request: &Request,
    ) -> mpsc::Receiver<MemberAnswer<ReleaseOutcome>> {
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
        mut answers: mpsc::Receiver<MemberAnswer<ReleaseOutcome>>,
        mut silent: Vec<Member>,
    ) {
        let request = request.clone();
        let until = Instant::now() + request.ttl;
        self.fan_out.run_to_completion(async move {
            while let Some(MemberAnswer { member, result }) = answers.recv().await {
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

    /// Releases, in the background, what a refused attempt was granted, and what it is granted yet.
    pub(super) fn give_back(
        &self,
        request: &Arc<Request>,
        granted: &[Member],
        late: mpsc::Receiver<MemberAnswer<GrantOutcome>>,
    ) {
        let until = Instant::now() + request.ttl;
        self.release_the_rest(request, self.send_releases(granted, request), Vec::new());
        let request = request.clone();
        let releasing =
            stream(late).for_each_concurrent(None, move |MemberAnswer { member, result }| {
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
        while let Some(MemberAnswer { member, result }) = answers.recv().await {
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

    /// Leaves the queues of the members that a granted request has entered, or enters yet.
    pub(super) fn leave_the_rest(
        &self,
        request: &Request,
        queued: Vec<Member>,
        late: mpsc::Receiver<MemberAnswer<GrantOutcome>>,
    ) {
        if !request.waits {
            return;
        }
        let keys = request.keys.clone();
        let late = stream(late).filter_map(|answer| async move { answer.queued() });
        let leaving = futures_util::stream::iter(queued).chain(late);
        let leaving = leaving.for_each_concurrent(None, move |member| {
            let keys = keys.clone();
            async move {
                // One that is not reached calls in vain, and is left then.
                let _ = member.single.leave(&keys).await;
            }
        });
        self.fan_out.run_to_completion(leaving);
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

fn stream<T>(answers: mpsc::Receiver<T>) -> impl Stream<Item = T> {
    unfold(answers, |mut answers| async move {
        let answer = answers.recv().await?;
        Some((answer, answers))
    })
}
