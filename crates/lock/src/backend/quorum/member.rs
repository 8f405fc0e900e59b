//! One of the independent masters, and what it answers.

use std::sync::Arc;

use leasehold_config::Endpoint;

use crate::backend::ops::{GrantOutcome, Refusal};
use crate::backend::single::Single;
use crate::transport::server_errors::Failure;

/// One master with its connection.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    pub(super) single: Arc<Single>,
}

/// What one member answered.
pub(super) struct MemberAnswer<T> {
    pub(super) member: Member,
    pub(super) result: Result<T, Failure>,
}

impl MemberAnswer<GrantOutcome> {
    /// The member, if the request entered its queue.
    pub(super) fn queued(self) -> Option<Member> {
        let queued = matches!(
            self.result,
            Ok(GrantOutcome::Refused(Refusal::Held {
                before: Some(_),
                ..
            }))
        );
        queued.then_some(self.member)
    }
}
