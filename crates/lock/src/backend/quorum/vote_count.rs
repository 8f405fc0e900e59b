//! Counting the members' answers.

use std::fmt::Write as _;
use std::time::Duration;

use super::member::{Member, MemberAnswer};
use crate::backend::ops::{GrantOutcome, Holding, Refusal, ReleaseOutcome};
use crate::fence::Fence;

/// What enough members say alike of one lock; `None` if that is not known (yet).
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
pub(super) struct ReleaseCount {
    pub(super) released: usize,
    pub(super) missing: usize,
    thief: Option<String>,
}

impl ReleaseCount {
    pub(super) fn add(&mut self, releasing: ReleaseOutcome) {
        match releasing {
            ReleaseOutcome::Released => self.released += 1,
            ReleaseOutcome::Missing { .. } => self.missing += 1,
            ReleaseOutcome::Stolen { by } => {
                self.missing += 1;
                self.thief = Some(by);
            }
        }
    }

    pub(super) fn answered(&self) -> usize {
        self.released + self.missing
    }

    /// What became of a lock that a majority had, or not.
    pub(super) fn outcome(self, was_held: bool) -> ReleaseOutcome {
        match self.thief {
            _ if was_held => ReleaseOutcome::Released,
            Some(by) => ReleaseOutcome::Stolen { by },
            None => ReleaseOutcome::missing(),
        }
    }
}

/// The answers to a grant so far.
///
/// # Why the fences of one lock increase
///
/// A member answers one more than its counter, or the proposed fence if that is greater, and keeps the
/// answer as its counter. Say a first lease got the fence f. Either a majority answered exactly f, so each of
/// these has a counter of at least f; or f was the greatest answer, and a majority has written it back while
/// the lock there was still the first lease's. A later lease has a majority too, and the two share a member.
/// It granted the lock to the second after the first had let go there, so its answer to the second was
/// greater than f. The second's fence is not less than that answer: it is what every one of a majority
/// answered that includes this member, or the greatest answer. Two lockers that propose the same fence at
/// once change nothing in this. A member that lost its counter does not vote: see its gate.
pub(super) struct VoteCount {
    proposed: Fence,
    /// Members that granted, and the greatest fence that any of them answered.
    pub(super) granted: Vec<Member>,
    pub(super) greatest: Option<Fence>,
    /// How many of them answered the proposed fence.
    pub(super) agreed: usize,
    pub(super) refused: usize,
    /// Members whose queue the request has entered.
    pub(super) queued: Vec<Member>,
    notes: Vec<String>,
    /// The owner who holds a member, for how long, and how many wait there before this one.
    holders: Vec<NamedHolder>,
    is_above_bound: Option<Duration>,
}

#[derive(Clone)]
struct NamedHolder {
    owner: Option<String>,
    remaining: Option<Duration>,
    before: Option<u32>,
}

impl VoteCount {
    pub(super) fn of(proposed: Fence) -> Self {
        Self {
            proposed,
            granted: Vec::new(),
            greatest: None,
            agreed: 0,
            refused: 0,
            queued: Vec::new(),
            notes: Vec::new(),
            holders: Vec::new(),
            is_above_bound: None,
        }
    }

    pub(super) fn add(&mut self, answer: MemberAnswer<GrantOutcome>) {
        let MemberAnswer { member, result } = answer;
        match result {
            Ok(GrantOutcome::Granted { fence, .. }) => return self.add_grant(member, fence),
            Ok(GrantOutcome::Refused(refusal)) => self.add_refusal(member, refusal),
            Err(failure) => self.note(&member, &failure.unavailable.cause().to_string()),
        }
        self.refused += 1;
    }

    fn add_refusal(&mut self, member: Member, refusal: Refusal) {
        match refusal {
            Refusal::Held {
                owner,
                remaining,
                before,
            } => {
                let by = owner.as_deref().unwrap_or("someone else");
                self.note(&member, &format!("held by {by}"));
                if before.is_some() {
                    self.queued.push(member);
                }
                self.holders.push(NamedHolder {
                    owner,
                    remaining,
                    before,
                });
            }
            Refusal::GateClosed { .. } | Refusal::Resynced { .. } => {
                self.note(&member, "its gate is closed after a start");
            }
            Refusal::AboveSharedBound { most } => {
                self.note(&member, "its clients agreed on shorter leases");
                self.is_above_bound = Some(most);
            }
            Refusal::NotReplicated(_) | Refusal::NoQuorum { .. } => {}
        }
    }

    pub(super) fn add_grant(&mut self, member: Member, fence: Fence) {
        self.granted.push(member);
        self.agreed += usize::from(fence == self.proposed);
        self.greatest = self.greatest.max(Some(fence));
    }

    pub(super) fn note(&mut self, member: &Member, what: &str) {
        let mut note = String::new();
        let _ = write!(note, "{}: {what}", member.endpoint);
        self.notes.push(note);
    }

    /// What to do now, if that is decided.
    pub(super) fn decision(&self, needed: usize) -> Option<Decision> {
        if self.agreed >= needed {
            return Some(Decision::Stands(self.proposed));
        }
        let fence = self.greatest?;
        (self.granted.len() >= needed).then_some(Decision::WriteBack(fence))
    }

    /// Why there is no majority.
    pub(super) fn refusal(mut self, members: usize, needed: usize) -> Refusal {
        if let Some(most) = self.is_above_bound {
            return Refusal::AboveSharedBound { most };
        }
        if let Some(held) = self.held(needed) {
            return held;
        }
        self.notes.sort_unstable();
        let (granted, nodes) = (self.granted.len(), self.notes.join(", "));
        Refusal::NoQuorum {
            granted,
            members,
            nodes,
        }
    }

    /// One owner holds a majority.
    fn held(&self, needed: usize) -> Option<Refusal> {
        let of = |owner: &Option<String>| {
            let holders = self.holders.iter();
            let of_owner: Vec<&NamedHolder> =
                holders.filter(|other| other.owner == *owner).collect();
            (of_owner.len() >= needed).then_some(of_owner)
        };
        let of_owner = self.holders.iter().find_map(|holder| of(&holder.owner))?;
        Some(Refusal::Held {
            owner: of_owner[0].owner.clone(),
            remaining: of_owner.iter().filter_map(|holder| holder.remaining).max(),
            before: self.holders.iter().filter_map(|holder| holder.before).max(),
        })
    }
}

/// What a majority of votes means.
pub(super) enum Decision {
    /// A majority has this very fence.
    Stands(Fence),
    /// A majority has granted, with fences that differ: the greatest is to be written back.
    WriteBack(Fence),
}
