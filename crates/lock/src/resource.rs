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
        "the resource's key would be {key:?}, which the SDK uses itself; choose a name that does not \
         begin with leasehold:gate or leasehold:fence and, with a hash tag, does not end in :queue, \
         :alive, :slot-queue or :slot-alive"
    )]
    Reserved {
        /// The key, with the configured prefix.
        key: String,
    },
}

/// What the companions of a lock are called, and those of its slots: they wait for different things.
const COMPANIONS: [&str; 4] = [QUEUE, ALIVE, SLOT_QUEUE, SLOT_ALIVE];
const QUEUE: &str = "queue";
const ALIVE: &str = "alive";
const SLOT_QUEUE: &str = "slot-queue";
const SLOT_ALIVE: &str = "slot-alive";

/// The keys of the SDK's own records begin with these, after the prefix.
const RECORDS: [&str; 2] = ["leasehold:gate", "leasehold:fence"];

/// What the keys of a resource lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// One holder at a time.
    Plain,
    /// So many holders at a time as there are locks.
    Slots,
}

/// The keys that belong to one resource: its lock, or one lock per slot, and the companions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Keys {
    /// The resource's name with the prefix.
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) locks: Vec<Arc<str>>,
    /// What waiters of one process wait for together: `-`, or the number of slots, and the name.
    pub(crate) wait_key: Arc<str>,
}

impl Keys {
    /// The keys of a resource that one holder at a time may lease.
    pub(crate) fn new(prefix: &str, resource: &Resource) -> Result<Self, InvalidResource> {
        let name = [prefix, resource.as_str()].concat();
        // The holder of the other resource would write over this one's lock.
        if is_companion(&name) || is_record(prefix, &name) {
            return Err(InvalidResource::Reserved { key: name });
        }
        Ok(Self::of(name.into(), Kind::Plain, 1))
    }

    /// The keys of a resource that `limit` holders at a time may lease.
    pub(crate) fn slots(prefix: &str, resource: &Resource, limit: usize) -> Self {
        let name = [prefix, resource.as_str()].concat();
        Self::of(name.into(), Kind::Slots, limit)
    }

    /// The keys of what is waited for under a [`Keys::wait_key`].
    pub(crate) fn of_waiters(wait_key: &str) -> Option<Self> {
        let (slots, name) = wait_key.split_once(' ')?;
        match slots {
            "-" => Some(Self::of(name.into(), Kind::Plain, 1)),
            slots => Some(Self::of(name.into(), Kind::Slots, slots.parse().ok()?)),
        }
    }

    /// The lock of one slot, or without it those of all.
    pub(crate) fn locks_of(&self, slot: Option<usize>) -> &[Arc<str>] {
        match slot {
            Some(slot) => self.locks.get(slot..=slot).unwrap_or_default(),
            None => &self.locks,
        }
    }

    /// Who waits, in order of arrival.
    pub(crate) fn queue(&self) -> String {
        companion(&self.name, self.of_kind(QUEUE, SLOT_QUEUE))
    }

    /// Until when each of those who wait counts.
    pub(crate) fn alive(&self) -> String {
        companion(&self.name, self.of_kind(ALIVE, SLOT_ALIVE))
    }

    fn of_kind(&self, plain: &'static str, slots: &'static str) -> &'static str {
        match self.kind {
            Kind::Plain => plain,
            Kind::Slots => slots,
        }
    }

    fn of(name: Arc<str>, kind: Kind, limit: usize) -> Self {
        let slot = |number| format!("{name}:{number}").into();
        match kind {
            Kind::Plain => Self {
                locks: vec![name.clone()],
                wait_key: ["- ", &name].concat().into(),
                name,
                kind,
            },
            Kind::Slots => Self {
                locks: (0..limit).map(slot).collect(),
                wait_key: format!("{limit} {name}").into(),
                name,
                kind,
            },
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

/// Whether a key is one that the SDK keeps records in.
pub(crate) fn is_record(prefix: &str, key: &str) -> bool {
    let name = key.strip_prefix(prefix).unwrap_or_default();
    RECORDS.iter().any(|record| {
        name.strip_prefix(record)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    })
}

/// The keys of strict mode's gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GateKeys {
    pub(crate) record: String,
    /// What was renewed while the gate was never open.
    pub(crate) renewed: String,
    /// The fence counter, which the claim of the gate sets.
    pub(crate) counter: String,
}

impl GateKeys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            record: gate(prefix),
            renewed: format!("{}:fences", gate(prefix)),
            counter: fence_counter(prefix),
        }
    }
}

/// The key of the gate, in strict mode.
pub(crate) fn gate(prefix: &str) -> String {
    format!("{prefix}leasehold:gate")
}

/// The key of the fence counter of a data set.
pub(crate) fn fence_counter(prefix: &str) -> String {
    format!("{prefix}leasehold:fence")
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
                let slots = Keys::slots(prefix, &resource, 2);
                for companion in [keys.queue(), keys.alive(), slots.queue(), slots.alive()] {
                    assert_eq!(hashed(&keys.name), hashed(&companion), "{prefix}{name}");
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
                let slots = Keys::slots(prefix, &resource, 2);
                let records = [gate(prefix), format!("{prefix}leasehold:fence:{{7}}")];
                let companions = [keys.queue(), keys.alive(), slots.queue(), slots.alive()];
                for key in companions.into_iter().chain(records) {
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
            "{job}queue",
            "leasehold:gates",
        ] {
            let resource = Resource::new(name).expect(name);
            assert!(Keys::new("", &resource).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_waited_for_leads_back_to_its_keys() {
        let resource = Resource::new("a b {c}").expect("a name");
        let plain = Keys::new("x:", &resource).expect("a name");
        for keys in [plain, Keys::slots("x:", &resource, 3)] {
            assert_eq!(Keys::of_waiters(&keys.wait_key), Some(keys));
        }
        assert_eq!(Keys::of_waiters("x"), None);
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
