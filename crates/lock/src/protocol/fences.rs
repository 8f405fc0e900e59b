//! Where the fence counter of a lock is, and the greatest fences that were seen.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use crate::fence::Fence;
use crate::protocol::keys::fence_counter;
use crate::protocol::slots::slot_of;
use crate::resource::hash_tag;
use crate::sync::Mutex;

/// How many hash slots a Redis Cluster has.
const SLOTS: usize = 16_384;

/// The keys of the fence counters of a store.
#[derive(Clone)]
pub(crate) enum Counters {
    /// One for the data set.
    One(Arc<str>),
    /// In a Redis Cluster one for each hash slot, beside the locks of that slot.
    BySlot { prefix: Arc<str> },
}

impl Counters {
    pub(crate) fn one(key_prefix: &str) -> Self {
        Self::One(fence_counter(key_prefix).into())
    }

    pub(crate) fn by_slot(key_prefix: &str) -> Self {
        // A hash tag in the prefix puts every key into one slot.
        if hash_tag(key_prefix).is_some() {
            return Self::one(key_prefix);
        }
        Self::BySlot {
            prefix: key_prefix.into(),
        }
    }

    /// The counter that the grants of `lock` raise.
    pub(crate) fn of(&self, lock: &str) -> Arc<str> {
        match self {
            Self::One(key) => key.clone(),
            Self::BySlot { prefix } => {
                let tag = TAGS[usize::from(slot_of(lock))];
                format!("{}:{{{tag}}}", fence_counter(prefix)).into()
            }
        }
    }
}

/// For each hash slot the smallest number whose digits have it.
static TAGS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut tags = vec![None; SLOTS];
    let mut missing = SLOTS;
    for number in 0_u32.. {
        let tag = &mut tags[usize::from(slot_of(&number.to_string()))];
        if tag.is_none() {
            *tag = Some(number);
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
    }
    tags.into_iter().map(Option::unwrap_or_default).collect()
});

/// The greatest fence that a locker has seen of each counter.
#[derive(Default)]
pub(crate) struct SeenFences(Mutex<HashMap<Arc<str>, SeenFence>>);

#[derive(Clone, Copy)]
struct SeenFence {
    greatest: i64,
    /// Where a script has raised the counter, and so set it to the time if need be.
    raised_on: Reign,
}

/// What a counter is set to the time for: one link to one master, at one epoch of Sentinel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reign {
    pub(crate) link: u64,
    pub(crate) epoch: u64,
}

impl SeenFences {
    /// The greatest fence seen of a counter, or 0.
    pub(crate) fn floor(&self, counter: &str) -> i64 {
        self.0.lock().get(counter).map_or(0, |seen| seen.greatest)
    }

    /// The same where plain commands may raise the counter: a script has done so before.
    pub(crate) fn floor_on(&self, counter: &str, reign: Reign) -> Option<i64> {
        let seen = *self.0.lock().get(counter)?;
        (seen.raised_on == reign).then_some(seen.greatest)
    }

    /// Records a fence that a script gave.
    pub(crate) fn raised(&self, counter: Arc<str>, reign: Reign, fence: Fence) {
        let mut all = self.0.lock();
        let greatest = all.get(&counter).map_or(0, |seen| seen.greatest);
        let greatest = greatest.max(fence.as_i64());
        let seen = SeenFence {
            greatest,
            raised_on: reign,
        };
        all.insert(counter, seen);
    }

    /// Records a fence.
    pub(crate) fn seen(&self, counter: &str, fence: Fence) {
        if let Some(seen) = self.0.lock().get_mut(counter) {
            seen.greatest = seen.greatest.max(fence.as_i64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_cluster_the_counter_is_beside_the_lock() {
        let counters = Counters::by_slot("app:");
        for number in 0..20_000 {
            let lock = format!("app:lock-{number}");
            let counter = counters.of(&lock);
            assert_eq!(slot_of(&counter), slot_of(&lock), "{lock} {counter}");
        }
        let tagged = Counters::by_slot("{app}:");
        assert_eq!(slot_of(&tagged.of("{app}:x")), slot_of("{app}:x"));
    }

    #[test]
    fn plain_commands_wait_for_a_script_on_each_link() {
        let seen = SeenFences::default();
        let fence = |number| Fence::try_from(number).expect("a fence");
        let first = Reign { link: 1, epoch: 1 };
        assert_eq!(seen.floor_on("f", first), None);
        seen.raised("f".into(), first, fence(7));
        seen.seen("f", fence(9));
        assert_eq!(seen.floor_on("f", first), Some(9));
        for other in [Reign { link: 2, epoch: 1 }, Reign { link: 1, epoch: 2 }] {
            assert_eq!(seen.floor_on("f", other), None);
        }
        let second = Reign { link: 2, epoch: 1 };
        seen.raised("f".into(), second, fence(8));
        assert_eq!((seen.floor("f"), seen.floor_on("f", second)), (9, Some(9)));
    }
}
