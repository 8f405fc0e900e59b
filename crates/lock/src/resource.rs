//! The names that callers lock, and the keys that a name owns.

use std::fmt;
use std::sync::Arc;

/// What a caller locks: a name, checked once and cheap to clone.
///
/// A name is 1 to 512 bytes of UTF-8 without control characters. The lock key is the configured prefix
/// followed by the name, so a client that locks the same key with a plain `SET NX` is excluded too. A
/// hash tag chooses the slot in a Redis Cluster: `orders:{eu}:42`. The locker refuses a name whose key
/// the SDK uses for something else ([`InvalidResource::Reserved`]).
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

    #[test]
    fn names_without_a_possible_companion_are_refused() {
        for name in ["a}b", "{}x", "}", "{}{tag}"] {
            assert_eq!(Resource::new(name), Err(InvalidResource::Braces), "{name}");
        }
    }

    #[test]
    fn every_rejection_has_its_reason() {
        let reason = |result: Result<Resource, InvalidResource>| result.map(|_| ());
        let control = |found| Err(InvalidResource::ControlCharacter { at: 1, found });
        assert_eq!(reason(Resource::new("")), Err(InvalidResource::Empty));
        assert_eq!(
            reason(Resource::new("x".repeat(1 << 20))),
            Err(InvalidResource::TooLong { bytes: 1 << 20 })
        );
        assert_eq!(reason(Resource::new("a\r\nb")), control('\r'));
        assert_eq!(reason(Resource::new("a\0b")), control('\0'));
        assert_eq!(
            reason(Resource::from_bytes(b"ab\xff")),
            Err(InvalidResource::NotUtf8 { at: 2 })
        );
    }
}
