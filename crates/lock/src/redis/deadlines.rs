//! The deadlines of all commands that are under way on one connection.
//!
//! A timer for each would cost as much as the rest of the command. So one task rings a bell in short
//! intervals while there are any, and when the connection ends, and each command then looks at the
//! clock. It may so wait longer than its limit by one interval.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::connection::Ending;

/// Intervals within the usual limit of a command.
const INTERVALS: u32 = 16;

/// Why a command got no reply.
pub(crate) enum Overdue {
    TimedOut,
    Ended,
}

/// Watches over the commands of one connection; ends with it.
pub(crate) struct Deadlines {
    bell: Arc<Bell>,
    ending: Ending,
}

#[derive(Default)]
struct Bell {
    rung: Notify,
    commands: AtomicUsize,
    requests: AtomicUsize,
    /// Whether the task rings; if not it waits for `wanted`.
    is_ringing: AtomicBool,
    wanted: Notify,
}

impl Deadlines {
    /// For commands that usually have `limit` to be answered.
    pub(crate) fn start(limit: Duration, ending: Ending) -> Self {
        let bell = Arc::<Bell>::default();
        let interval = (limit / INTERVALS).max(Duration::from_millis(5));
        let (ringing, ended) = (bell.clone(), ending.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = ended.ended() => {}
                () = ringing.ring(interval) => {}
            }
            ringing.rung.notify_waiters();
        });
        Self { bell, ending }
    }

    /// Counts what is under way at present.
    pub(crate) fn under_way(&self) -> UnderWay {
        UnderWay(self.bell.clone())
    }

    /// Waits for the reply to a command, which stands for so many requests, until `limit` has passed or
    /// the connection has ended.
    ///
    /// Cancel safe if the reply is.
    pub(crate) async fn within<T>(
        &self,
        requests: usize,
        limit: Duration,
        mut reply: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Overdue> {
        let until = Instant::now() + limit;
        let _entry = self.bell.enter(requests);
        loop {
            // It hears every ringing from here on, so none is missed between the look and the wait.
            let rung = self.bell.rung.notified();
            if self.ending.has_ended() {
                return Err(Overdue::Ended);
            }
            if Instant::now() >= until {
                return Err(Overdue::TimedOut);
            }
            tokio::select! {
                biased;
                reply = reply.as_mut() => return Ok(reply),
                () = rung => {}
            }
        }
    }
}

impl Bell {
    fn enter(&self, requests: usize) -> Entry<'_> {
        self.requests.fetch_add(requests, Ordering::Relaxed);
        self.commands.fetch_add(1, Ordering::SeqCst);
        // Either this sees that the task does not ring, or the task sees the command.
        if !self.is_ringing.load(Ordering::SeqCst) && !self.is_ringing.swap(true, Ordering::SeqCst)
        {
            self.wanted.notify_one();
        }
        Entry {
            bell: self,
            requests,
        }
    }

    async fn ring(&self, interval: Duration) {
        loop {
            self.is_ringing.store(false, Ordering::SeqCst);
            if self.commands.load(Ordering::SeqCst) == 0 {
                self.wanted.notified().await;
            }
            self.is_ringing.store(true, Ordering::SeqCst);
            sleep(interval).await;
            self.rung.notify_waiters();
        }
    }
}

/// Counts what is under way.
pub(crate) struct UnderWay(Arc<Bell>);

impl UnderWay {
    pub(crate) fn commands(&self) -> usize {
        self.0.commands.load(Ordering::Relaxed)
    }

    /// A command may stand for several.
    pub(crate) fn requests(&self) -> usize {
        self.0.requests.load(Ordering::Relaxed)
    }
}

struct Entry<'a> {
    bell: &'a Bell,
    requests: usize,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.bell.commands.fetch_sub(1, Ordering::SeqCst);
        (self.bell.requests).fetch_sub(self.requests, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use futures_util::future::join_all;

    use super::*;
    use crate::unavailable::Cause;

    #[tokio::test(start_paused = true)]
    async fn each_command_ends_within_an_interval_of_its_limit() {
        let usual = Duration::from_millis(1_600);
        let deadlines = Deadlines::start(usual, Ending::default());
        let begun = Instant::now();
        let limits = [1, 150, 1_600, 3_000].map(Duration::from_millis);
        let deadlines = &deadlines;
        join_all(limits.map(|limit| async move {
            let overdue = deadlines.within(1, limit, pin!(pending::<()>())).await;
            assert!(matches!(overdue, Err(Overdue::TimedOut)));
            let took = begun.elapsed();
            assert!(took >= limit && took <= limit + usual / INTERVALS + Duration::from_millis(2));
        }))
        .await;
        // The bell rests meanwhile, and rings again for the next command.
        sleep(10 * usual).await;
        let overdue = deadlines.within(1, usual, pin!(pending::<()>())).await;
        assert!(matches!(overdue, Err(Overdue::TimedOut)));
    }

    #[tokio::test]
    async fn what_is_under_way_counts_until_it_is_answered_or_dropped() {
        let deadlines = Deadlines::start(Duration::from_secs(3600), Ending::default());
        let under_way = deadlines.under_way();
        let counted = || (under_way.commands(), under_way.requests());
        let limit = Duration::from_secs(3600);
        {
            let unanswered = pin!(pending::<()>());
            let mut dropped = Box::pin(deadlines.within(5, limit, unanswered));
            assert!(futures_util::poll!(&mut dropped).is_pending());
            let answered = async { assert_eq!(counted(), (2, 6)) };
            let outcome = deadlines.within(1, limit, pin!(answered)).await;
            assert!(outcome.is_ok());
            assert_eq!(counted(), (1, 5));
        }
        assert_eq!(counted(), (0, 0));
    }

    #[tokio::test]
    async fn the_end_of_the_connection_ends_every_command() {
        let ending = Ending::default();
        let deadlines = Deadlines::start(Duration::from_secs(3600), ending.clone());
        let hour = Duration::from_secs(3600);
        let command = || async { deadlines.within(1, hour, pin!(pending::<()>())).await };
        let commands = (0..100).map(|_| command());
        let end = async {
            tokio::task::yield_now().await;
            ending.end(Cause::Disconnected);
        };
        let (overdue, ()) = tokio::join!(join_all(commands), end);
        assert!(overdue.iter().all(|one| matches!(one, Err(Overdue::Ended))));
        let late = deadlines.within(1, hour, pin!(pending::<()>())).await;
        assert!(matches!(late, Err(Overdue::Ended)));
    }
}
