//! Gathers what many tasks send over one connection into few writes, each of which costs client and server
//! a system call.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

/// With this many requests in flight, a turn through the ready tasks costs less than it saves.
const MANY: usize = 5;

/// How many requests are in flight on a connection.
#[derive(Clone, Default)]
pub(crate) struct InFlight(Arc<AtomicUsize>);

/// One request in flight, until it is dropped.
pub(crate) struct RequestInFlight<'a>(&'a AtomicUsize);

impl InFlight {
    pub(crate) fn begin(&self) -> RequestInFlight<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        RequestInFlight(&self.0)
    }

    /// Drives a connection. Where many requests are in flight, the tasks that are ready come first: what
    /// they send goes out in one write.
    pub(crate) async fn drive(self, driver: impl Future<Output = ()>) {
        let mut driver = pin!(driver);
        let mut has_yielded = false;
        poll_fn(|context| {
            if !has_yielded && self.0.load(Ordering::Relaxed) >= MANY {
                has_yielded = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            has_yielded = false;
            driver.as_mut().poll(context)
        })
        .await;
    }
}

impl Drop for RequestInFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
