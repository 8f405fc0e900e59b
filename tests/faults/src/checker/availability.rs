//! For how long nothing was granted, by kind of fault.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::milliseconds;
use crate::history::{Event, Kind, NEMESIS, STANDSTILL, nanoseconds};

/// A fault may show only after it has ended, as when a gate closes behind it.
const AFTERWARDS: std::time::Duration = std::time::Duration::from_secs(2);

/// The times without a grant that one kind of fault had a part in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gaps {
    /// How often it struck.
    pub faults: usize,
    /// The middle one of the longest times without a grant, one for each fault, in milliseconds.
    pub median_ms: u64,
    /// The longest, in milliseconds.
    pub longest_ms: u64,
    /// How many were longer than half a second.
    pub above_500_ms: usize,
    /// How often nothing else was broken at the same time, and the times without a grant then, in milliseconds.
    #[serde(default)]
    pub alone: usize,
    /// The middle one of these.
    #[serde(default)]
    pub alone_median_ms: u64,
    /// The longest of these.
    #[serde(default)]
    pub alone_longest_ms: u64,
}

struct Struck<'a> {
    fault: &'a str,
    from: u64,
    until: u64,
}

/// The longest time without a grant of any resource that overlaps with each fault, by kind of fault. Faults that strike
/// together share what comes of it. What the machine stood still in does not count.
#[must_use]
pub fn gaps(history: &[Event]) -> BTreeMap<String, Gaps> {
    let grants: Vec<u64> = history
        .iter()
        .filter(|event| matches!(event.kind, Kind::Granted { .. }))
        .map(|event| event.at)
        .collect();
    let still = standstills(history);
    let all = faults(history);
    let mut by_kind: BTreeMap<String, (Vec<u64>, Vec<u64>)> = BTreeMap::new();
    for struck in &all {
        if still
            .iter()
            .any(|(from, to)| *from < struck.until && *to > struck.from)
        {
            continue;
        }
        let longest = longest_gap(&grants, struck.from, struck.until);
        let (together, alone) = by_kind.entry(struck.fault.to_owned()).or_default();
        together.push(longest);
        if all.iter().all(|other| struck.is_apart_from(other)) {
            alone.push(longest);
        }
    }
    by_kind
        .into_iter()
        .map(|(kind, (together, alone))| (kind, summary(together, alone)))
        .collect()
}

/// When nothing ran.
fn standstills(history: &[Event]) -> Vec<(u64, u64)> {
    let still = |event: &Event| match event.kind {
        Kind::Starved { since }
            if event.process == NEMESIS && event.at - since > nanoseconds(STANDSTILL) =>
        {
            Some((since, event.at))
        }
        _ => None,
    };
    history.iter().filter_map(still).collect()
}

fn summary(mut longest: Vec<u64>, mut alone: Vec<u64>) -> Gaps {
    longest.sort_unstable();
    alone.sort_unstable();
    let middle = |sorted: &[u64]| sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    Gaps {
        faults: longest.len(),
        median_ms: middle(&longest),
        longest_ms: longest.last().copied().unwrap_or_default(),
        above_500_ms: longest.iter().filter(|gap| **gap > 500).count(),
        alone: alone.len(),
        alone_median_ms: middle(&alone),
        alone_longest_ms: alone.last().copied().unwrap_or_default(),
    }
}

impl Struck<'_> {
    /// Whether the other is this one, or costs no grant of this one's time. A forced release never does.
    fn is_apart_from(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || other.until < self.from
            || other.from > self.until
            || other.fault == "forced-release"
    }
}

/// Faults are told apart by kind and target: the same target is not struck twice at once by the same kind.
fn faults(history: &[Event]) -> Vec<Struck<'_>> {
    let mut active: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut struck = Vec::new();
    for event in history {
        match &event.kind {
            Kind::Fault { fault, target } => {
                active.insert((fault, target), event.at);
            }
            Kind::FaultEnded { fault, target } => {
                let from = active.remove(&(fault.as_str(), target.as_str()));
                struck.extend(from.map(|from| Struck {
                    fault,
                    from,
                    until: event.at + nanoseconds(AFTERWARDS),
                }));
            }
            _ => {}
        }
    }
    struck
}

/// The longest time between two grants in a row that overlaps with this span, in milliseconds.
fn longest_gap(grants: &[u64], from: u64, until: u64) -> u64 {
    let first = grants.partition_point(|at| *at <= from).saturating_sub(1);
    let gaps = grants[first.min(grants.len())..]
        .windows(2)
        .take_while(|pair| pair[0] < until)
        .map(|pair| milliseconds(pair[0], pair[1]));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a length of time"
    )]
    let longest = gaps.fold(0.0, f64::max) as u64;
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn event(at: u64, kind: Kind) -> Event {
        Event {
            at: at * MS,
            process: "client-1.1".into(),
            operation: at,
            resource: "r".into(),
            kind,
        }
    }

    fn granted(at: u64) -> Event {
        let kind = Kind::Granted {
            fence: 1,
            asked: 0,
            deadline: 0,
            renewed: false,
            holder: String::new(),
        };
        event(at, kind)
    }

    fn fault(at: u64, kind: &str, begins: bool) -> Event {
        let (fault, target) = (kind.to_owned(), "node 0".to_owned());
        let kind = match begins {
            true => Kind::Fault { fault, target },
            false => Kind::FaultEnded { fault, target },
        };
        event(at, kind)
    }

    #[test]
    fn a_gap_counts_for_the_faults_that_it_overlaps_with() {
        let history = [
            granted(0),
            granted(900),
            granted(1_000),
            fault(1_010, "kill-master", true),
            fault(1_500, "kill-master", false),
            granted(2_200),
            granted(4_900),
            fault(10_000, "latency", true),
            granted(10_100),
            fault(10_200, "latency", false),
            granted(10_300),
        ];
        let gaps = gaps(&history);
        assert_eq!(gaps["kill-master"].longest_ms, 2_700, "it shows afterwards");
        assert_eq!(gaps["kill-master"].above_500_ms, 1);
        assert_eq!(gaps["latency"].longest_ms, 5_200);
        assert_eq!(gaps["latency"].faults, 1);
        assert_eq!(
            (gaps["latency"].alone, gaps["latency"].alone_longest_ms),
            (1, 5_200)
        );
    }

    #[test]
    fn what_strikes_together_is_not_counted_alone_and_a_machine_that_stood_still_not_at_all() {
        let mut stood_still = event(30_000, Kind::Starved { since: 20_000 * MS });
        stood_still.process = NEMESIS.into();
        let history = [
            granted(0),
            fault(1_000, "kill-master", true),
            fault(1_100, "latency", true),
            fault(1_500, "kill-master", false),
            fault(1_600, "latency", false),
            granted(2_200),
            fault(19_000, "copy-data", true),
            fault(19_100, "copy-data", false),
            stood_still,
            granted(31_000),
        ];
        let gaps = gaps(&history);
        assert_eq!(
            (gaps["kill-master"].faults, gaps["kill-master"].alone),
            (1, 0)
        );
        assert!(!gaps.contains_key("copy-data"));
    }
}
