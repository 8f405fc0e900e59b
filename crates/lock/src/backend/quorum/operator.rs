//! Requests of operators: a list of the locks, and a forced release.

use super::Quorum;
use super::member::MemberAnswer;
use super::vote_count::agreed;
use crate::backend::ops::{ForceOutcome, Holding, Scanned};
use crate::protocol::keys::Keys;
use crate::transport::server_errors::Failure;

impl Quorum {
    /// Who holds each of the locks on a majority of the members.
    pub(crate) async fn inspect(&self, keys: &Keys) -> Result<Vec<Option<Holding>>, Failure> {
        let keys = keys.clone();
        let locks = keys.locks.len();
        let mut answers = self.send(move |member| {
            let keys = keys.clone();
            async move { member.single.inspect(&keys).await }
        });
        let mut seen: Vec<Vec<Option<Holding>>> = Vec::new();
        let mut missing = Vec::new();
        while let Some(MemberAnswer { member, result }) = answers.recv().await {
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
    pub(crate) async fn force_release(
        &self,
        keys: &Keys,
        id: &str,
    ) -> Result<ForceOutcome, Failure> {
        let (keys, id) = (keys.clone(), id.to_owned());
        let mut answers = self.send(move |member| {
            let (keys, id) = (keys.clone(), id.clone());
            async move { member.single.force_release(&keys, &id).await }
        });
        let (mut taken, mut answered, mut other) = (None, 0, None);
        while let Some(MemberAnswer { result, .. }) = answers.recv().await {
            match result {
                Ok(ForceOutcome::Taken { from, fence }) => {
                    answered += 1;
                    let greatest = taken.map_or(fence, |(_, before)| fence.max(before));
                    taken = Some((from, greatest));
                }
                Ok(ForceOutcome::HeldByAnother { by }) => {
                    answered += 1;
                    other = Some(by);
                }
                // Members confirm nothing.
                Ok(ForceOutcome::Missing | ForceOutcome::NotReplicated(_)) => answered += 1,
                Err(_) => {}
            }
        }
        match (taken, other) {
            _ if answered < self.needed() => {
                Err(Failure::unknown(self.too_few(answered, Vec::new())))
            }
            (Some((from, fence)), _) => Ok(ForceOutcome::Taken { from, fence }),
            (None, Some(by)) => Ok(ForceOutcome::HeldByAnother { by }),
            (None, None) => Ok(ForceOutcome::Missing),
        }
    }
}
