//! The names that callers lock, and the keys that a name owns.

use std::fmt;
use std::sync::Arc;

/// What a caller locks: a name, checked once and cheap to clone.
///
/// A name is 1 to 512 bytes of UTF-8 without control characters. It is the lock key itself (after
/// the configured prefix), so every client of the plain recipe that uses the same name is excluded.
/// A name may choose its Redis Cluster slot with a hash tag, `orders:{eu}:42`. Names whose lock would
/// be a key that the SDK uses itself are refused by the locker ([`InvalidResource::Reserved`]).
///
/// ```
/// use leasehold::Resource;
///
/// let resource = Resource::new("orders:42")?;
/// assert_eq!(resource.as_str(), "orders:42");
/// assert!(Resource::new("two\r\nlines").is_err());
/// # Ok::<(), leasehold::InvalidResource>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource(Arc<str>);

impl Resource {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`InvalidResource`] says what is wrong with the name and what is accepted.
    pub fn new(name: impl AsRef<str>) -> Result<Self, InvalidResource> {
        let name = name.as_ref();
        if name.is_empty() {
            return Err(InvalidResource::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(InvalidResource::TooLong { bytes: name.len() });
        }
        if let Some((at, found)) = name.char_indices().find(|(_, c)| c.is_control()) {
            return Err(InvalidResource::ControlCharacter { at, found });
        }
        if name.contains('}') && hash_tag(name).is_none() {
            return Err(InvalidResource::Braces);
        }
        Ok(Self(name.into()))
    }

    /// Checks a name that may not be UTF-8.
    ///
    /// # Errors
    ///
    /// As [`Resource::new`], and [`InvalidResource::NotUtf8`].
    pub fn from_bytes(name: &[u8]) -> Result<Self, InvalidResource> {
        let name = std::str::from_utf8(name).map_err(|error| InvalidResource::NotUtf8 {
            at: error.valid_up_to(),
        })?;
        Self::new(name)
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({:?})", &*self.0)
    }
}

impl TryFrom<&str> for Resource {
    type Error = InvalidResource;

    fn try_from(name: &str) -> Result<Self, InvalidResource> {
        Self::new(name)
    }
}

impl TryFrom<String> for Resource {
    type Error = InvalidResource;

    fn try_from(name: String) -> Result<Self, InvalidResource> {
        Self::new(name)
    }
}

impl TryFrom<&String> for Resource {
    type Error = InvalidResource;

    fn try_from(name: &String) -> Result<Self, InvalidResource> {
        Self::new(name)
    }
}

impl TryFrom<&[u8]> for Resource {
    type Error = InvalidResource;

    fn try_from(name: &[u8]) -> Result<Self, InvalidResource> {
        Self::from_bytes(name)
    }
}

impl From<&Resource> for Resource {
    fn from(resource: &Resource) -> Self {
        resource.clone()
    }
}

/// Why a name cannot be locked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidResource {
    /// The name has no characters.
    #[error("the resource name is empty; give it 1 to 512 bytes")]
    Empty,
    /// The name is longer than [`Resource::MAX_BYTES`].
    #[error("the resource name has {bytes} bytes; at most 512 are accepted, so lock a hash of it")]
    TooLong {
        /// The length of the rejected name.
        bytes: usize,
    },
    /// The name holds CR, LF, NUL or another control character.
    #[error("the resource name has the control character {found:?} at byte {at}; remove it")]
    ControlCharacter {
        /// Byte offset of the first control character.
        at: usize,
        /// The character.
        found: char,
    },
    /// The name is not UTF-8.
    #[error("the resource name is not UTF-8 from byte {at} on; encode it, in hexadecimal for one")]
    NotUtf8 {
        /// Byte offset of the first invalid sequence.
        at: usize,
    },
    /// The name holds `}` without a non-empty hash tag, so its companion keys could not share its slot.
    #[error(
        "the resource name has a closing brace but no hash tag such as {{eu}}, \
         so its keys could not share a cluster slot; remove the brace or complete the tag"
    )]
    Braces,
    /// The lock's key would be one that the SDK keeps beside another lock, or its gate.
    #[error(
        "the resource's key would be {key:?}, which the SDK uses itself; choose a name that is not \
         leasehold:gate and, with a hash tag, does not end in :fence, :queue or :alive"
    )]
    Reserved {
        /// The key, with the configured prefix.
        key: String,
    },
}

/// What the companions of a lock are called.
const COMPANIONS: [&str; 3] = ["fence", "queue", "alive"];

/// The keys that belong to one resource: its lock, or one lock per slot, and the companions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Keys {
    /// The resource's name with the prefix.
    pub(crate) name: Arc<str>,
    pub(crate) locks: Vec<Arc<str>>,
    pub(crate) fence: String,
    pub(crate) queue: String,
    pub(crate) alive: String,
}

impl Keys {
    /// The keys of a resource that one holder at a time may lease.
    pub(crate) fn new(prefix: &str, resource: &Resource) -> Result<Self, InvalidResource> {
        let name = [prefix, resource.as_str()].concat();
        // Whoever leased the other resource would write over this one's lock.
        if is_companion(&name) || name == gate(prefix) {
            return Err(InvalidResource::Reserved { key: name });
        }
        let name: Arc<str> = name.into();
        Ok(Self::with_locks(name.clone(), vec![name]))
    }

    /// The keys of a resource that `limit` holders at a time may lease.
    pub(crate) fn slots(prefix: &str, resource: &Resource, limit: usize) -> Self {
        let name = [prefix, resource.as_str()].concat();
        let lock = |slot| format!("{name}:{slot}").into();
        let locks = (0..limit).map(lock).collect();
        Self::with_locks(name.into(), locks)
    }

    /// The keys behind a name that already has its prefix, for its queue only.
    pub(crate) fn of_queue(name: String) -> Self {
        Self::with_locks(name.into(), Vec::new())
    }

    /// The lock of one slot, or without it those of all.
    pub(crate) fn locks_of(&self, slot: Option<usize>) -> &[Arc<str>] {
        match slot {
            Some(slot) => self.locks.get(slot..=slot).unwrap_or_default(),
            None => &self.locks,
        }
    }

    fn with_locks(name: Arc<str>, locks: Vec<Arc<str>>) -> Self {
        let [fence, queue, alive] = COMPANIONS.map(|suffix| companion(&name, suffix));
        Self {
            name,
            locks,
            fence,
            queue,
            alive,
        }
    }
}

/// The name of a companion key, in the hash slot of `key`.
pub(crate) fn companion(key: &str, suffix: &str) -> String {
    if hash_tag(key).is_some() {
        [key, ":", suffix].concat()
    } else {
        ["{", key, "}:", suffix].concat()
    }
}

/// Whether a key is a companion of some lock.
pub(crate) fn is_companion(key: &str) -> bool {
    key.rsplit_once(':')
        .is_some_and(|(base, suffix)| COMPANIONS.contains(&suffix) && hash_tag(base).is_some())
}

/// The key of the gate, in strict mode.
pub(crate) fn gate(prefix: &str) -> String {
    format!("{prefix}leasehold:gate")
}

/// The part of a key that Redis Cluster hashes, if the key names one:
/// between the first `{` and the first `}` after it, when that is not empty.
pub(crate) fn hash_tag(key: &str) -> Option<&str> {
    let (_, after) = key.split_once('{')?;
    let (tag, _) = after.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Redis Cluster hashes of a key, by its specification.
    fn hashed(key: &str) -> &str {
        hash_tag(key).unwrap_or(key)
    }

    #[test]
    fn companions_share_the_hash_slot() {
        for name in [
            "plain",
            "a:{tag}:b",
            "{tag}",
            "open{brace",
            "a{b{c}d",
            "ä{ö}",
            "x{{y}z",
        ] {
            let resource = Resource::new(name).expect(name);
            for prefix in ["", "app:", "{app}:"] {
                let keys = Keys::new(prefix, &resource).expect(name);
                for companion in [&keys.fence, &keys.queue, &keys.alive] {
                    assert_eq!(hashed(&keys.name), hashed(companion), "{prefix}{name}");
                }
            }
        }
    }

    #[test]
    fn no_lock_is_a_key_that_belongs_to_another() {
        for name in ["plain", "a:{tag}:b", "{tag}", "open{brace", "ä{ö}"] {
            let resource = Resource::new(name).expect(name);
            for prefix in ["", "app:", "{app}:"] {
                let keys = Keys::new(prefix, &resource).expect(name);
                for key in [keys.fence, keys.queue, keys.alive, gate(prefix)] {
                    let Some(name) = key.strip_prefix(prefix) else {
                        // With this prefix no name leads to that key.
                        continue;
                    };
                    let resource = Resource::new(name).expect(name);
                    let refused = Keys::new(prefix, &resource);
                    assert_eq!(refused, Err(InvalidResource::Reserved { key }));
                }
            }
        }
        for name in [
            "fence",
            "job:queue",
            "{job}:queues",
            "{job}fence",
            "leasehold:gate:1",
        ] {
            let resource = Resource::new(name).expect(name);
            assert!(Keys::new("", &resource).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_without_a_possible_companion_are_refused() {
        for name in ["a}b", "{}x", "}", "{}{tag}"] {
            assert_eq!(Resource::new(name), Err(InvalidResource::Braces), "{name}");
        }
    }

    #[test]
    fn every_rejection_says_what_is_accepted() {
        let message = |result: Result<Resource, InvalidResource>| {
            result.map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(
            message(Resource::new("")),
            Err("the resource name is empty; give it 1 to 512 bytes".into())
        );
        assert_eq!(
            message(Resource::new("x".repeat(1 << 20))),
            Err(
                "the resource name has 1048576 bytes; at most 512 are accepted, \
                 so lock a hash of it"
                    .into()
            )
        );
        assert_eq!(
            message(Resource::new("a\r\nb")),
            Err("the resource name has the control character '\\r' at byte 1; remove it".into())
        );
        assert_eq!(
            message(Resource::new("a\0b")),
            Err("the resource name has the control character '\\0' at byte 1; remove it".into())
        );
        assert_eq!(
            message(Resource::from_bytes(b"ab\xff")),
            Err("the resource name is not UTF-8 from byte 2 on; encode it, \
                 in hexadecimal for one"
                .into())
        );
    }
}
