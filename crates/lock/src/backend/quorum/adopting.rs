//! Taking a lease over from another token, on a majority.

use super::Quorum;
use super::member::MemberAnswer;
use super::vote_count::VoteCount;
use crate::backend::ops::{AdoptOutcome, GrantOutcome, Request};
use crate::token::Token;
use crate::transport::server_errors::Failure;

impl Quorum {
    pub(crate) async fn adopt(
        &self,
        request: &Request,
        from: &Token,
    ) -> Result<AdoptOutcome, Failure> {
        let (request, proposed) = self.proposing(request)?;
        let from = from.clone();
        let asked = request.clone();
        let mut answers = self.send(move |member| {
            let (request, from) = (asked.clone(), from.clone());
            async move { member.single.adopt(&request, &from).await }
        });
        let mut votes = VoteCount::of(proposed);
        let (mut gone, mut thief) = (0, None);
        while let Some(MemberAnswer { member, result }) = answers.recv().await {
            match result {
                Ok(AdoptOutcome::Adopted { fence, .. }) => votes.add_grant(member, fence),
                Ok(AdoptOutcome::Missing) => gone += 1,
                Ok(AdoptOutcome::Stolen { by }) => {
                    gone += 1;
                    thief = Some(by);
                }
                Ok(AdoptOutcome::Refused(_)) => {}
                Err(failure) => votes.note(&member, &failure.unavailable.cause().to_string()),
            }
            if let Some(decision) = votes.decision(self.needed()) {
                let settled = self.settle(&request, decision, &mut votes).await;
                return match settled {
                    Some(GrantOutcome::Granted {
                        fence, data_set, ..
                    }) => Ok(AdoptOutcome::Adopted { fence, data_set }),
                    _ => Err(Failure::unknown(self.too_few(0, Vec::new()))),
                };
            }
            if self.rules_out(gone) {
                break;
            }
        }
        if self.rules_out(gone) {
            return Ok(thief.map_or(AdoptOutcome::Missing, |by| AdoptOutcome::Stolen { by }));
        }
        Err(Failure::unknown(
            self.too_few(votes.granted.len(), Vec::new()),
        ))
    }
}
