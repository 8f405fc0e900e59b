//! The value that proves who holds a lock.

use std::fmt;
use std::sync::Arc;

/// What is stored under the lock key: readable up front, 128 random bits behind.
///
/// Release, renewal and adoption compare it whole. `Debug` and `Display` show the owner alone,
/// because whoever knows the token can release the lock.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(Arc<str>);

impl Token {
    /// A new token for `owner`, never equal to an earlier one.
    pub(crate) fn random(owner: &str) -> Result<Self, getrandom::Error> {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut random = [0; 16];
        getrandom::fill(&mut random)?;
        let mut token = String::with_capacity(owner.len() + 33);
        token.push_str(owner);
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
    let readable = match value.rsplit_once('/') {
        Some((owner, random)) if random.len() == 32 && !owner.is_empty() => owner,
        // A plain client's value may be its secret: its beginning is enough to recognise it.
        _ => {
            let shown: String = value.chars().take(8).collect();
            return format!("{}… (no Leasehold client)", shown.escape_debug());
        }
    };
    let shown: String = readable.chars().take(SHOWN).collect();
    shown.escape_debug().to_string()
}

/// Tells one holding from another without giving the token away.
pub(crate) fn id_of(value: &str) -> String {
    let mut id = sha1_smol::Sha1::from(value).digest().to_string();
    id.truncate(16);
    id
}

/// Whether a client of this SDK wrote `value`.
pub(crate) fn is_ours(value: &str) -> bool {
    value.rsplit_once('/').is_some_and(|(owner, random)| {
        !owner.is_empty() && random.len() == 32 && random.bytes().all(|b| b.is_ascii_hexdigit())
    })
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
        let first = Token::random("worker:7").expect("random");
        let second = Token::random("worker:7").expect("random");
        assert_ne!(first, second);
        assert_eq!(first.owner(), "worker:7");
        let secret = first.reveal().rsplit_once('/').expect("a separator").1;
        assert!(!format!("{first:?}").contains(secret));
    }

    #[test]
    fn foreign_values_are_shown_safely() {
        assert_eq!(owner_in("\u{1b}[2Jx"), "\\u{1b}[2Jx… (no Leasehold client)");
    }
}
