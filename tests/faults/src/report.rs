//! What a run came to.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    checker::{
        Violation,
        availability::{self, Gaps},
        leases, milliseconds,
    },
    client::Protocol,
    history::{Event, Kind},
};

/// Counts over one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What the faults were drawn from.
    pub seed: u64,
    /// What the clients did.
    pub mode: Protocol,
    /// Whether servers and clients lived in network namespaces of their own.
    pub namespaces: bool,
    /// How long it took.
    pub seconds: u64,
    /// Leases granted.
    pub grants: usize,
    /// Leases that were lost before they were given back.
    pub lost: usize,
    /// Writes that the register refused, each from a holder that had been succeeded.
    pub writes_refused: usize,
    /// Faults that struck, forced releases aside.
    pub faults: usize,
    /// The same, by kind.
    pub faults_by_kind: BTreeMap<String, usize>,
    /// Broken rules, by rule.
    pub violations: BTreeMap<String, usize>,
    /// The longest time from asking to having, in milliseconds.
    pub longest_wait_ms: u64,
    /// The times without a grant, by kind of fault.
    #[serde(default)]
    pub gaps: BTreeMap<String, Gaps>,
    /// Why the run proves nothing, if it does not.
    pub void: Option<String>,
}

impl Report {
    /// Counts.
    #[must_use]
    pub fn of(history: &[Event], violations: &[Violation], seed: u64, mode: Protocol) -> Self {
        let count = |is: fn(&Kind) -> bool| history.iter().filter(|event| is(&event.kind)).count();
        let mut faults_by_kind: BTreeMap<String, usize> = BTreeMap::new();
        for event in history {
            if let Kind::Fault { fault, .. } = &event.kind {
                *faults_by_kind.entry(fault.clone()).or_default() += 1;
            }
        }
        // The clients do these, and more often than anything breaks.
        let forced = faults_by_kind
            .get("forced-release")
            .copied()
            .unwrap_or_default();
        let mut by_rule: BTreeMap<String, usize> = BTreeMap::new();
        for violation in violations {
            *by_rule.entry(violation.rule.clone()).or_default() += 1;
        }
        Self {
            seed,
            mode,
            namespaces: false,
            seconds: 0,
            grants: count(|kind| matches!(kind, Kind::Granted { .. })),
            lost: count(|kind| matches!(kind, Kind::Lost { .. })),
            writes_refused: count(|kind| matches!(kind, Kind::WriteRefused { .. })),
            faults: count(|kind| matches!(kind, Kind::Fault { .. })) - forced,
            faults_by_kind,
            violations: by_rule,
            longest_wait_ms: longest_wait(history),
            gaps: availability::gaps(history),
            void: None,
        }
    }

    /// Marks the run as void when it had less than this in it, per minute.
    #[must_use]
    pub fn demanding(mut self, grants: u64, faults: u64, length: Duration) -> Self {
        let least = |each_minute: u64| {
            usize::try_from(each_minute * length.as_secs() / 60).unwrap_or(usize::MAX)
        };
        let (grants, faults) = (least(grants), least(faults));
        if self.grants < grants {
            self.void = Some(format!("{} grants, fewer than {grants}", self.grants));
        } else if self.faults < faults {
            self.void = Some(format!("{} faults, fewer than {faults}", self.faults));
        }
        self
    }

    /// Broken rules of all kinds.
    #[must_use]
    pub fn total_violations(&self) -> usize {
        self.violations.values().sum()
    }
}

fn longest_wait(history: &[Event]) -> u64 {
    let mut asked = BTreeMap::new();
    let mut longest = 0.0_f64;
    for event in history {
        let operation = (event.process.as_str(), event.operation);
        match event.kind {
            Kind::Invoke { .. } => {
                asked.insert(operation, event.at);
            }
            Kind::Granted { .. } => {
                if let Some(asked) = asked.get(&operation) {
                    longest = longest.max(milliseconds(*asked, event.at));
                }
            }
            _ => {}
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a length of time"
    )]
    let longest = longest as u64;
    longest
}

/// How many leases overlapped in time with a fault, a hint whether the faults struck where something happened.
#[must_use]
pub fn leases_under_faults(history: &[Event]) -> usize {
    let mut active = 0_usize;
    let mut changes = Vec::new();
    for event in history {
        match event.kind {
            Kind::Fault { .. } => active += 1,
            Kind::FaultEnded { .. } => active = active.saturating_sub(1),
            _ => continue,
        }
        changes.push((event.at, active > 0));
    }
    let broken_at = |at: u64| {
        let next = changes.partition_point(|(when, _)| *when <= at);
        next.checked_sub(1).is_some_and(|last| changes[last].1)
    };
    let leases = leases::collect(history);
    leases
        .iter()
        .filter(|lease| broken_at(lease.granted))
        .count()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<String, usize>| {
            let words: Vec<String> = counts
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            words.join(", ")
        };
        writeln!(
            f,
            "{:?} mode, seed {}, {} s",
            self.mode, self.seed, self.seconds
        )?;
        writeln!(
            f,
            "  grants      {} ({} lost, {} late writes refused)",
            self.grants, self.lost, self.writes_refused
        )?;
        writeln!(
            f,
            "  faults      {} ({})",
            self.faults,
            list(&self.faults_by_kind)
        )?;
        writeln!(f, "  waited      {} ms at most", self.longest_wait_ms)?;
        write!(f, "  violations  {}", self.total_violations())?;
        if self.total_violations() > 0 {
            write!(f, " ({})", list(&self.violations))?;
        }
        write!(f, "\n  without a grant while it lasted or 2 s later, in ms")?;
        write!(
            f,
            "\n    fault                times  median  longest  above 500   alone  median  longest"
        )?;
        for (kind, gaps) in &self.gaps {
            let Gaps {
                faults,
                median_ms,
                longest_ms,
                above_500_ms,
                alone,
                alone_median_ms,
                alone_longest_ms,
            } = gaps;
            write!(
                f,
                "\n    {kind:<20} {faults:>5}  {median_ms:>6}  {longest_ms:>7}  {above_500_ms:>9}"
            )?;
            if *alone > 0 {
                write!(
                    f,
                    "   {alone:>5}  {alone_median_ms:>6}  {alone_longest_ms:>7}"
                )?;
            }
        }
        if let Some(reason) = &self.void {
            write!(f, "\n  VOID        {reason}")?;
        }
        Ok(())
    }
}
