//! Renewals: a majority keeps the lease, and a member that misses the lock is given it.

use super::Quorum;
use super::member::{Member, MemberAnswer};
use super::proposals::Proposals;
use crate::backend::ops::{DataSet, RenewOutcome, Request};
use crate::fence::Fence;
use crate::transport::server_errors::Failure;

impl Quorum {
    pub(crate) async fn renew(
        &self,
        request: &Request,
        fence: Fence,
        is_over: impl Fn() -> bool + Clone + Send + Sync + 'static,
    ) -> Result<RenewOutcome, Failure> {
        // A member that was away at the grant, or forgot, takes part from now on, with the lease's fence. It
        // does not count for this renewal.
        let missed = Request {
            waits: false,
            proposal: Some(Proposals::again(fence)),
            ..request.clone()
        };
        let mut answers = self.send(move |member| {
            let (request, is_over) = (missed.clone(), is_over.clone());
            async move { renew_at(&member, &request, fence, is_over).await }
        });
        let (mut renewed, mut gone, mut thief) = (0, 0, None);
        let mut missing = Vec::new();
        while let Some(MemberAnswer { member, result }) = answers.recv().await {
            match result {
                Ok(RenewOutcome::Renewed { .. }) => renewed += 1,
                Ok(RenewOutcome::Missing { .. }) => gone += 1,
                Ok(RenewOutcome::Stolen { by }) => {
                    gone += 1;
                    thief = Some(by);
                }
                Ok(RenewOutcome::NotReplicated { .. }) => {}
                Err(failure) => {
                    missing.push((member.endpoint, failure.unavailable.cause().clone()));
                }
            }
            if renewed >= self.needed() {
                return Ok(RenewOutcome::Renewed {
                    is_gate_closed: false,
                    data_set: DataSet::local(),
                    // Some member may be given the lock again, above.
                    reasserted: true,
                });
            }
            if self.rules_out(gone) {
                // What is left of the lease, and what was just given to it, is of no more use.
                self.release_in_background(request);
                return Ok(match thief {
                    Some(by) => RenewOutcome::Stolen { by },
                    None => RenewOutcome::Missing {
                        data_set: DataSet::local(),
                    },
                });
            }
        }
        Err(Failure::unknown(self.too_few(renewed, missing)))
    }
}

/// Renews at one member, and gives it the lock if it misses it.
async fn renew_at(
    member: &Member,
    request: &Request,
    fence: Fence,
    is_over: impl Fn() -> bool,
) -> Result<RenewOutcome, Failure> {
    let renewing = member.single.renew(request, fence).await;
    if matches!(renewing, Ok(RenewOutcome::Missing { .. })) && !is_over() {
        let _ = member.single.grant(request).await;
        // What took the lease back meanwhile may have come before this grant.
        if is_over() {
            let _ = member.single.release(request).await;
        }
    }
    renewing
}
