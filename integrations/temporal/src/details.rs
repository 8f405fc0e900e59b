//! What this crate records as the details of a heartbeat, and how an activity finds its own there.
//!
//! The server keeps the last details of an activity, and hands them to its next attempt. They
//! belong to the activity. So what this crate writes carries a mark, is replaced by the activity's
//! own once the wait is over, and is never taken for them.

use std::collections::HashMap;

use leasehold::Ticket;
use serde::Serialize;
use temporalio_common::data_converters::{
    PayloadConversionError, RawValue, TemporalDeserializable,
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_sdk::activities::ActivityContext;

/// The entry in a payload's metadata that marks what this crate wrote.
const MARK: &str = "leasehold";
const WAITING: &[u8] = b"waiting";
const TICKET: &[u8] = b"ticket";

/// What an earlier attempt of this activity recorded with `record_heartbeat`, if it did.
///
/// Use it in place of `ctx.heartbeat_details().deserialize()` in an activity that waits with
/// [`ActivityLocks::run`](crate::ActivityLocks::run) or adopts a ticket: an attempt that died while
/// it waited has left the message of its wait there.
///
/// # Errors
///
/// The details are the activity's own, and of another type.
pub fn progress<T: TemporalDeserializable + 'static>(
    context: &ActivityContext,
) -> Result<Option<T>, PayloadConversionError> {
    if is_ours(context.heartbeat_details().raw()) {
        return Ok(None);
    }
    context.heartbeat_details().deserialize()
}

/// What people see of an activity that waits.
pub(crate) fn waiting(message: &str) -> RawValue {
    marked(WAITING, &message)
}

/// The ticket of the lease that this attempt has adopted, for the next attempt.
pub(crate) fn ticket(ticket: &Ticket) -> RawValue {
    marked(TICKET, ticket)
}

/// The ticket that an earlier attempt left.
pub(crate) fn left_ticket(payloads: &[Payload]) -> Option<Ticket> {
    let payload = payloads.first()?;
    if payload.metadata.get(MARK)? != TICKET {
        return None;
    }
    serde_json::from_slice(&payload.data).ok()
}

/// What is to stand in the details once a wait is over: what stood there before.
pub(crate) fn restored(before: &[Payload]) -> RawValue {
    let is_message = before.first().is_some_and(|payload| {
        payload
            .metadata
            .get(MARK)
            .is_some_and(|mark| mark == WAITING)
    });
    RawValue::new(if is_message {
        Vec::new()
    } else {
        before.to_vec()
    })
}

fn is_ours(payloads: &[Payload]) -> bool {
    payloads
        .first()
        .is_some_and(|payload| payload.metadata.contains_key(MARK))
}

fn marked(mark: &[u8], value: &impl Serialize) -> RawValue {
    let metadata = HashMap::from([
        ("encoding".to_owned(), b"json/plain".to_vec()),
        (MARK.to_owned(), mark.to_vec()),
    ]);
    RawValue::new(vec![Payload {
        metadata,
        data: serde_json::to_vec(value).unwrap_or_default(),
        ..Payload::default()
    }])
}

#[cfg(test)]
mod tests {
    use leasehold::{Locker, MemoryStore};

    use super::*;

    #[test]
    fn a_message_is_removed_and_progress_is_kept() {
        let message = waiting("waiting for `a`").payloads;
        assert!(is_ours(&message));
        assert!(restored(&message).payloads.is_empty());
        let progress = vec![Payload {
            data: b"5".to_vec(),
            ..Payload::default()
        }];
        assert!(!is_ours(&progress));
        assert_eq!(restored(&progress).payloads, progress);
    }

    #[tokio::test]
    async fn a_ticket_is_found_again() {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lease = locker.acquire("a").await.expect("a lease");
        let payloads = ticket(&lease.into_ticket()).payloads;
        let found = left_ticket(&payloads).expect("a ticket");
        assert_eq!(found.resource(), "a");
        assert_eq!(restored(&payloads).payloads, payloads);
        assert!(left_ticket(&waiting("a").payloads).is_none());
    }
}
