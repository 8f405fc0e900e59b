//! What is asked about locks that are only looked at, and what the answers say.

use std::time::Duration;

use redis::{Pipeline, Value};

use super::remaining;
use crate::backend::{Found, Holding};
use crate::fence::Fence;
use crate::redis::reply::{self, Unexpected};
use crate::resource::companion;
use crate::token;

/// As much of a value as tells a token; a huge value in a shared Redis stays where it is.
const SHOWN_BYTES: usize = 1024;

/// What `PTTL` says of a key that is gone.
const EXPIRED: i64 = -2;

/// The reply of `inspect.lua` for so many locks, or slots of one resource.
pub(crate) fn inspected(
    reply: &Value,
    locks: usize,
    is_slots: bool,
) -> Result<Vec<Option<Holding>>, Unexpected> {
    let items = reply::array(reply)?;
    let number = |at| reply::integer(reply::item(items, at)?);
    let seen = Seen {
        fence: Fence::try_from(number(0)?).ok(),
        waiters: u64::try_from(number(1)?).ok(),
        now_us: Some(number(2)?),
        is_slot: is_slots,
    };
    (0..locks)
        .map(|lock| {
            let value = reply::item(items, 3 + 2 * lock)?;
            if matches!(value, Value::Nil) {
                return Ok(None);
            }
            let left = number(4 + 2 * lock)?;
            Ok(Some(seen.holding(&reply::text(value)?, left)))
        })
        .collect()
}

/// What is known of a resource besides its holders.
struct Seen {
    fence: Option<Fence>,
    waiters: Option<u64>,
    now_us: Option<i64>,
    is_slot: bool,
}

impl Seen {
    fn holding(&self, value: &str, pttl: i64) -> Holding {
        Holding {
            owner: Some(token::owner_in(value)),
            id: Some(token::id_of(value)),
            remaining: remaining(pttl),
            fence: self.fence,
            held_for: self.held_for(value),
            waiters: self.waiters,
        }
    }

    /// A grant sets the fence to the server's time unless that would not increase it. So it tells
    /// when the holder was granted, if that was the last grant: of several slots one cannot know.
    fn held_for(&self, value: &str) -> Option<Duration> {
        if self.is_slot || !token::is_ours(value) {
            return None;
        }
        let since = self.now_us?.saturating_sub(self.fence?.as_i64());
        Some(Duration::from_micros(
            u64::try_from(since).unwrap_or_default(),
        ))
    }
}

/// Questions about each key.
const PER_KEY: usize = 6;

/// Asks for value, expiry, fence and queue of each key, also of the resource whose slot it may be.
pub(crate) fn questions(names: &[String]) -> Pipeline {
    let mut questions = redis::pipe();
    questions.cmd("TIME");
    for name in names {
        let whole = slot_in(name).map_or(name.as_str(), |(whole, _)| whole);
        questions
            .cmd("GETRANGE")
            .arg(name)
            .arg(0)
            .arg(SHOWN_BYTES - 1)
            .cmd("PTTL")
            .arg(name);
        for resource in [name, whole] {
            questions
                .cmd("GET")
                .arg(companion(resource, "fence"))
                .cmd("ZCARD")
                .arg(companion(resource, "queue"));
        }
    }
    questions
}

/// What the answers to [`questions`] say. One key that cannot be read, of another user's perhaps,
/// does not hide the rest.
pub(crate) fn found(names: Vec<String>, answers: &[Value]) -> Vec<Found> {
    let Some((time, answers)) = answers.split_first() else {
        return Vec::new();
    };
    let now_us = microseconds(time);
    let of_each = names.into_iter().zip(answers.chunks_exact(PER_KEY));
    of_each
        .filter_map(|(name, answers)| found_one(name, answers, now_us))
        .collect()
}

fn found_one(name: String, answers: &[Value], now_us: Option<i64>) -> Option<Found> {
    let value = reply::text(&answers[0]).ok()?;
    let left = reply::integer(&answers[1]).ok()?;
    if left == EXPIRED {
        return None;
    }
    let seen = |at: usize, is_slot| Seen {
        fence: fence(&answers[at]),
        waiters: reply::integer(&answers[at + 1])
            .ok()
            .and_then(|count| u64::try_from(count).ok()),
        now_us,
        is_slot,
    };
    let (own, whole) = (seen(2, false), seen(4, true));
    // A name may end in a number without being a slot, and then has a fence of its own.
    let slot = slot_in(&name).filter(|_| own.fence.is_none() && whole.fence.is_some());
    let (name, slot, seen) = match slot {
        Some((whole_name, slot)) => (whole_name.to_owned(), Some(slot), whole),
        None => (name, None, own),
    };
    Some(Found {
        is_lock: seen.fence.is_some() || token::is_ours(&value),
        holding: seen.holding(&value, left),
        name,
        slot,
    })
}

/// The resource and the number of the slot whose key this may be.
fn slot_in(key: &str) -> Option<(&str, usize)> {
    let (whole, number) = key.rsplit_once(':')?;
    let slot: usize = number.parse().ok()?;
    // The one way to write it.
    (!whole.is_empty() && slot.to_string() == number).then_some((whole, slot))
}

fn fence(answer: &Value) -> Option<Fence> {
    let text = reply::text(answer).ok()?;
    Fence::try_from(text.parse::<i64>().ok()?).ok()
}

/// The answer to `TIME`; without the permission there is none.
fn microseconds(time: &Value) -> Option<i64> {
    let items = reply::array(time).ok()?;
    let number = |at| -> Option<i64> {
        let text = reply::text(reply::item(items, at).ok()?).ok()?;
        text.parse().ok()
    };
    number(0)?.checked_mul(1_000_000)?.checked_add(number(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_told_by_their_keys() {
        assert_eq!(slot_in("gpu:0"), Some(("gpu", 0)));
        assert_eq!(slot_in("{gpu}:a:12"), Some(("{gpu}:a", 12)));
        for key in ["gpu", "gpu:", ":1", "gpu:01", "gpu:+1", "gpu:-1", "gpu:x"] {
            assert_eq!(slot_in(key), None, "{key}");
        }
    }

    #[test]
    fn a_fence_tells_since_when_unless_it_is_shared_or_the_holder_is_a_foreign_client() {
        let ours = "worker/00000000000000000000000000000000";
        let seen = |now_us, is_slot| Seen {
            fence: Fence::try_from(5_000_000).ok(),
            waiters: Some(0),
            now_us,
            is_slot,
        };
        let held_for = |now_us, is_slot, value| seen(now_us, is_slot).held_for(value);
        assert_eq!(
            held_for(Some(7_000_000), false, ours),
            Some(Duration::from_secs(2))
        );
        // The server's clock went back.
        assert_eq!(held_for(Some(4_000_000), false, ours), Some(Duration::ZERO));
        assert_eq!(held_for(Some(7_000_000), true, ours), None);
        assert_eq!(held_for(Some(7_000_000), false, "plain"), None);
        assert_eq!(held_for(None, false, ours), None);
    }
}
