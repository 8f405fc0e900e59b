//! Histories with something wrong in them: the checker must see each, by its rule; and a good one passes.

use leasehold_faults::{
    checker::{Bounds, check},
    client::Protocol,
    history::{Event, Kind},
};

const MS: u64 = 1_000_000;

/// A history in the making; times are in milliseconds.
#[derive(Default)]
struct Story(Vec<Event>);

impl Story {
    fn then(mut self, at: u64, who: &str, operation: u64, kind: Kind) -> Self {
        self.0.push(Event {
            at: at * MS,
            process: who.into(),
            operation,
            resource: "r".into(),
            kind,
        });
        self
    }

    fn invoke(self, at: u64, who: &str, operation: u64) -> Self {
        self.then(at, who, operation, Kind::Invoke { patience_ms: 5_000 })
    }

    fn granted(self, at: u64, who: &str, operation: u64, fence: i64, deadline: u64) -> Self {
        let kind = Kind::Granted {
            fence,
            asked: 0,
            deadline: deadline * MS,
            renewed: false,
            holder: format!("{who}#{operation}"),
        };
        self.then(at, who, operation, kind)
    }

    fn released(self, at: u64, who: &str, operation: u64) -> Self {
        self.then(at, who, operation, Kind::ReleaseInvoked { by_drop: false })
    }

    fn lost(self, at: u64, who: &str, operation: u64) -> Self {
        self.then(
            at,
            who,
            operation,
            Kind::Lost {
                reason: "time".into(),
            },
        )
    }

    fn checked(self, at: u64, who: &str, operation: u64, valid: bool) -> Self {
        self.then(at, who, operation, Kind::Checked { valid })
    }

    fn wrote(self, at: u64, who: &str, operation: u64, fence: i64) -> Self {
        self.then(at, who, operation, Kind::WriteAccepted { fence })
    }

    fn stopped(self, at: u64, victim: &str, killed: bool) -> Self {
        let victim = victim.into();
        self.then(at, "nemesis", 0, Kind::Stopped { victim, killed })
    }

    fn resumed(self, at: u64, victim: &str) -> Self {
        self.then(
            at,
            "nemesis",
            0,
            Kind::Resumed {
                victim: victim.into(),
            },
        )
    }

    fn nemesis(self, at: u64, kind: Kind) -> Self {
        self.then(at, "nemesis", 0, kind)
    }

    fn broken(self) -> Vec<String> {
        self.broken_under(Protocol::Strict)
    }

    fn broken_under(self, protocol: Protocol) -> Vec<String> {
        let mut history = self.0;
        history.sort_by_key(|event| event.at);
        let found = check(&history, Bounds::of(protocol));
        found.into_iter().map(|violation| violation.rule).collect()
    }
}

/// One lease after another, the second after the first has lapsed, one holder frozen beyond its deadline.
fn good() -> Story {
    Story::default()
        .nemesis(0, Kind::Calm)
        .invoke(1, "a", 1)
        .granted(2, "a", 1, 10, 1_000)
        .wrote(3, "a", 1, 10)
        .invoke(4, "b", 1)
        .stopped(500, "a", false)
        .granted(1_001, "b", 1, 11, 2_000)
        .wrote(1_002, "b", 1, 11)
        .resumed(3_000, "a")
        .checked(3_001, "a", 1, false)
        .lost(3_002, "a", 1)
        .released(1_500, "b", 1)
        .invoke(1_501, "c", 1)
        .granted(1_502, "c", 1, 12, 2_502)
        .stopped(1_600, "c", true)
        .invoke(1_601, "b", 2)
        .granted(1_700, "b", 2, 13, 2_700)
        .released(1_710, "b", 2)
}

#[test]
fn a_good_history_passes() {
    assert_eq!(good().broken(), [""; 0]);
}

#[test]
fn two_holders_at_once() {
    let story = good()
        .invoke(900, "d", 1)
        .granted(999, "d", 1, 14, 1_000)
        .released(1_000, "d", 1);
    assert!(story.broken().contains(&"C1".to_owned()));
}

#[test]
fn a_holder_inside_a_long_lease_is_seen_behind_a_short_one() {
    let story = Story::default()
        .granted(1, "a", 1, 1, 10_000)
        .granted(20_000, "b", 1, 2, 30_000)
        .granted(20_001, "c", 1, 3, 20_010)
        .granted(20_500, "d", 1, 4, 20_510);
    assert_eq!(story.broken(), ["C1", "C1"]);
}

#[test]
fn a_holder_whose_renewal_reached_beyond_the_next_grant() {
    let story = Story::default()
        .invoke(1, "a", 1)
        .granted(2, "a", 1, 1, 1_000)
        .then(
            900,
            "a",
            1,
            Kind::Extended {
                deadline: 1_900 * MS,
            },
        )
        .invoke(1_000, "b", 1)
        .granted(1_500, "b", 1, 2, 2_500);
    assert_eq!(story.broken(), ["C1"]);
}

#[test]
fn a_frozen_holder_still_holds_until_its_deadline() {
    let story = good().granted(900, "d", 1, 14, 950);
    assert!(story.broken().contains(&"C1".to_owned()));
}

#[test]
fn a_holder_that_was_removed_by_force_holds_no_longer() {
    let story = |forced, victim: &str| {
        let holder = victim.into();
        Story::default()
            .invoke(1, "a", 1)
            .granted(2, "a", 1, 1, 1_000)
            .invoke(3, "b", 1)
            .then(forced, "c", 1, Kind::ForceInvoked { holder })
            .granted(500, "b", 1, 3, 1_500)
    };
    assert_eq!(story(499, "a#1").broken(), [""; 0]);
    assert_eq!(story(501, "a#1").broken(), ["C1"]);
    assert_eq!(story(499, "a#2").broken(), ["C1"]);
}

/// The order may come before its victim has heard of the grant.
#[test]
fn a_holder_that_was_removed_before_it_knew_that_it_held() {
    let story = Story::default()
        .then(
            1,
            "c",
            1,
            Kind::ForceInvoked {
                holder: "a#1".into(),
            },
        )
        .granted(2, "b", 1, 3, 1_500)
        .granted(3, "a", 1, 1, 1_000);
    assert_eq!(story.broken(), [""; 0]);
}

#[test]
fn a_machine_that_stood_still_serves_nobody() {
    let still = Kind::Starved { since: 1_000 * MS };
    let story = Story::default()
        .nemesis(1, Kind::Calm)
        .invoke(2, "a", 1)
        .then(9_000, "nemesis", 0, still)
        .then(
            18_000,
            "a",
            1,
            Kind::Failed {
                error: "timed out".into(),
            },
        );
    assert_eq!(story.broken(), [""; 0]);
}

#[test]
fn a_fence_that_comes_twice() {
    let story = Story::default()
        .granted(2, "a", 1, 7, 100)
        .granted(200, "b", 1, 7, 300);
    assert!(story.broken().contains(&"C2".to_owned()));
}

#[test]
fn a_fence_that_goes_back() {
    let story = Story::default()
        .invoke(1, "a", 1)
        .granted(2, "a", 1, 8, 100)
        .invoke(101, "b", 1)
        .granted(200, "b", 1, 7, 300);
    assert_eq!(story.broken(), ["C2"]);
}

#[test]
fn fences_of_leases_asked_for_at_the_same_time_may_come_in_any_order() {
    let story = Story::default()
        .invoke(1, "a", 1)
        .invoke(1, "b", 1)
        .granted(2, "a", 1, 8, 100)
        .granted(200, "b", 1, 7, 300);
    assert_eq!(story.broken(), [""; 0]);
}

#[test]
fn a_stale_write_that_was_taken() {
    let story = good().wrote(1_300, "a", 1, 10);
    assert_eq!(story.broken(), ["C3"]);
}

#[test]
fn two_writers_with_one_fence() {
    let story = good().wrote(1_300, "d", 1, 11);
    assert_eq!(story.broken(), ["C3"]);
}

#[test]
fn a_loss_that_was_told_too_late() {
    let story = Story::default()
        .granted(2, "a", 1, 1, 1_000)
        .lost(1_900, "a", 1);
    assert_eq!(story.broken(), ["C4"]);
    let excused = Story::default()
        .granted(2, "a", 1, 1, 1_000)
        .stopped(900, "a", false)
        .resumed(1_800, "a")
        .lost(1_900, "a", 1);
    assert_eq!(excused.broken(), [""; 0]);
    let starved = Story::default()
        .granted(2, "a", 1, 1, 1_000)
        .then(1_800, "a", 0, Kind::Starved { since: 900 * MS })
        .lost(1_900, "a", 1);
    assert_eq!(starved.broken(), [""; 0]);
}

/// A process that two faults froze is thawed once: before that it is excused, afterwards it is not.
#[test]
fn a_loss_after_two_faults_that_froze_its_holder() {
    let told = |at| {
        Story::default()
            .stopped(10, "a", false)
            .stopped(20, "a", false)
            .resumed(30, "a")
            .granted(40, "a", 1, 1, 1_000)
            .lost(at, "a", 1)
    };
    assert_eq!(told(1_001).broken(), [""; 0]);
    assert_eq!(told(1_900).broken(), ["C4"]);
}

#[test]
fn a_lease_that_was_valid_after_its_deadline() {
    let story = Story::default()
        .granted(2, "a", 1, 1, 1_000)
        .checked(1_001, "a", 1, true);
    assert_eq!(story.broken(), ["C4"]);
}

#[test]
fn a_lease_that_came_back() {
    let story = Story::default()
        .granted(2, "a", 1, 1, 1_000)
        .lost(500, "a", 1)
        .checked(600, "a", 1, true);
    assert_eq!(story.broken(), ["C4"]);
}

#[test]
fn a_waiter_who_was_turned_away_in_fair_weather() {
    let error = "timed out".to_owned();
    let story = Story::default()
        .nemesis(1, Kind::Calm)
        .invoke(2, "a", 1)
        .then(
            11_000,
            "a",
            1,
            Kind::Failed {
                error: error.clone(),
            },
        );
    assert_eq!(story.broken(), ["C5"]);
    let in_a_storm = Story::default()
        .nemesis(1, Kind::Calm)
        .invoke(2, "a", 1)
        .nemesis(5_000, Kind::Storm)
        .nemesis(9_000, Kind::Calm)
        .then(11_000, "a", 1, Kind::Failed { error });
    assert_eq!(in_a_storm.broken(), [""; 0]);
}

#[test]
fn a_waiter_who_was_forgotten() {
    let story = Story::default()
        .nemesis(1, Kind::Calm)
        .invoke(2, "a", 1)
        .invoke(20_000, "b", 1)
        .granted(20_001, "b", 1, 1, 20_100);
    assert_eq!(story.broken(), ["C5"]);
}

/// A quorum has no queue: there it counts whether anybody was served.
#[test]
fn a_waiter_who_was_passed_over() {
    let story = |other_is_served| {
        let begin = Story::default()
            .nemesis(1, Kind::Calm)
            .invoke(2, "a", 1)
            .invoke(other_is_served - 1, "b", 1)
            .granted(other_is_served, "b", 1, 1, other_is_served + 10);
        let error = "timed out".to_owned();
        begin.then(11_500, "a", 1, Kind::Failed { error })
    };
    assert_eq!(story(5_000).broken(), ["C5"]);
    assert_eq!(story(5_000).broken_under(Protocol::Quorum), [""; 0]);
    assert_eq!(story(1_000).broken_under(Protocol::Quorum), ["C5"]);
}

#[test]
fn a_lock_that_was_left_behind() {
    let story = good().nemesis(9_000, Kind::Leftover { key: "r".into() });
    assert_eq!(story.broken(), ["C6"]);
}
