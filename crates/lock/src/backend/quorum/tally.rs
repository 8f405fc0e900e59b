//! Counting the members' answers to a question.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Answer, Member};
use crate::backend::{Granting, Holding, Releasing};
use crate::fence::Fence;

/// What so many members say alike of one lock; `None` if that is not known (yet).
pub(super) fn agreed(
    seen: &[Vec<Option<Holding>>],
    lock: usize,
    needed: usize,
) -> Option<Option<Holding>> {
    fn id(holding: &Option<Holding>) -> Option<&Option<String>> {
        holding.as_ref().map(|held| &held.id)
    }
    let mut candidates = seen.iter().filter_map(|holdings| holdings.get(lock));
    let agreeing = |one: &Option<Holding>| {
        let all = seen.iter().filter_map(|holdings| holdings.get(lock));
        all.filter(|other| id(other) == id(one)).count()
    };
    candidates.find(|one| agreeing(one) >= needed).cloned()
}

/// The answers to a release so far.
#[derive(Default)]
pub(super) struct ReleaseTally {
    pub(super) released: usize,
    pub(super) missing: usize,
    thief: Option<String>,
}

impl ReleaseTally {
    pub(super) fn add(&mut self, releasing: Releasing) {
        match releasing {
            Releasing::Released => self.released += 1,
            Releasing::Missing { .. } => self.missing += 1,
            Releasing::Stolen { by } => {
                self.missing += 1;
                self.thief = Some(by);
            }
        }
    }

    pub(super) fn answered(&self) -> usize {
        self.released + self.missing
    }

    /// What became of a lock that a majority had, or not.
    pub(super) fn outcome(self, was_held: bool) -> Releasing {
        match self.thief {
            _ if was_held => Releasing::Released,
            Some(by) => Releasing::Stolen { by },
            None => Releasing::missing(),
        }
    }
}

/// The answers to a grant so far.
#[derive(Default)]
pub(super) struct GrantTally {
    pub(super) granted: usize,
    pub(super) refused: usize,
    pub(super) fence: Option<Fence>,
    notes: Vec<String>,
    /// The owner who holds most members, and for how long.
    holders: Vec<(Option<String>, Option<Duration>)>,
    is_above_bound: Option<Duration>,
}

impl GrantTally {
    pub(super) fn add(&mut self, answer: Answer<Granting>) {
        let Answer { member, result } = answer;
        match result {
            Ok(Granting::Granted { fence, .. }) => {
                self.granted += 1;
                self.fence = self.fence.max(Some(fence));
                return;
            }
            Ok(Granting::Held {
                owner, remaining, ..
            }) => {
                let by = owner.as_deref().unwrap_or("someone else");
                self.note(&member, &format!("held by {by}"));
                self.holders.push((owner, remaining));
            }
            Ok(Granting::GateClosed { .. } | Granting::Resynced { .. }) => {
                self.note(&member, "its gate is closed after a start");
            }
            Ok(Granting::AboveSharedBound { most }) => {
                self.note(&member, "its clients agreed on shorter leases");
                self.is_above_bound = Some(most);
            }
            Ok(Granting::NotReplicated(_) | Granting::NoQuorum { .. }) => {}
            Err(failure) => self.note(&member, &failure.unavailable.cause().to_string()),
        }
        self.refused += 1;
    }

    pub(super) fn note(&mut self, member: &Member, what: &str) {
        let mut note = String::new();
        let _ = write!(note, "{}: {what}", member.endpoint);
        self.notes.push(note);
    }

    /// Why a majority could not be had.
    pub(super) fn refusal(mut self, members: usize, needed: usize) -> Granting {
        if let Some(most) = self.is_above_bound {
            return Granting::AboveSharedBound { most };
        }
        if let Some((owner, _)) = self.holders.first().cloned() {
            let of_owner = self.holders.iter().filter(|(other, _)| *other == owner);
            if of_owner.clone().count() >= needed {
                let remaining = of_owner.filter_map(|(_, remaining)| *remaining).max();
                return Granting::Held {
                    owner,
                    remaining,
                    before: None,
                };
            }
        }
        self.notes.sort_unstable();
        let (granted, nodes) = (self.granted, self.notes.join(", "));
        Granting::NoQuorum {
            granted,
            members,
            nodes,
        }
    }
}
