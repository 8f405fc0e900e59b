//! The value that proves who holds a lock.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What is stored under the lock key: `owner/time/random`, for slots `owner/time-of-limit/random`. The
/// time of the grant, in ms since 1970, is by the holder's clock; `random` are 128 bits.
///
/// Release, renewal and adoption compare it whole. `Debug` and `Display` show the owner alone,
/// because the token permits to release the lock.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// A new token for `owner`, of one of `slots` slots if it is for a slot. It never equals an
    /// earlier one.
    pub(crate) fn random(owner: &str, slots: Option<usize>) -> Result<Self, getrandom::Error> {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let mut token = String::with_capacity(owner.len() + 56);
        // Writing to a `String` cannot fail.
        let _ = write!(
            token,
            "{owner}/{}",
            since_1970(SystemTime::now()).as_millis()
        );
        if let Some(slots) = slots {
            let _ = write!(token, "-of-{slots}");
        }
        token.push('/');
        for byte in random {
            token.push(char::from(HEX[usize::from(byte >> 4)]));
            token.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Ok(Self(token.into()))
    }

    pub(crate) fn from_stored(stored: &str) -> Self {
        Self(stored.into())
    }

    /// The whole value, for the server only.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Who holds: the readable part of a token of ours, or the beginning of a foreign one.
    pub(crate) fn owner(&self) -> String {
        owner_in(&self.0)
    }
}

/// Who wrote `value` under a lock key, as far as it tells, safe to print.
pub(crate) fn owner_in(value: &str) -> String {
    const SHOWN: usize = 120;
    let Some(parts) = Parts::of(value) else {
        // A plain client's value may be its secret: its beginning is enough to recognise it.
        let shown: String = value.chars().take(8).collect();
        return format!("{}… (no Leasehold client)", shown.escape_debug());
    };
    let shown: String = parts.owner.chars().take(SHOWN).collect();
    shown.escape_debug().to_string()
}

/// What a token of ours says.
pub(crate) struct Parts<'a> {
    pub(crate) owner: &'a str,
    /// When its holder was granted, by the holder's clock.
    pub(crate) granted_at: Option<SystemTime>,
    /// Of how many slots it holds one; `None` for a plain lock.
    pub(crate) slots: Option<usize>,
}

impl<'a> Parts<'a> {
    /// Reads a value; `None` if no client of this SDK wrote it.
    pub(crate) fn of(value: &'a str) -> Option<Self> {
        let (before, random) = value.rsplit_once('/')?;
        let is_random = random.len() == 32 && random.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_random || before.is_empty() {
            return None;
        }
        let timed = before.rsplit_once('/').and_then(|(owner, time)| {
            let (time, slots) = match time.split_once("-of-") {
                Some((time, slots)) => (time, Some(slots.parse().ok()?)),
                None => (time, None),
            };
            let since_1970 = Duration::from_millis(time.parse().ok()?);
            Some(Self {
                owner,
                granted_at: SystemTime::UNIX_EPOCH.checked_add(since_1970),
                slots,
            })
        });
        Some(timed.unwrap_or(Self {
            owner: before,
            granted_at: None,
            slots: None,
        }))
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Tells one holding from another without giving the token away.
pub(crate) fn id_of(value: &str) -> String {
    let mut id = sha1_smol::Sha1::from(value).digest().to_string();
    id.truncate(16);
    id
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}/…)", self.owner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_show_their_owner_only() {
        let first = Token::random("worker:7", None).expect("random");
        let second = Token::random("worker:7", None).expect("random");
        assert_ne!(first, second);
        assert_eq!(first.owner(), "worker:7");
        let secret = first.reveal().rsplit_once('/').expect("a separator").1;
        assert!(!format!("{first:?}").contains(secret));
    }

    #[test]
    fn a_token_tells_who_holds_since_when_and_of_how_many_slots() {
        let before = since_1970(SystemTime::now()).as_millis();
        for slots in [None, Some(3)] {
            let token = Token::random("team/worker:7", slots).expect("random");
            let parts = Parts::of(token.reveal()).expect("a token of ours");
            assert_eq!((parts.owner, parts.slots), ("team/worker:7", slots));
            let granted_at = parts.granted_at.expect("a time");
            assert!(since_1970(granted_at).as_millis() >= before);
        }
        let random = "0".repeat(32);
        let untimed = Parts::of(&format!("worker/{random}")).map(|parts| parts.owner.to_owned());
        assert_eq!(untimed.as_deref(), Some("worker"));
        let far = format!("worker/{}/{random}", u64::MAX);
        assert!(Parts::of(&far).is_some());
        for foreign in ["", "/", &random, &format!("/{random}"), "a/b", "worker/xyz"] {
            assert!(Parts::of(foreign).is_none(), "{foreign}");
        }
    }

    #[test]
    fn foreign_values_are_shown_safely() {
        assert_eq!(owner_in("\u{1b}[2Jx"), "\\u{1b}[2Jx… (no Leasehold client)");
    }
}
