//! The guard: a process of its own between the holder of the lease and the command.
//!
//! It starts the command, so it knows it from the first moment. It is told the deadlines and keeps
//! them by itself, without Redis and without the holder: a holder that is stopped, frozen by a
//! debugger or killed keeps no command alive. The kernel kills the command if the guard dies. So the
//! command outlives its lease only if holder and guard are both stopped at once.
//!
//! It never prints: a process in the background of a terminal may be stopped for that.

use std::ffi::OsString;
use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitStatus, getpid, kill_process, kill_process_group, pidfd_open,
    set_child_subreaper,
};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::deadline::{Deadlines, Instant};
use super::signals::Signals;
use super::tree::{self, SWEEP};
use super::wire::{Ended, GuardReport, Order, Status};
use crate::exit;

/// `leasehold __guard GROUP GRACE COMMAND…`: `GROUP` is the process group for the command, 0 for
/// one of its own; `GRACE` the nanoseconds to clean up if the holder dies.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> u8 {
    let mut number = || -> Option<u64> { arguments.next()?.to_str()?.parse().ok() };
    let (Some(group), Some(grace)) = (number(), number()) else {
        return exit::USAGE;
    };
    let command: Vec<OsString> = arguments.collect();
    let Ok(group) = i32::try_from(group) else {
        return exit::USAGE;
    };
    match guard(group, Duration::from_nanos(grace), &command) {
        Ok(()) => exit::OK,
        Err(_) => exit::INTERNAL,
    }
}

fn guard(group: i32, grace: Duration, command: &[OsString]) -> io::Result<()> {
    // Who loses its parent becomes a child of the guard, and stays within its reach.
    set_child_subreaper(Some(getpid()))?;
    let holder = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (deadlines, input) = receive_start(&holder)?;
    // A signal to a whole group of processes must not take the guard away from the command: what
    // is caught, though never looked at, does not end the guard.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let _caught = runtime.block_on(async { Signals::catch() })?;
    if Instant::now() >= deadlines.terminate_at {
        return say(&holder, &GuardReport::TooLate);
    }
    // On this very thread: the kernel takes the parent of a process to be a thread.
    let child = match start(group, command, input) {
        Ok(child) => child,
        Err(error) => return say(&holder, &GuardReport::NotStarted(error.to_string())),
    };
    // A holder that has died in the meantime is noticed when its orders end.
    let _ = say(&holder, &GuardReport::Started(child.as_raw_nonzero().get()));
    let mut guard = Guard {
        child,
        has_own_group: group == 0,
        grace,
        deadlines,
        phase: Phase::Running,
        was_overdue: false,
        status: None,
        known: Vec::new(),
        ended: pidfd_open(child, PidfdFlags::empty())?,
        timer: timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?,
    };
    let ended = guard.watch(&holder)?;
    say(&holder, &GuardReport::Ended(ended))
}

fn say(mut holder: &UnixStream, report: &GuardReport) -> io::Result<()> {
    holder.write_all(format!("{report}\n").as_bytes())
}

/// The first order, which brings the command's standard input along.
fn receive_start(holder: &UnixStream) -> io::Result<(Deadlines, OwnedFd)> {
    let mut line = [0; 128];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        holder,
        &mut [IoSliceMut::new(&mut line)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let input = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let order = Order::parse(&String::from_utf8_lossy(&line[..received.bytes]));
    match (order, input) {
        (Some(Order::Start(deadlines)), Some(input)) => Ok((deadlines, input)),
        _ => Err(io::Error::other("the first order is not to start")),
    }
}

fn start(group: i32, command: &[OsString], input: OwnedFd) -> io::Result<Pid> {
    let mut wrapper = Command::new("/proc/self/exe");
    wrapper
        .arg("__exec")
        .arg(getpid().as_raw_nonzero().to_string())
        .args(command)
        .stdin(Stdio::from(input))
        .process_group(group);
    let child = wrapper.spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("a process without an id"))
}

/// What is done about the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It runs, until the deadline at least.
    Running,
    /// It was asked to end, and so was everything that it started.
    Ending,
    /// Its time is over: it is killed until nothing is left.
    Killing,
}

struct Guard {
    child: Pid,
    has_own_group: bool,
    grace: Duration,
    deadlines: Deadlines,
    phase: Phase,
    was_overdue: bool,
    status: Option<Status>,
    /// What the command had started when it was last looked at: killed without looking again first.
    known: Vec<Pid>,
    /// Readable once the command has ended.
    ended: OwnedFd,
    /// Readable at the next time to act.
    timer: OwnedFd,
}

impl Guard {
    /// Returns once the command is gone; if it was made to end, everything that it started too.
    fn watch(&mut self, holder: &UnixStream) -> io::Result<Ended> {
        let mut orders = Orders::default();
        loop {
            self.act();
            if let Some(ended) = self.ended() {
                return Ok(ended);
            }
            self.set_timer()?;
            let (has_orders, has_ended) = self.wait(holder, orders.has_ended)?;
            if has_ended {
                self.status = tree::collect(self.child).map(status);
            }
            if has_orders {
                for line in orders.read(holder) {
                    self.obey(Order::parse(&line));
                }
                if orders.has_ended {
                    self.stop(Instant::now().after(self.grace));
                }
            }
        }
    }

    /// Waits for the timer, for orders, or for the command to end; tells whether the latter two came.
    fn wait(&self, holder: &UnixStream, orders_ended: bool) -> io::Result<(bool, bool)> {
        let mut events = vec![PollFd::new(&self.timer, PollFlags::IN)];
        if self.status.is_none() {
            events.push(PollFd::new(&self.ended, PollFlags::IN));
        }
        if !orders_ended {
            events.push(PollFd::new(holder, PollFlags::IN));
        }
        match poll(&mut events, None) {
            // A caught signal: look again.
            Err(Errno::INTR) => return Ok((false, false)),
            polled => polled?,
        };
        let came = |event: &PollFd<'_>| !event.revents().is_empty();
        let has_ended = self.status.is_none() && came(&events[1]);
        let has_orders = !orders_ended && events.last().is_some_and(came);
        Ok((has_orders, has_ended))
    }

    /// Does what the time demands.
    fn act(&mut self) {
        let now = Instant::now();
        if self.phase == Phase::Running && now >= self.deadlines.terminate_at {
            self.was_overdue = true;
            self.stop(self.deadlines.kill_at);
        }
        if self.phase != Phase::Running && now >= self.deadlines.kill_at {
            self.phase = Phase::Killing;
            self.signal_everything(Signal::KILL);
        }
    }

    /// How the command ended, once it has and nothing is left to wait for.
    fn ended(&mut self) -> Option<Ended> {
        if self.phase != Phase::Running {
            if let Some(collected) = tree::collect(self.child) {
                self.status = Some(status(collected));
            }
            self.known = tree::descendants();
            if !self.known.is_empty() {
                return None;
            }
        }
        self.status.map(|status| Ended {
            status,
            was_overdue: self.was_overdue,
        })
    }

    fn obey(&mut self, order: Option<Order>) {
        match order {
            // Once it was asked to end, the command gets no more time: it must not live on by
            // ignoring the request while the lease is renewed.
            Some(Order::Extend(deadlines)) if self.phase == Phase::Running => {
                self.deadlines = deadlines;
            }
            Some(Order::Stop(kill_at)) => self.stop(kill_at),
            Some(Order::Signal(number)) => {
                if let Some(signal) = Signal::from_named_raw(number) {
                    self.pass_on(signal);
                }
            }
            Some(Order::Start(_) | Order::Extend(_)) | None => {}
        }
    }

    /// Asks the command to end, and kills it at `kill_at` or at the deadline, whichever is sooner.
    fn stop(&mut self, kill_at: Instant) {
        self.deadlines.kill_at = self.deadlines.kill_at.min(kill_at);
        if self.phase == Phase::Running {
            self.phase = Phase::Ending;
            self.signal_everything(Signal::TERM);
            // What is stopped can only clean up once it goes on.
            self.signal_everything(Signal::CONT);
        }
    }

    fn pass_on(&self, signal: Signal) {
        if self.status.is_some() {
            return;
        }
        let _ = if self.has_own_group {
            kill_process_group(self.child, signal)
        } else {
            kill_process(self.child, signal)
        };
    }

    fn signal_everything(&mut self, signal: Signal) {
        if signal != Signal::KILL && self.has_own_group {
            return self.pass_on(signal);
        }
        // Looked at before anything dies: a process that loses its parent gets another a moment later.
        tree::signal(&self.known, signal);
        self.known = tree::descendants();
        tree::signal(&self.known, signal);
        self.pass_on(signal);
    }

    fn set_timer(&self) -> io::Result<()> {
        let next = match self.phase {
            Phase::Running => self.deadlines.terminate_at,
            // What the command left behind is nobody's child that could be waited for.
            Phase::Ending => self.deadlines.kill_at.min(Instant::now().after(4 * SWEEP)),
            Phase::Killing => Instant::now().after(SWEEP),
        };
        let since_boot = next.since_boot();
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = Timespec {
            tv_sec: i64::try_from(since_boot.as_secs()).unwrap_or(i64::MAX),
            // Zero would switch the timer off.
            tv_nsec: since_boot.subsec_nanos().max(1).into(),
        };
        let new = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &new)?;
        Ok(())
    }
}

/// The lines that the holder sends, until it is gone.
#[derive(Default)]
struct Orders {
    unfinished: Vec<u8>,
    has_ended: bool,
}

impl Orders {
    fn read(&mut self, mut holder: &UnixStream) -> Vec<String> {
        let mut bytes = [0; 512];
        match holder.read(&mut bytes) {
            Ok(0) => self.has_ended = true,
            Ok(count) => self.unfinished.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => self.has_ended = true,
        }
        let end = self.unfinished.iter().rposition(|&byte| byte == b'\n');
        let whole: Vec<u8> = self
            .unfinished
            .drain(..end.map_or(0, |end| end + 1))
            .collect();
        let text = String::from_utf8_lossy(&whole);
        text.lines().map(str::to_owned).collect()
    }
}

fn status(status: WaitStatus) -> Status {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Status::Exited(u8::try_from(code).unwrap_or(exit::INTERNAL)),
        (None, Some(signal)) => Status::Killed(signal),
        (None, None) => Status::Exited(exit::INTERNAL),
    }
}
