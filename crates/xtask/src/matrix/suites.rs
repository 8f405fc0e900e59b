//! The suites of the matrix: building them once, and running one against one server.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use leasehold_testkit::{SERVER_VARIABLE, SETTINGS_VARIABLE};

use super::servers::{Program, Server};
use crate::cargo;

/// A suite that takes longer has hung.
const LIMIT: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Suite {
    /// One list of behaviours over every way to keep leases
    Conformance,
    /// Leases, slots, waiting and hand-over
    Lease,
    /// Leases over failovers
    Failover,
    /// What strict mode promises, attacked
    Safety,
    /// One minute of the fault campaign in strict mode
    Campaign,
}

pub(super) const ALL: [Suite; 5] = [
    Suite::Conformance,
    Suite::Lease,
    Suite::Failover,
    Suite::Safety,
    Suite::Campaign,
];

pub(super) const SHORT: [Suite; 2] = [Suite::Conformance, Suite::Lease];

/// What came of a suite on a server.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// What was counted.
    Passed(String),
    /// The tests or rules that failed, or why the suite ended early.
    Failed(Vec<String>),
}

#[derive(Debug)]
pub(super) struct Cell {
    pub(super) suite: Suite,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

/// A suite that is built.
#[derive(Debug)]
pub(super) struct Built {
    suite: Suite,
    program: PathBuf,
}

impl Suite {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Conformance => "conformance",
            Self::Lease => "lease",
            Self::Failover => "failover",
            Self::Safety => "safety",
            Self::Campaign => "campaign",
        }
    }
}

/// Builds the suites once for all servers.
pub(super) fn build(suites: &[Suite]) -> Result<Vec<Built>, Box<dyn Error>> {
    let tests: Vec<&str> = suites
        .iter()
        .filter(|suite| **suite != Suite::Campaign)
        .flat_map(|suite| ["--test", suite.name()])
        .collect();
    let programs = match tests.is_empty() {
        true => Vec::new(),
        false => cargo::build_tests(["--locked"].into_iter().chain(tests))?,
    };
    let built = suites.iter().map(|&suite| {
        let program = match suite {
            Suite::Campaign => cargo::build("--bin", "leasehold-faults")?,
            _ => cargo::path_of(&programs, suite.name())?,
        };
        Ok(Built { suite, program })
    });
    built.collect()
}

impl Built {
    pub(super) fn name(&self) -> &'static str {
        self.suite.name()
    }

    /// Runs the suite; its output is kept in `logs`.
    pub(super) fn run(
        &self,
        server: &Server,
        program: &Program,
        logs: &Path,
    ) -> Result<Cell, Box<dyn Error>> {
        fs::create_dir_all(logs)?;
        let name = format!("{}-{}", server.name, self.suite.name());
        let log = logs.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let mut command = Command::new(&self.program);
        command
            .current_dir(cargo::root().join("tests"))
            .env(SERVER_VARIABLE, &program.path)
            .env(SETTINGS_VARIABLE, server.settings)
            .stdout(output.try_clone()?)
            .stderr(output);
        cargo::run_tests_together(&mut command);
        if self.suite == Suite::Campaign {
            command
                .args(["--minutes", "1", "--mode", "strict", "--out"])
                .arg(logs.join(&name));
        }
        let began = Instant::now();
        let ended = wait(&mut command)?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        Ok(Cell {
            suite: self.suite,
            verdict: verdict(self.suite, ended, &text),
            took: began.elapsed(),
        })
    }
}

/// The exit code; none for a program that was killed or took too long.
fn wait(command: &mut Command) -> Result<Option<i32>, Box<dyn Error>> {
    let mut child = command.spawn()?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        if began.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(100));
    }
}

fn verdict(suite: Suite, ended: Option<i32>, output: &str) -> Verdict {
    let failed = failures(output);
    match (suite, ended) {
        (_, None) => Verdict::Failed(vec![format!(
            "killed, or not over within {} s",
            LIMIT.as_secs()
        )]),
        (Suite::Campaign, Some(0)) => Verdict::Passed("no rule broken".to_owned()),
        (Suite::Campaign, Some(1)) => Verdict::Failed(vec!["a rule was broken".to_owned()]),
        (Suite::Campaign, Some(3)) => Verdict::Failed(vec![
            "too few grants or faults to prove anything".to_owned(),
        ]),
        (_, Some(0)) => Verdict::Passed(passed(output)),
        (_, Some(_)) if !failed.is_empty() => Verdict::Failed(failed),
        (_, Some(code)) => Verdict::Failed(vec![format!("ended with {code}")]),
    }
}

/// The number of tests, from the last line of a test program.
fn passed(output: &str) -> String {
    let line = output.lines().find_map(|line| {
        let (_, counts) = line.split_once("test result: ok. ")?;
        counts.split_once(" passed")
    });
    line.map_or_else(String::new, |(count, _)| format!("{count} tests"))
}

/// The names of the tests that failed.
fn failures(output: &str) -> Vec<String> {
    output
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_of_a_suite_are_counted_and_those_that_failed_are_named() {
        let good = "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
                    test result: ok. 2 passed; 0 failed; 0 ignored\n";
        let Verdict::Passed(count) = verdict(Suite::Lease, Some(0), good) else {
            panic!("it passed")
        };
        assert_eq!(count, "2 tests");
        let bad =
            "test a ... ok\ntest b::c ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed\n";
        let Verdict::Failed(names) = verdict(Suite::Lease, Some(101), bad) else {
            panic!("it failed")
        };
        assert_eq!(names, ["b::c"]);
    }

    #[test]
    fn a_suite_that_ends_early_has_failed() {
        for ended in [None, Some(101)] {
            assert!(matches!(
                verdict(Suite::Safety, ended, ""),
                Verdict::Failed(_)
            ));
        }
        for code in [1, 2, 3] {
            assert!(matches!(
                verdict(Suite::Campaign, Some(code), ""),
                Verdict::Failed(_)
            ));
        }
    }
}
