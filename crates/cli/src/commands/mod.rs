//! The commands that look at locks and change them by hand, a file each.

pub(crate) mod env;
pub(crate) mod list;
pub(crate) mod release;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod ticket;
pub(crate) mod topology;
pub(crate) mod wait;

use leasehold::Holder;
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
        "remaining_ms": holder.remaining.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        "fence": holder.fence.map(leasehold::Fence::as_i64),
        "holder_id": holder.id,
    })
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
