//! The holder's side of a running command: keeps the guard informed, passes signals on, and sees to
//! it that the command goes when the lease does.

use std::ffi::OsString;
use std::io::{self, IoSlice, IsTerminal};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use leasehold::{Lease, LostReason};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, getpgid, getpid, set_child_subreaper};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant as Tick, sleep, sleep_until};

use super::deadline::{Deadlines, Instant, Margins};
use super::signals::{self, Signals};
use super::tree::{self, SWEEP};
use super::wire::{Ended, GuardReport, Order, Status};

/// How long after the deadline the holder lends the guard a hand,
const GUARD_IS_SLOW: Duration = Duration::from_millis(10);
/// and how long after it the guard is held for stuck.
const GUARD_GIVEN_UP: Duration = Duration::from_secs(2);
/// How long what was killed is waited for where no lease is left.
const DIES_WITHIN: Duration = Duration::from_secs(2);

/// How a supervised command ended, and why.
#[derive(Debug)]
pub(crate) enum Ending {
    /// By itself, or by a signal that was meant for it.
    ByItself(Status),
    /// It was ended because the lease was.
    Lost(LostReason),
    /// It was ended because it ran for longer than it may.
    MaxHold,
    /// It never began.
    NotStarted(String),
}

/// What to start, and for how long it may run.
pub(crate) struct Task<'a> {
    pub(crate) command: &'a [OsString],
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) margins: Margins,
    pub(crate) max_hold: Option<Duration>,
}

/// Runs a command for as long as `lease` is held; with `None`, without a lock.
pub(crate) async fn supervise(
    task: &Task<'_>,
    lease: Option<&Lease>,
    signals: &mut Signals,
) -> io::Result<Ending> {
    // If the guard dies, what the command started is within the reach of this process.
    set_child_subreaper(Some(getpid()))?;
    let deadlines = current(task.margins, lease);
    let group = if is_interactive() {
        getpgid(None)?.as_raw_nonzero().get()
    } else {
        0
    };
    let (guard, stream) = start(task, group, deadlines)?;
    stream.set_nonblocking(true)?;
    let (reports, orders) = UnixStream::from_std(stream)?.into_split();
    let mut holder = Holder {
        margins: task.margins,
        group,
        guard,
        orders,
        told: deadlines,
        stopped_for: None,
    };
    let limit = task.max_hold.map(|limit| Tick::now() + limit);
    holder
        .supervise(lease, limit, BufReader::new(reports).lines(), signals)
        .await
}

/// On a terminal the command stays in the foreground, with this process: what is typed reaches both.
fn is_interactive() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

/// Deadlines by the lease's own clock. The time is read first: a delay in between shortens them.
fn current(margins: Margins, lease: Option<&Lease>) -> Deadlines {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let now = Instant::now();
    margins.deadlines(now, lease.map_or(NEVER, Lease::remaining))
}

/// Starts the guard, in a process group of its own, and gives it the first order together with the
/// standard input of the command.
fn start(task: &Task<'_>, group: i32, deadlines: Deadlines) -> io::Result<(Child, StdStream)> {
    let (ours, theirs) = StdStream::pair()?;
    let guard = Command::new("/proc/self/exe")
        .arg("__guard")
        .arg(group.to_string())
        .arg(task.margins.grace.as_nanos().to_string())
        .args(task.command)
        .envs(task.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .process_group(0)
        .spawn()?;
    let input = io::stdin();
    let descriptors = [input.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let line = format!("{}\n", Order::Start(deadlines));
    sendmsg(
        &ours,
        &[IoSlice::new(line.as_bytes())],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok((guard, ours))
}

struct Holder {
    margins: Margins,
    /// The process group of the command, 0 for one of its own.
    group: i32,
    guard: Child,
    orders: OwnedWriteHalf,
    /// What the guard knows.
    told: Deadlines,
    /// Why the guard was told to stop the command.
    stopped_for: Option<Ending>,
}

impl Holder {
    async fn supervise(
        &mut self,
        lease: Option<&Lease>,
        limit: Option<Tick>,
        mut reports: Lines<BufReader<OwnedReadHalf>>,
        signals: &mut Signals,
    ) -> io::Result<Ending> {
        let look_every = lease.map_or(Duration::from_secs(3600), |lease| {
            (lease.ttl() / 40).clamp(Duration::from_millis(5), Duration::from_millis(500))
        });
        let mut look = tokio::time::interval(look_every);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let is_stopping = self.stopped_for.is_some();
            tokio::select! {
                biased;
                report = reports.next_line() => match report.ok().flatten() {
                    Some(line) => if let Some(ending) = self.heard(&line, lease) {
                        return Ok(ending);
                    },
                    None => return self.without_guard(lease).await,
                },
                number = signals.next() => {
                    if self.group == 0 || !signals::is_typed(number) {
                        self.order(Order::Signal(number)).await;
                    }
                }
                reason = lost(lease), if !is_stopping => {
                    let grace = self.margins.grace.min(Duration::from_secs(1));
                    self.stop(Ending::Lost(reason), grace).await;
                }
                () = expired(limit), if !is_stopping => {
                    self.stop(Ending::MaxHold, self.margins.grace).await;
                }
                _ = look.tick() => {
                    let overdue_for = Instant::now().since(self.told.kill_at);
                    if overdue_for > GUARD_GIVEN_UP {
                        return self.without_guard(lease).await;
                    }
                    // It is slow, or stopped itself.
                    if overdue_for > GUARD_IS_SLOW {
                        self.kill_command();
                    }
                    self.inform(lease).await;
                }
            }
        }
    }

    /// Tells the guard of a renewal.
    async fn inform(&mut self, lease: Option<&Lease>) {
        let is_held = lease.is_some_and(Lease::is_valid) && self.stopped_for.is_none();
        let deadlines = current(self.margins, lease);
        if is_held && deadlines.kill_at > self.told.kill_at {
            self.told = deadlines;
            self.order(Order::Extend(deadlines)).await;
        }
    }

    async fn stop(&mut self, why: Ending, grace: Duration) {
        self.stopped_for = Some(why);
        let kill_at = Instant::now().after(grace).min(self.told.kill_at);
        self.told.kill_at = kill_at;
        self.order(Order::Stop(kill_at)).await;
    }

    /// A guard that is gone is noticed when its reports end.
    async fn order(&mut self, order: Order) {
        let _ = self.orders.write_all(format!("{order}\n").as_bytes()).await;
    }

    /// Takes in a report, and returns the end if it tells of one.
    fn heard(&mut self, line: &str, lease: Option<&Lease>) -> Option<Ending> {
        match GuardReport::parse(line)? {
            GuardReport::Started(_) => None,
            GuardReport::NotStarted(why) => {
                self.collect_guard();
                Some(Ending::NotStarted(why))
            }
            GuardReport::TooLate => {
                self.collect_guard();
                Some(Ending::Lost(loss(lease)))
            }
            GuardReport::Ended(ended) => {
                self.collect_guard();
                Some(self.ending(ended, lease))
            }
        }
    }

    fn ending(&mut self, ended: Ended, lease: Option<&Lease>) -> Ending {
        if ended.was_overdue {
            return Ending::Lost(loss(lease));
        }
        match self.stopped_for.take() {
            Some(why) => why,
            None => Ending::ByItself(ended.status),
        }
    }

    /// Kills the command and everything that it started, but not the guard, which collects them.
    fn kill_command(&self) {
        let guard = i32::try_from(self.guard.id()).ok().and_then(Pid::from_raw);
        let mut processes = tree::descendants();
        processes.retain(|process| Some(*process) != guard);
        tree::signal(&processes, Signal::KILL);
    }

    /// The guard is gone, or does not move. The kernel kills the command of a guard that died; what
    /// that started is below this process now.
    async fn without_guard(&mut self, lease: Option<&Lease>) -> io::Result<Ending> {
        self.kill_command();
        let _ = self.guard.kill();
        self.collect_guard();
        kill_what_is_left(lease).await;
        match self.stopped_for.take() {
            Some(why) => Ok(why),
            None if Instant::now() >= self.told.terminate_at => Ok(Ending::Lost(loss(lease))),
            None => Err(io::Error::other(
                "the guard of the command died, and the command with it",
            )),
        }
    }

    fn collect_guard(&mut self) {
        let _ = self.guard.wait();
    }
}

/// Kills what the command has left, until nothing is left. What is killed takes a moment to die, with much memory
/// for one, and the lock must not be released before. What does not die is waited for as long as the lease is valid.
async fn kill_what_is_left(lease: Option<&Lease>) {
    let limit = Tick::now() + DIES_WITHIN;
    let may_wait = || Tick::now() < limit || lease.is_some_and(Lease::is_valid);
    loop {
        let left = tree::descendants();
        tree::signal(&left, Signal::KILL);
        if left.is_empty() || !may_wait() {
            return;
        }
        sleep(SWEEP).await;
    }
}

/// Why the lease was about to end, or has ended.
fn loss(lease: Option<&Lease>) -> LostReason {
    match lease.map(Lease::check) {
        Some(Err(leasehold::Error::Lost { reason, .. })) => reason,
        _ => LostReason::Expired { because: None },
    }
}

async fn lost(lease: Option<&Lease>) -> LostReason {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}

async fn expired(limit: Option<Tick>) {
    match limit {
        Some(limit) => sleep_until(limit).await,
        None => std::future::pending().await,
    }
}
