//! The fencing token of a lease.

use std::fmt;

/// A fencing token: strictly greater for every later grant of the same resource.
///
/// Send it to the resource that the lease protects, which refuses a fence lower than one it has seen
/// (`UPDATE … WHERE fence <= $1`). This is the only thing that stops a holder which was paused for
/// longer than its lease. Fences are ordered, and mean nothing beyond their order: the greater one
/// was granted later. They fit into 53 bits, so they stay exact in JSON, in Lua and in a `BIGINT`.
///
/// ```
/// use leasehold::Fence;
///
/// let (earlier, later) = (Fence::try_from(41)?, Fence::try_from(42)?);
/// assert!(earlier < later);
/// assert_eq!(later.as_i64(), 42);
/// # Ok::<(), leasehold::InvalidFence>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(u64);

impl Fence {
    /// The greatest fence: the greatest integer that a double holds exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The fence as the number that databases store, always positive.
    #[must_use]
    #[expect(clippy::cast_possible_wrap, reason = "a fence has 53 bits")]
    pub const fn as_i64(self) -> i64 {
        self.0 as i64
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<i64> for Fence {
    type Error = InvalidFence;

    fn try_from(number: i64) -> Result<Self, InvalidFence> {
        match u64::try_from(number) {
            Ok(number @ 1..) if number <= Self::MAX.0 => Ok(Self(number)),
            _ => Err(InvalidFence { number }),
        }
    }
}

/// The number is no fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{number} is no fence; a fence lies between 1 and 2^53 - 1")]
pub struct InvalidFence {
    number: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_positive_exact_numbers_are_fences() {
        assert!(Fence::try_from(0).is_err());
        assert!(Fence::try_from(-1).is_err());
        assert!(Fence::try_from(1 << 53).is_err());
        assert_eq!(Fence::try_from((1 << 53) - 1), Ok(Fence::MAX));
    }
}
