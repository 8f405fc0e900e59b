//! The history of a run as the fault campaign writes it, for that campaign's checker: no two leases at
//! one instant, fences in order, no stale write, nobody left waiting while nothing is broken, nothing
//! left behind. (`tests/faults/src/checker` has the rules.) That a loss is told in time it does not
//! show: the workers note when they ceased to act, which is never later than the deadline.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::cluster::RESOURCE;
use super::faults::Fault;
use crate::cargo;
use crate::demo::register::Step;

/// Events in the campaign's words; their times are nanoseconds of the clock that all processes share.
#[derive(Debug, Default)]
pub(super) struct Log {
    events: Vec<Value>,
    /// When and by whom a step was written, by its fence.
    writers: HashMap<u64, Writer>,
    stopping: u64,
}

#[derive(Debug)]
struct Writer {
    process: String,
    operation: u64,
    at: u64,
}

/// What the checker found.
pub(super) struct Finding {
    pub(super) is_innocent: bool,
    pub(super) text: String,
}

fn now() -> u64 {
    let time = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What a line of a worker is about, its numbers, and the same as times: the workers count in
/// microseconds.
fn parts(line: &str) -> (&str, Vec<u64>, Vec<u64>) {
    let mut words = line.split(' ');
    let kind = words.next().unwrap_or_default();
    let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    let times = numbers.iter().map(|time| time.saturating_mul(1_000));
    let times = times.collect();
    (kind, numbers, times)
}

impl Log {
    fn note(&mut self, at: u64, process: &str, operation: u64, kind: Value) {
        let resource = if operation > 0 { RESOURCE } else { "" };
        let mut event = json!({
            "at": at, "process": process, "operation": operation, "resource": resource,
        });
        if let (Value::Object(event), Value::Object(kind)) = (&mut event, kind) {
            event.extend(kind);
        }
        self.events.push(event);
    }

    /// Everything is whole.
    pub(super) fn whole(&mut self) {
        self.note(now(), "nemesis", 0, json!({ "kind": "calm" }));
    }

    /// Everything was whole, and a fault begins.
    pub(super) fn began(&mut self, fault: Fault, service: &str) {
        self.whole();
        self.note(now(), "nemesis", 0, json!({ "kind": "storm" }));
        let kind = json!({ "kind": "fault", "fault": fault.kind(), "target": service });
        self.note(now(), "nemesis", 0, kind);
    }

    pub(super) fn ended(&mut self, fault: Fault, service: &str) {
        let kind = json!({ "kind": "fault-ended", "fault": fault.kind(), "target": service });
        self.note(now(), "nemesis", 0, kind);
    }

    /// The workers are told to stop, and those that wait give up.
    pub(super) fn stopping(&mut self) {
        self.stopping = now();
    }

    pub(super) fn leftover(&mut self, key: &str) {
        let kind = json!({ "kind": "leftover", "key": key });
        self.note(now(), "nemesis", 0, kind);
    }

    /// Takes in what one worker printed.
    pub(super) fn worker(&mut self, index: usize, lines: &str) {
        let process = format!("worker-{}", index + 1);
        let mut operation = 0;
        let (mut is_waiting, mut granted_at) = (false, 0);
        for line in lines.lines() {
            let (kind, numbers, times) = parts(line);
            match (kind, &numbers[..], &times[..]) {
                ("asked", [_], &[at]) => {
                    operation += 1;
                    is_waiting = true;
                    // Without an end of their own.
                    let kind = json!({ "kind": "invoke", "patience_ms": u32::MAX });
                    self.note(at, &process, operation, kind);
                }
                ("granted", [_, _], &[_, at]) => granted_at = at,
                ("term", &[fence, ..], &[_, sent, deadline]) => {
                    is_waiting = false;
                    let kind = json!({
                        "kind": "granted", "fence": fence, "asked": sent,
                        "deadline": deadline, "renewed": true,
                    });
                    self.note(granted_at, &process, operation, kind);
                }
                ("extended", [_, _], &[_, deadline]) => {
                    let kind = json!({ "kind": "extended", "deadline": deadline });
                    self.note(granted_at, &process, operation, kind);
                }
                ("over", [_, _], &[_, at]) => {
                    let kind = json!({ "kind": "release-invoked", "by_drop": true });
                    self.note(at, &process, operation, kind);
                }
                ("accepted", &[fence, _, _], &[_, _, at]) => {
                    let writer = Writer {
                        process: process.clone(),
                        operation,
                        at,
                    };
                    self.writers.insert(fence, writer);
                }
                ("trouble", [_], &[at]) if is_waiting => {
                    is_waiting = false;
                    self.note(
                        at,
                        &process,
                        operation,
                        json!({ "kind": "failed", "error": line }),
                    );
                }
                _ => {}
            }
        }
        if is_waiting {
            self.note(
                self.stopping,
                &process,
                operation,
                json!({ "kind": "cancelled" }),
            );
        }
    }

    /// The journal's steps in the journal's order, which is the truth about them. A step whose writer
    /// did not live to hear of it is its own.
    fn writes(&mut self, journal: &[Step]) {
        let mut at = 0;
        for (index, step) in journal.iter().enumerate() {
            let unknown = Writer {
                process: format!("unknown-{index}"),
                operation: 1,
                at,
            };
            let writer = self.writers.remove(&step.fence).unwrap_or(unknown);
            at = writer.at.max(at);
            let kind = json!({ "kind": "write-accepted", "fence": step.fence });
            self.note(at, &writer.process, writer.operation, kind);
        }
    }

    /// Writes the history into `directory` and has it checked.
    pub(super) fn check(
        mut self,
        journal: &[Step],
        directory: &Path,
    ) -> Result<Finding, Box<dyn Error + Send + Sync>> {
        self.writes(journal);
        fs::create_dir_all(directory)?;
        self.events.sort_by_key(|event| event["at"].as_u64());
        let lines: Vec<String> = self.events.iter().map(Value::to_string).collect();
        fs::write(directory.join("history.jsonl"), lines.join("\n") + "\n")?;
        let faults =
            cargo::build("--bin", "leasehold-faults").map_err(|error| error.to_string())?;
        let mut check = Command::new(faults);
        check.arg("check").arg(directory);
        let output = check.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.code() {
            Some(code @ (0 | 1)) => Ok(Finding {
                is_innocent: code == 0,
                text,
            }),
            _ => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000;

    /// What a worker prints that has the lease from one time to another, in milliseconds.
    fn shift(fence: u64, from: u64, until: u64) -> String {
        let [asked, from, until] = [from - 1, from, until].map(|time| time * MILLISECOND);
        let deadline = until + 2_000 * MILLISECOND;
        format!(
            "asked {asked}\ngranted {fence} {from}\nterm {fence} {asked} {deadline}\n\
             accepted {fence} {fence} {until}\nextended {fence} {deadline}\nover {fence} {until}\n"
        )
    }

    fn found(workers: &[String], journal: &[u64], leftover: bool) -> String {
        let mut log = Log::default();
        for (index, lines) in workers.iter().enumerate() {
            log.worker(index, lines);
        }
        if leftover {
            log.leftover(RESOURCE);
        }
        let steps: Vec<Step> = journal
            .iter()
            .map(|&fence| Step { step: fence, fence })
            .collect();
        let directory = tempfile::tempdir().expect("a directory");
        let finding = log.check(&steps, directory.path()).expect("a finding");
        let guilty = ["C1", "C2", "C3", "C4", "C5", "C6"];
        let guilty = guilty
            .into_iter()
            .filter(|rule| finding.text.contains(&format!("  {rule} ")));
        let guilty: Vec<&str> = guilty.collect();
        assert_eq!(finding.is_innocent, guilty.is_empty(), "{}", finding.text);
        guilty.join(" ")
    }

    #[test]
    fn the_checker_understands_what_it_is_given() {
        let first = shift(5, 100, 200);
        assert_eq!(
            found(&[first.clone(), shift(6, 210, 300)], &[5, 6], false),
            ""
        );
        // Two at a time, a lower fence, a write from before, and a lock that stays.
        assert_eq!(
            found(&[first.clone(), shift(6, 190, 300)], &[5, 6], false),
            "C1"
        );
        assert_eq!(
            found(&[first.clone(), shift(4, 210, 300)], &[5], false),
            "C2"
        );
        assert_eq!(
            found(&[first.clone(), shift(6, 210, 300)], &[6, 5], false),
            "C3"
        );
        assert_eq!(found(&[first], &[5], true), "C6");
    }
}
