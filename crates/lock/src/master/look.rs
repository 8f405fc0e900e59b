//! The look behind a confirmation: what node, history and gate it was that confirmed.

use std::time::Duration;

use redis::Value;

use crate::protocol::reply::{self, Unexpected};
use crate::protocol::script::{LOOK, ScriptCall};

/// What `look.lua` saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// The node is still the master that the connection was made for.
    pub(crate) is_incarnation: bool,
    /// The gate's record is this incarnation's, and no replica with a history of its own has come
    /// since it was claimed: a replica that confirms has followed this incarnation alone since.
    pub(crate) is_claimed: bool,
    /// Until the gate opens; `None` as long as it has no time.
    pub(crate) opens_in: Option<Duration>,
    /// The longest lease that the gate's record allows.
    pub(crate) longest: Duration,
    /// Data nodes that the gate's record knows, or that are connected.
    pub(crate) data_nodes: usize,
    /// Connections that replicate, are no data node of their own, and may be what `WAIT` counted.
    pub(crate) others: usize,
    /// Sentinel's epoch at which the gate was claimed.
    pub(crate) epoch: u64,
    /// For how long a grant is held back before it is written again; `None` if it counts at once.
    pub(crate) held_back: Option<Duration>,
    /// The server's time in µs since 1970.
    pub(crate) server_us: i64,
    /// The number of the gate's claim.
    pub(crate) claim: u64,
}

/// Asks for a look behind a write that was sent within `since`.
pub(crate) fn looking(gate_key: &str, since: Duration) -> ScriptCall {
    // The server counts whole seconds, by a clock that it reads now and then.
    let silent = since.as_secs().saturating_add(3);
    ScriptCall::new(&LOOK).key(gate_key).argument(silent)
}

impl Look {
    pub(crate) fn parse(reply: &Value, replication_id: &str) -> Result<Self, Unexpected> {
        let items = reply::array(reply)?;
        let text = |at| reply::text(reply::item(items, at)?);
        let number = |at| reply::integer(reply::item(items, at)?);
        let milliseconds = |number| u64::try_from(number).ok().map(Duration::from_millis);
        let count = |at| number(at).map(|count| usize::try_from(count).unwrap_or_default());
        let full_syncs = number(1)?;
        Ok(Self {
            is_incarnation: text(0)? == replication_id,
            is_claimed: text(2)? == replication_id && number(5)? == full_syncs,
            opens_in: milliseconds(number(3)?),
            longest: milliseconds(number(4)?).unwrap_or_default(),
            data_nodes: count(6)?.max(1 + count(11)?),
            others: count(12)?,
            epoch: u64::try_from(number(7)?).unwrap_or_default(),
            held_back: milliseconds(number(8)?),
            server_us: number(9)?,
            claim: u64::try_from(number(10)?).unwrap_or_default(),
        })
    }

    /// Whether a renewal that was made under this claim of the gate, and confirmed, counts.
    pub(crate) fn allows_renewals(self, claim: u64) -> bool {
        self.is_incarnation && self.is_claimed && self.claim == claim
    }

    /// Whether a grant that was made under this claim of the gate, and confirmed, counts.
    pub(crate) fn allows_grants(self, claim: u64) -> bool {
        self.allows_renewals(claim) && self.opens_in == Some(Duration::ZERO)
    }

    /// The claim under which grants count now, if the gate is open.
    pub(crate) fn open_claim(self) -> Option<u64> {
        self.allows_grants(self.claim).then_some(self.claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(incarnation: &str, syncs: i64, opens_in: i64) -> Look {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let reply = Value::Array(vec![
            text(incarnation),
            Value::Int(syncs),
            text("life"),
            Value::Int(opens_in),
            Value::Int(30_000),
            Value::Int(3),
            Value::Int(5),
            Value::Int(7),
            Value::Int(-1),
            Value::Int(1_700_000_000_000_000),
            Value::Int(9),
            Value::Int(2),
            Value::Int(1),
        ]);
        Look::parse(&reply, "life").expect("a look")
    }

    #[test]
    fn a_grant_counts_under_an_open_gate_of_this_history_alone() {
        assert!(look("life", 3, 0).allows_grants(9));
        assert!(!look("life", 3, 0).allows_grants(8) && !look("life", 3, 0).allows_renewals(8));
        for other in [look("other", 3, 0), look("", 3, 0), look("life", 4, 0)] {
            assert!(
                !other.allows_grants(9) && !other.allows_renewals(9),
                "{other:?}"
            );
        }
        for closed in [look("life", 3, 1), look("life", 3, -1)] {
            assert!(
                !closed.allows_grants(9) && closed.allows_renewals(9),
                "{closed:?}"
            );
        }
        assert_eq!(look("life", 3, 0).data_nodes, 5);
        assert_eq!(look("life", 3, 0).open_claim(), Some(9));
        assert_eq!(look("life", 3, 1).open_claim(), None);
    }
}
