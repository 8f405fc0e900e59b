//! The keys that a name owns, and those of the SDK's own records.

use std::sync::Arc;

use crate::resource::{InvalidResource, Resource, hash_tag};

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
pub(crate) enum LockKind {
    /// One holder at a time.
    Plain,
    /// As many holders at a time as there are locks.
    Slots,
}

/// The keys that belong to one resource: its lock, or one lock per slot, and the companions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Keys {
    /// The resource's name with the prefix.
    pub(crate) name: Arc<str>,
    pub(crate) kind: LockKind,
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
        Ok(Self::of(name.into(), LockKind::Plain, 1))
    }

    /// The keys of a resource that `limit` holders at a time may lease.
    pub(crate) fn slots(prefix: &str, resource: &Resource, limit: usize) -> Self {
        let name = [prefix, resource.as_str()].concat();
        Self::of(name.into(), LockKind::Slots, limit)
    }

    /// The keys of what is waited for under a [`Keys::wait_key`].
    pub(crate) fn of_waiters(wait_key: &str) -> Option<Self> {
        let (slots, name) = wait_key.split_once(' ')?;
        match slots {
            "-" => Some(Self::of(name.into(), LockKind::Plain, 1)),
            slots => Some(Self::of(name.into(), LockKind::Slots, slots.parse().ok()?)),
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
            LockKind::Plain => plain,
            LockKind::Slots => slots,
        }
    }

    fn of(name: Arc<str>, kind: LockKind, limit: usize) -> Self {
        let slot = |number| format!("{name}:{number}").into();
        match kind {
            LockKind::Plain => Self {
                locks: vec![name.clone()],
                wait_key: ["- ", &name].concat().into(),
                name,
                kind,
            },
            LockKind::Slots => Self {
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
}
