//! What a server is asked to run: a script with its keys and arguments.
//!
//! Acquisitions and releases are so many that they are made into words only when they leave, by
//! themselves or in a batch.

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;

use super::script::{ACQUIRE, Call, Manner, RELEASE};
use super::waiter::Waiter;
use crate::resource::Keys;
use crate::token::Token;

/// One invocation of a script.
#[derive(Clone)]
pub(crate) enum Invocation {
    Acquire(Acquire),
    Release(Release),
    Other(Call),
}

/// Asks `acquire.lua` for a lock, or for one of several slots.
#[derive(Clone)]
pub(crate) struct Acquire {
    pub(crate) keys: Arc<Keys>,
    pub(crate) slot: Option<usize>,
    pub(crate) token: Token,
    pub(crate) ttl: Duration,
    /// The greatest fence seen.
    pub(crate) floor: i64,
    pub(crate) gate: Option<GatePass>,
    /// Who enters the queue if the lock is held.
    pub(crate) waiter: Option<Waiter>,
    pub(crate) is_asking: bool,
}

/// What a grant in strict mode has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatePass {
    pub(crate) key: Arc<str>,
    pub(crate) incarnation: Arc<str>,
}

/// Asks `release.lua` to delete the lock that the token holds.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) keys: Arc<Keys>,
    pub(crate) slot: Option<usize>,
    pub(crate) token: Token,
    pub(crate) is_asking: bool,
}

impl Invocation {
    /// Whether the node is to serve a slot that it is only importing.
    pub(super) fn is_asking(&self) -> bool {
        match self {
            Self::Acquire(acquire) => acquire.is_asking,
            Self::Release(release) => release.is_asking,
            Self::Other(call) => call.is_asking(),
        }
    }

    pub(super) fn command(&self, manner: Manner) -> Cmd {
        match self {
            Self::Acquire(acquire) => acquire.command(manner),
            Self::Release(release) => release.command(manner),
            Self::Other(call) => call.command(manner),
        }
    }
}

impl From<Acquire> for Invocation {
    fn from(acquire: Acquire) -> Self {
        Self::Acquire(acquire)
    }
}

impl From<Release> for Invocation {
    fn from(release: Release) -> Self {
        Self::Release(release)
    }
}

impl From<Call> for Invocation {
    fn from(call: Call) -> Self {
        Self::Other(call)
    }
}

impl Acquire {
    /// Whether it asks for one lock.
    pub(super) fn is_for_one(&self) -> bool {
        self.keys.locks_of(self.slot).len() == 1
    }

    pub(super) fn command(&self, manner: Manner) -> Cmd {
        let (keys, locks) = (&self.keys, self.keys.locks_of(self.slot));
        let (gate, incarnation) = match &self.gate {
            Some(gate) => (Some(&*gate.key), &*gate.incarnation),
            None => (None, ""),
        };
        let key_count = 3 + locks.len() + usize::from(gate.is_some());
        let mut command = ACQUIRE.command(manner, 8 + key_count, 512);
        command
            .arg(key_count)
            .arg(&[&keys.fence, &keys.queue, &keys.alive]);
        add_all(&mut command, locks);
        command
            .arg(gate)
            .arg(self.token.reveal())
            .arg(milliseconds(self.ttl))
            .arg(self.floor)
            .arg(&*keys.name)
            .arg(incarnation);
        if let Some(waiter) = &self.waiter {
            command
                .arg(&*waiter.id)
                .arg(milliseconds(waiter.counts_for));
        }
        command
    }
}

impl Release {
    /// Whether it is about one lock.
    pub(super) fn is_for_one(&self) -> bool {
        self.keys.locks_of(self.slot).len() == 1
    }

    pub(super) fn command(&self, manner: Manner) -> Cmd {
        let (keys, locks) = (&self.keys, self.keys.locks_of(self.slot));
        let mut command = RELEASE.command(manner, 5 + locks.len(), 384);
        command
            .arg(2 + locks.len())
            .arg(&[&keys.queue, &keys.alive]);
        add_all(&mut command, locks);
        command.arg(self.token.reveal()).arg(&*keys.name);
        command
    }
}

pub(super) fn add_all(command: &mut Cmd, words: &[Arc<str>]) {
    for word in words {
        command.arg(&**word);
    }
}

/// Lasts longer than any lease by far if it does not fit.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
