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
    under_way: AtomicUsize,
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

    /// Counts the commands that are under way at present.
    pub(crate) fn under_way(&self) -> UnderWay {
        UnderWay(self.bell.clone())
    }

    /// Whether a command is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.bell.under_way.load(Ordering::Relaxed) > 0
    }

    /// Waits for `reply` until `limit` has passed or the connection has ended.
    ///
    /// Cancel safe if the reply is.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        mut reply: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Overdue> {
        let until = Instant::now() + limit;
        let _entry = self.bell.enter();
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
    fn enter(&self) -> Entry<'_> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        // Either this sees that the task does not ring, or the task sees the command.
        if !self.is_ringing.load(Ordering::SeqCst) && !self.is_ringing.swap(true, Ordering::SeqCst)
        {
            self.wanted.notify_one();
        }
        Entry(self)
    }

    async fn ring(&self, interval: Duration) {
        loop {
            self.is_ringing.store(false, Ordering::SeqCst);
            if self.under_way.load(Ordering::SeqCst) == 0 {
                self.wanted.notified().await;
            }
            self.is_ringing.store(true, Ordering::SeqCst);
            sleep(interval).await;
            self.rung.notify_waiters();
        }
    }
}

/// Counts the commands that are under way.
pub(crate) struct UnderWay(Arc<Bell>);

impl UnderWay {
    pub(crate) fn count(&self) -> usize {
        self.0.under_way.load(Ordering::Relaxed)
    }
}

struct Entry<'a>(&'a Bell);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
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
            let overdue = deadlines.within(limit, pin!(pending::<()>())).await;
            assert!(matches!(overdue, Err(Overdue::TimedOut)));
            let took = begun.elapsed();
            assert!(took >= limit && took <= limit + usual / INTERVALS + Duration::from_millis(2));
        }))
        .await;
        // The bell rests meanwhile, and rings again for the next command.
        sleep(10 * usual).await;
        let overdue = deadlines.within(usual, pin!(pending::<()>())).await;
        assert!(matches!(overdue, Err(Overdue::TimedOut)));
    }

    #[tokio::test]
    async fn the_end_of_the_connection_ends_every_command() {
        let ending = Ending::default();
        let deadlines = Deadlines::start(Duration::from_secs(3600), ending.clone());
        let hour = Duration::from_secs(3600);
        let command = || async { deadlines.within(hour, pin!(pending::<()>())).await };
        let commands = (0..100).map(|_| command());
        let end = async {
            tokio::task::yield_now().await;
            ending.end(Cause::Disconnected);
        };
        let (overdue, ()) = tokio::join!(join_all(commands), end);
        assert!(overdue.iter().all(|one| matches!(one, Err(Overdue::Ended))));
        let late = deadlines
            .within(Duration::from_secs(3600), pin!(pending::<()>()))
            .await;
        assert!(matches!(late, Err(Overdue::Ended)));
    }
}
