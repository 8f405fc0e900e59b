//! What the holder of the lease and its guard say to each other: one short line each.

use std::fmt;

use super::deadline::{Deadlines, Instant};

/// From the holder to the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Start the command. Comes once, first, and with the command's standard input.
    Start(Deadlines),
    /// The lease was renewed.
    Extend(Deadlines),
    /// Pass a signal on.
    Signal(i32),
    /// Ask the command to end now, and kill it at this time at the latest.
    Stop(Instant),
}

/// From the guard to the holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GuardReport {
    /// The command runs as this process.
    Started(i32),
    /// It could not be started.
    NotStarted(String),
    /// It was not started, because the lease was running out.
    TooLate,
    /// It is gone.
    Ended(Ended),
}

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    /// Whether the guard ended it because the lease was running out.
    pub(crate) was_overdue: bool,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Exited(u8),
    Killed(i32),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut timed = |verb, deadlines: &Deadlines| {
            let terminate_at = deadlines.terminate_at.as_nanoseconds();
            write!(
                f,
                "{verb} {terminate_at} {}",
                deadlines.kill_at.as_nanoseconds()
            )
        };
        match self {
            Self::Start(deadlines) => timed("start", deadlines),
            Self::Extend(deadlines) => timed("extend", deadlines),
            Self::Signal(number) => write!(f, "signal {number}"),
            Self::Stop(kill_at) => write!(f, "stop {}", kill_at.as_nanoseconds()),
        }
    }
}

impl Order {
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let verb = words.next()?;
        let mut instant = || words.next()?.parse().ok().map(Instant::from_nanoseconds);
        let mut deadlines = || {
            Some(Deadlines {
                terminate_at: instant()?,
                kill_at: instant()?,
            })
        };
        match verb {
            "start" => deadlines().map(Self::Start),
            "extend" => deadlines().map(Self::Extend),
            "stop" => instant().map(Self::Stop),
            "signal" => words.next()?.parse().ok().map(Self::Signal),
            _ => None,
        }
    }
}

impl fmt::Display for GuardReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(pid) => write!(f, "started {pid}"),
            Self::TooLate => write!(f, "too late"),
            Self::NotStarted(why) => write!(f, "not-started {}", why.escape_debug()),
            Self::Ended(ended) => {
                let when = if ended.was_overdue {
                    "overdue"
                } else {
                    "in-time"
                };
                match ended.status {
                    Status::Exited(code) => write!(f, "ended {when} exited {code}"),
                    Status::Killed(signal) => write!(f, "ended {when} killed {signal}"),
                }
            }
        }
    }
}

impl GuardReport {
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (verb, rest) = line.split_once(' ')?;
        match verb {
            "started" => rest.parse().ok().map(Self::Started),
            "too" => Some(Self::TooLate),
            "not-started" => Some(Self::NotStarted(rest.to_owned())),
            "ended" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let &[when, how, number] = words.as_slice() else {
                    return None;
                };
                let status = match how {
                    "exited" => Status::Exited(number.parse().ok()?),
                    "killed" => Status::Killed(number.parse().ok()?),
                    _ => return None,
                };
                Some(Self::Ended(Ended {
                    status,
                    was_overdue: when == "overdue",
                }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let deadlines = Deadlines {
            terminate_at: Instant::from_nanoseconds(7),
            kill_at: Instant::from_nanoseconds(9),
        };
        for order in [
            Order::Start(deadlines),
            Order::Extend(deadlines),
            Order::Signal(15),
            Order::Stop(deadlines.kill_at),
        ] {
            assert_eq!(Order::parse(&order.to_string()), Some(order));
        }
        let ended = |status, was_overdue| {
            GuardReport::Ended(Ended {
                status,
                was_overdue,
            })
        };
        for report in [
            GuardReport::Started(4711),
            GuardReport::TooLate,
            GuardReport::NotStarted("no such file".into()),
            ended(Status::Exited(3), false),
            ended(Status::Killed(9), true),
        ] {
            assert_eq!(GuardReport::parse(&report.to_string()), Some(report));
        }
    }
}
