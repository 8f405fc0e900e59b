//! Reading who holds a lock, without changing it.

use std::time::SystemTime;

use redis::{Pipeline, Value};

use super::replies::remaining;
use crate::backend::ops::{Found, Holding};
use crate::protocol::keys::companion;
use crate::protocol::reply::{self, Unexpected};
use crate::token::{self, Parts};

/// As much of a value as tells a token; a huge value in a shared Redis stays where it is.
const SHOWN_BYTES: usize = 1024;

/// What `PTTL` says of a key that is gone.
const EXPIRED: i64 = -2;

/// The reply of `inspect.lua` for a number of locks, or slots of one resource.
pub(crate) fn inspected(reply: &Value, locks: usize) -> Result<Vec<Option<Holding>>, Unexpected> {
    let items = reply::array(reply)?;
    let number = |at| reply::integer(reply::item(items, at)?);
    let waiters = u64::try_from(number(0)?).ok();
    (0..locks)
        .map(|lock| {
            let value = reply::item(items, 1 + 2 * lock)?;
            if matches!(value, Value::Nil) {
                return Ok(None);
            }
            let left = number(2 + 2 * lock)?;
            Ok(Some(holding(&reply::text(value)?, left, waiters)))
        })
        .collect()
}

fn holding(value: &str, pttl: i64, waiters: Option<u64>) -> Holding {
    let granted_at = Parts::of(value).and_then(|parts| parts.granted_at);
    Holding {
        owner: Some(token::owner_in(value)),
        id: Some(token::id_of(value)),
        remaining: remaining(pttl),
        // A clock that is behind the holder's would show less than nothing.
        held_for: granted_at
            .map(|since| SystemTime::now().duration_since(since).unwrap_or_default()),
        waiters,
    }
}

/// Questions about each key.
const PER_KEY: usize = 4;

/// Asks for value, expiry and queue of each key, also for the queue of the resource whose slot it
/// may be.
pub(crate) fn questions(names: &[String]) -> Pipeline {
    let mut questions = redis::pipe();
    for name in names {
        let whole = slot_in(name).map_or(name.as_str(), |(whole, _)| whole);
        questions
            .cmd("GETRANGE")
            .arg(name)
            .arg(0)
            .arg(SHOWN_BYTES - 1)
            .cmd("PTTL")
            .arg(name)
            .cmd("ZCARD")
            .arg(companion(name, "queue"))
            .cmd("ZCARD")
            .arg(companion(whole, "slot-queue"));
    }
    questions
}

/// What the answers to [`questions`] say. One key that cannot be read, of another user's perhaps,
/// does not hide the rest.
pub(crate) fn found(names: Vec<String>, answers: &[Value]) -> Vec<Found> {
    let of_each = names.into_iter().zip(answers.chunks_exact(PER_KEY));
    of_each
        .filter_map(|(name, answers)| found_one(name, answers))
        .collect()
}

fn found_one(name: String, answers: &[Value]) -> Option<Found> {
    let value = reply::text(&answers[0]).ok()?;
    let left = reply::integer(&answers[1]).ok()?;
    if left == EXPIRED {
        return None;
    }
    let waiters = |at: usize| {
        let count = reply::integer(&answers[at]).ok()?;
        u64::try_from(count).ok()
    };
    let parts = Parts::of(&value);
    // A name may end in a number without being a slot; the token tells.
    let is_slot = parts.as_ref().is_some_and(|parts| parts.slots.is_some());
    let (name, slot, waiters) = match slot_in(&name).filter(|_| is_slot) {
        Some((whole, slot)) => (whole.to_owned(), Some(slot), waiters(3)),
        None => (name, None, waiters(2)),
    };
    Some(Found {
        is_lock: parts.is_some(),
        holding: holding(&value, left, waiters),
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
    fn each_slot_has_its_own_holder_and_time() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let reply = Value::Array(vec![
            Value::Int(4),
            text("first"),
            Value::Int(10),
            Value::Nil,
            Value::Int(EXPIRED),
            text("third"),
            Value::Int(30),
        ]);
        let holders = inspected(&reply, 3).expect("three slots");
        let told: Vec<_> = holders
            .iter()
            .map(|holding| holding.as_ref().map(|held| (held.remaining, held.waiters)))
            .collect();
        let ms = |ms| Some(std::time::Duration::from_millis(ms));
        assert_eq!(
            told,
            [Some((ms(10), Some(4))), None, Some((ms(30), Some(4)))]
        );
    }

    #[test]
    fn a_token_tells_since_when_it_holds_and_whether_it_is_a_slot() {
        let token = |slots| {
            let token = token::Token::random("worker", slots).expect("random");
            Value::BulkString(token.reveal().as_bytes().to_vec())
        };
        let found = |name: &str, value| {
            let answers = [value, Value::Int(5), Value::Int(1), Value::Int(2)];
            let found = found_one(name.to_owned(), &answers).expect("a lock");
            let holding = found.holding;
            (
                found.name,
                found.slot,
                holding.waiters,
                holding.held_for.is_some(),
            )
        };
        let slot = found("gpu:1", token(Some(3)));
        assert_eq!(slot, ("gpu".to_owned(), Some(1), Some(2), true));
        let plain = found("gpu:1", token(None));
        assert_eq!(plain, ("gpu:1".to_owned(), None, Some(1), true));
        let foreign = found("gpu:1", Value::BulkString(b"plain".to_vec()));
        assert_eq!(foreign, ("gpu:1".to_owned(), None, Some(1), false));
    }
}
