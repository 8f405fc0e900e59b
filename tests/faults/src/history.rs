//! What happened: one line of JSON per event, written by every process that takes part.
//!
//! All times are nanoseconds of `CLOCK_MONOTONIC`, which is one clock for every process of a machine, whatever
//! network namespace it lives in. A line is written out before the process goes on, so a killed process loses at most
//! the line it was writing.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in nanoseconds of the monotonic clock.
    pub at: u64,
    /// Who: `client-3.1` is the third client in its first life, `register` and `nemesis` speak for themselves.
    pub process: String,
    /// Which of its operations; 0 for events that belong to none.
    pub operation: u64,
    /// Which resource; empty for events that concern none.
    pub resource: String,
    /// What.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A lease is asked for, and waited for as long as this; zero for one attempt.
    Invoke {
        /// The acquire timeout in milliseconds.
        patience_ms: u64,
    },
    /// The lease was granted.
    Granted {
        /// Its fencing token.
        fence: i64,
        /// When the attempt that was granted was sent, as far as the deadline tells.
        asked: u64,
        /// Until when its holder takes it to be valid.
        deadline: u64,
        /// Whether it will be renewed.
        renewed: bool,
        /// What tells this holding from every other, for a forced release; empty where there is none.
        #[serde(default)]
        holder: String,
    },
    /// Somebody takes the lease away from this holding by force: its right ends here, whether it has heard of it or not.
    ForceInvoked {
        /// Which.
        holder: String,
    },
    /// The forced release ended.
    Forced {
        /// How.
        outcome: String,
    },
    /// The holder saw that a renewal had moved its deadline.
    Extended {
        /// The new deadline.
        deadline: u64,
    },
    /// The holder asked whether its lease was valid; `at` is the time just before it asked.
    Checked {
        /// The answer.
        valid: bool,
    },
    /// The holder was told that its lease is lost.
    Lost {
        /// Why.
        reason: String,
    },
    /// The holder gives its lease back.
    ReleaseInvoked {
        /// By dropping the guard, without waiting for the outcome.
        by_drop: bool,
    },
    /// The release ended.
    Released {
        /// How.
        outcome: String,
    },
    /// The asker went away before it had an answer.
    Cancelled,
    /// It is unknown whether the lease was granted.
    Ambiguous {
        /// Why.
        error: String,
    },
    /// The lease was not granted.
    Failed {
        /// Why.
        error: String,
    },
    /// The register took a write.
    WriteAccepted {
        /// The writer's fencing token.
        fence: i64,
    },
    /// The register refused a write.
    WriteRefused {
        /// The writer's fencing token.
        fence: i64,
        /// The greatest fence that it has seen.
        seen: i64,
    },
    /// A fault began.
    Fault {
        /// Which kind.
        fault: String,
        /// What it struck.
        target: String,
    },
    /// A fault ended.
    FaultEnded {
        /// Which kind.
        fault: String,
        /// What it had struck.
        target: String,
    },
    /// A process is killed, or frozen, from now on; noted before it is done.
    Stopped {
        /// The process.
        victim: String,
        /// Whether it is dead and not merely frozen.
        killed: bool,
    },
    /// A frozen process goes on; noted after it was done.
    Resumed {
        /// The process.
        victim: String,
    },
    /// A process found that it had got no processor time since then: the machine is busy.
    Starved {
        /// When it last ran.
        since: u64,
    },
    /// All faults are over and the cluster is whole again.
    Calm,
    /// Faults begin again.
    Storm,
    /// A lock was found after every client had ended and every lease had run out.
    Leftover {
        /// Its key.
        key: String,
    },
}

/// The process that breaks things, in the history.
pub const NEMESIS: &str = "nemesis";
/// When even that one gets no processor time for so long, the machine stood still.
pub const STANDSTILL: Duration = Duration::from_millis(500);

/// The time that events carry.
#[must_use]
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(time).map_or(0, nanoseconds)
}

/// A span in the unit of the events.
#[must_use]
pub fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Where one process writes its events.
#[derive(Debug)]
pub struct Recorder {
    process: String,
    file: Mutex<File>,
}

impl Recorder {
    /// Opens the file for one process.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(path: &Path, process: &str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            process: process.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// Writes an event that happens now.
    pub fn record(&self, operation: u64, resource: &str, kind: Kind) {
        self.record_at(now(), operation, resource, kind);
    }

    /// Writes an event that happened then.
    pub fn record_at(&self, at: u64, operation: u64, resource: &str, kind: Kind) {
        self.write(&Event {
            at,
            process: self.process.clone(),
            operation,
            resource: resource.to_owned(),
            kind,
        });
    }

    /// Writes an event, of whatever process.
    ///
    /// # Panics
    ///
    /// When it cannot be written: a history with holes proves nothing.
    pub fn write(&self, event: &Event) {
        let mut line = serde_json::to_string(event).expect("an event is plain data");
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes())
            .expect("the history is written");
    }
}

/// Notes when this process gets no processor time, in a thread beside whatever it does, and adds up for how long (ns) the
/// machine stood still.
pub fn note_starvation(recorder: &Recorder, stood_still: &AtomicU64) {
    const PAUSE: Duration = Duration::from_millis(20);
    const NOTABLE: Duration = Duration::from_millis(80);
    let mut since = now();
    loop {
        thread::sleep(PAUSE);
        let awake = now();
        if awake - since > nanoseconds(NOTABLE) {
            recorder.record_at(awake, 0, "", Kind::Starved { since });
        }
        if awake - since > nanoseconds(STANDSTILL) {
            stood_still.fetch_add(awake - since, Ordering::Relaxed);
        }
        since = awake;
    }
}

/// Reads every history file in a directory, in the order of time.
///
/// # Errors
///
/// When a file cannot be read, or a line in it that is not its last cannot be understood.
pub fn read(directory: &Path) -> io::Result<Vec<Event>> {
    let mut events = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            parse(&std::fs::read_to_string(&path)?, &mut events)?;
        }
    }
    events.sort_by_key(|event| event.at);
    Ok(events)
}

fn parse(text: &str, events: &mut Vec<Event>) -> io::Result<()> {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        match serde_json::from_str(line) {
            Ok(event) => events.push(event),
            // The writer was killed in the middle of its last line.
            Err(_) if lines.peek().is_none() => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_way_through_a_file() {
        let event = Event {
            at: 7,
            process: "client-1.1".into(),
            operation: 3,
            resource: "orders".into(),
            kind: Kind::Granted {
                fence: 12,
                asked: 5,
                deadline: 90,
                renewed: true,
                holder: "1f".into(),
            },
        };
        let line = serde_json::to_string(&event).expect("plain data");
        assert!(line.contains(r#""kind":"granted""#), "{line}");
        let mut read = Vec::new();
        parse(&format!("{line}\n{}", &line[..20]), &mut read)
            .expect("a torn last line is no error");
        assert_eq!(read, [event]);
        assert!(parse(&format!("{}\n{line}", &line[..20]), &mut read).is_err());
    }
}
