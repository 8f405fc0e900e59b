//! What the doctor found, check by check.

use std::pin::pin;
use std::time::Duration;

use leasehold::Unavailable;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::duration::shown;
use crate::output::{Output, Tone, plain};

/// A check that takes longer says what it waits for, and goes on saying so.
const SILENCE: Duration = Duration::from_secs(3);

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Pass,
    Warn,
    Fail,
    /// Another check has to pass first, or this user may not see what it needs.
    Skip,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }

    fn mark(self, output: Output) -> String {
        match self {
            Self::Pass => output.coloured(Tone::Good, "ok  "),
            Self::Warn => output.coloured(Tone::Doubtful, "warn"),
            Self::Fail => output.coloured(Tone::Bad, "FAIL"),
            Self::Skip => "skip".to_owned(),
        }
    }
}

/// One check: its code, which never changes, and its title.
pub(crate) type Check = (&'static str, &'static str);

/// One check's result.
#[derive(Debug)]
pub(crate) struct Finding {
    check: Check,
    level: Level,
    /// The value seen, or the reason for skipping.
    seen: String,
    /// What to do.
    fix: String,
}

/// All results so far, printed as they come.
pub(crate) struct Report {
    output: Output,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            output,
            findings: Vec::new(),
        }
    }

    pub(crate) fn pass(&mut self, check: Check, seen: impl Into<String>) {
        self.add(check, Level::Pass, &seen.into(), "");
    }

    pub(crate) fn warn(&mut self, check: Check, seen: impl Into<String>, fix: impl Into<String>) {
        self.add(check, Level::Warn, &seen.into(), &fix.into());
    }

    pub(crate) fn fail(&mut self, check: Check, seen: impl Into<String>, fix: impl Into<String>) {
        self.add(check, Level::Fail, &seen.into(), &fix.into());
    }

    pub(crate) fn skip(&mut self, check: Check, why: impl Into<String>) {
        self.add(check, Level::Skip, &why.into(), "");
    }

    /// Passes, warns or fails by the rule that the caller has applied.
    pub(crate) fn judge(&mut self, check: Check, level: Level, seen: impl Into<String>, fix: &str) {
        let fix = if level == Level::Pass { "" } else { fix };
        self.add(check, level, &seen.into(), fix);
    }

    /// A server that cannot be used fails the check with its own words.
    pub(crate) fn fail_with(&mut self, check: Check, error: &Unavailable) {
        let node = error.node().map(|node| format!("{node}: "));
        let seen = format!("{}{}", node.unwrap_or_default(), error.cause());
        self.fail(check, seen, error.fix());
    }

    /// Carries out a part of a check, and says what it waits for when that takes long.
    pub(crate) async fn watched<T>(
        &self,
        awaited: impl Fn() -> String,
        work: impl Future<Output = T>,
    ) -> T {
        let began = Instant::now();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = sleep(SILENCE) => {
                    let elapsed = shown(began.elapsed());
                    self.output.note(&format!("waiting since {elapsed} for {}", plain(&awaited())));
                }
            }
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.level == Level::Fail)
    }

    pub(crate) fn count(&self, level: Level) -> usize {
        let counted = self
            .findings
            .iter()
            .filter(|finding| finding.level == level);
        counted.count()
    }

    fn add(&mut self, check: Check, level: Level, seen: &str, fix: &str) {
        let finding = Finding {
            check,
            level,
            seen: plain(seen),
            fix: plain(fix),
        };
        let is_worth_a_line = !self.output.quiet || matches!(level, Level::Warn | Level::Fail);
        if !self.output.json && is_worth_a_line {
            self.print(&finding);
        }
        self.findings.push(finding);
    }

    fn print(&self, finding: &Finding) {
        let (code, title) = finding.check;
        let mark = finding.level.mark(self.output);
        self.output
            .line(&format!("{mark}  {code}  {title}: {}", finding.seen));
        if !finding.fix.is_empty() {
            self.output
                .line(&format!("              → {}", finding.fix));
        }
    }

    pub(crate) fn document(&self) -> Value {
        let checks: Vec<Value> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "code": finding.check.0, "title": finding.check.1,
                    "level": finding.level.name(), "seen": finding.seen, "fix": finding.fix,
                })
            })
            .collect();
        json!({
            "checks": checks,
            "passed": self.count(Level::Pass), "warned": self.count(Level::Warn),
            "failed": self.count(Level::Fail), "skipped": self.count(Level::Skip),
        })
    }
}
