//! The commands that look at locks and change them by hand, a file each.

pub(crate) mod bench;
pub(crate) mod env;
pub(crate) mod failover;
pub(crate) mod list;
pub(crate) mod release;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod ticket;
pub(crate) mod topology;
pub(crate) mod wait;
pub(crate) mod watch;

use std::time::Duration;

use leasehold::{Error, Holder, Locker};
use serde_json::{Value, json};

use crate::output::plain;

/// A holder as JSON.
pub(crate) fn document(resource: &str, holder: Option<&Holder>) -> Value {
    let Some(holder) = holder else {
        return json!({ "resource": resource, "held": false });
    };
    json!({
        "resource": resource,
        "held": true,
        "owner": holder.owner,
        "held_for_ms": holder.held_for.map(milliseconds),
        "remaining_ms": holder.remaining.map(milliseconds),
        "waiters": holder.waiters,
        "holder_id": holder.id,
    })
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Who holds a resource: one holder at most, or one for each of its slots.
pub(crate) async fn holders(
    locker: &Locker,
    resource: &str,
    slots: Option<usize>,
) -> Result<Vec<Option<Holder>>, Error> {
    match slots {
        None => Ok(vec![locker.inspect(resource).await?]),
        Some(limit) => locker.slots(resource, limit)?.inspect().await,
    }
}

/// For how long, or a dash where that cannot be told.
pub(crate) fn held_for(holder: &Holder) -> String {
    holder.held_for.map_or_else(dash, crate::duration::shown)
}

pub(crate) fn waiters(holder: &Holder) -> String {
    holder.waiters.map_or_else(dash, |count| count.to_string())
}

fn dash() -> String {
    "-".to_owned()
}

pub(crate) fn owner(holder: &Holder) -> String {
    plain(holder.owner.as_deref().unwrap_or("someone"))
}

pub(crate) fn remaining(holder: &Holder) -> String {
    match holder.remaining {
        Some(left) => crate::duration::shown(left),
        None => "never expires".to_owned(),
    }
}
