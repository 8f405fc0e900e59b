//! A grant by plain commands, for a lock that is free and that nobody waits for.
//!
//! Other clients' commands may come between these three, so the fence counts only if the lock was
//! still ours after the counter was raised: `GET` behind it must answer our token. Every other reply
//! sends the caller to `acquire.lua`, which asks again with the same token.

use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

use crate::fence::Fence;
use crate::protocol::reply::{self, Unexpected};
use crate::token::Token;
use crate::transport::connection::Connection;
use crate::transport::server_errors::Failure;

/// How many commands, and replies, a grant has.
pub(crate) const COMMANDS: usize = 3;

/// What is asked for.
#[derive(Clone)]
pub(crate) struct GrantCommands {
    pub(crate) lock: Arc<str>,
    pub(crate) token: Token,
    pub(crate) ttl: Duration,
    pub(crate) counter: Arc<str>,
    /// The greatest fence that this client has seen: a counter that is not beyond it was lost.
    pub(crate) floor: i64,
}

/// What the replies say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum GrantReply {
    Granted(Fence),
    /// Somebody holds the lock, or the counter was lost: the script decides.
    Undecided,
}

impl GrantCommands {
    pub(crate) fn add_to(&self, commands: &mut Pipeline) {
        let (lock, token) = (&*self.lock, self.token.reveal());
        let mut set = Cmd::with_capacity(6, lock.len() + token.len() + 32);
        set.arg("SET").arg(lock).arg(token).arg("NX").arg("PX");
        set.arg(milliseconds(self.ttl));
        let mut raise = Cmd::with_capacity(4, self.counter.len() + 16);
        raise.arg("HINCRBY").arg(&*self.counter).arg("last").arg(1);
        let mut get = Cmd::with_capacity(2, lock.len() + 8);
        get.arg("GET").arg(lock);
        commands.add_command(set).add_command(raise);
        commands.add_command(get);
    }

    /// The replies, if none is an error. Where the first command failed nothing was granted.
    pub(crate) fn checked(
        connection: &Connection,
        replies: Vec<Value>,
    ) -> Result<Vec<Value>, Failure> {
        let mut replies = replies.into_iter();
        let Some(first) = replies.next() else {
            return Ok(Vec::new());
        };
        let first = connection.checked(first)?;
        let others = replies.map(|reply| {
            let reply = connection.checked(reply);
            reply.map_err(|failure| Failure::unknown(failure.unavailable))
        });
        std::iter::once(Ok(first)).chain(others).collect()
    }

    /// Reads the replies, of which none is an error.
    pub(crate) fn answer(&self, replies: &[Value]) -> Result<GrantReply, Unexpected> {
        let [set, raised, holder] = replies else {
            let detail = format!("{} replies to {COMMANDS} commands", replies.len());
            return Err(Unexpected { detail });
        };
        let fence = reply::integer(raised)?;
        let is_ours =
            matches!(holder, Value::BulkString(value) if value == self.token.reveal().as_bytes());
        if *set != Value::Okay || !is_ours || fence <= self.floor {
            return Ok(GrantReply::Undecided);
        }
        let fence = Fence::try_from(fence).map_err(|error| Unexpected {
            detail: error.to_string(),
        })?;
        Ok(GrantReply::Granted(fence))
    }
}

/// Lasts longer than any lease by far if it does not fit.
fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> GrantCommands {
        GrantCommands {
            lock: "orders".into(),
            token: Token::from_stored("worker/0"),
            ttl: Duration::from_secs(30),
            counter: "leasehold:fence".into(),
            floor: 41,
        }
    }

    #[test]
    fn the_commands_are_the_plain_recipe_and_a_counter() {
        let mut commands = redis::pipe();
        grant().add_to(&mut commands);
        let packed = String::from_utf8(commands.get_packed_pipeline()).expect("text");
        let words: Vec<&str> = packed
            .split("\r\n")
            .filter(|word| !word.starts_with(['*', '$']) && !word.is_empty())
            .collect();
        let expected = "SET orders worker/0 NX PX 30000 HINCRBY leasehold:fence last 1 GET orders";
        assert_eq!(words.join(" "), expected);
        assert_eq!(commands.len(), COMMANDS);
    }

    #[test]
    fn a_fence_counts_only_where_the_lock_was_ours_and_the_counter_has_grown() {
        let ours = Value::BulkString(b"worker/0".to_vec());
        let other = Value::BulkString(b"worker/1".to_vec());
        let answer = |set: &Value, fence, holder: &Value| {
            grant().answer(&[set.clone(), Value::Int(fence), holder.clone()])
        };
        let granted = Fence::try_from(42)
            .map(GrantReply::Granted)
            .expect("a fence");
        assert_eq!(answer(&Value::Okay, 42, &ours), Ok(granted));
        for (set, fence, holder) in [
            // Held by someone else.
            (&Value::Nil, 42, &other),
            // The reply to an earlier attempt was lost.
            (&Value::Nil, 42, &ours),
            // Deleted by force before the counter was raised, and granted to another since.
            (&Value::Okay, 42, &other),
            (&Value::Okay, 42, &Value::Nil),
            // The counter was flushed.
            (&Value::Okay, 41, &ours),
            (&Value::Okay, 1, &ours),
        ] {
            assert_eq!(answer(set, fence, holder), Ok(GrantReply::Undecided));
        }
        assert!(answer(&Value::Okay, i64::MAX, &ours).is_err());
        assert!(grant().answer(&[Value::Okay]).is_err());
    }
}
