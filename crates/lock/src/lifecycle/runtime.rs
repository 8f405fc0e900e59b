//! The runtime of a blocking locker, which may be used and dropped anywhere.

use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::task::coop;

use crate::error::Error;
use crate::lifecycle::cleanup::CleanupWorker;
use crate::lifecycle::core::Core;
use crate::lifecycle::stop::StopSignal;
use crate::sync::Mutex;

/// A tokio task may take this many steps before it has to yield, and a few more for certainty.
const MORE_THAN_A_BUDGET: usize = 256;

/// A runtime, and what has to be finished before it may end.
#[derive(Debug)]
pub(crate) struct OwnedRuntime {
    runtime: Option<Runtime>,
    cleanup: CleanupWorker,
    /// How long the last drop may be held up.
    limit: Duration,
    stop: StopSignal,
}

/// Starts a runtime with one thread.
pub(crate) fn start() -> Result<Runtime, Error> {
    refuse_in_async()?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("leasehold")
        .enable_all()
        .build()
        .map_err(|error| Error::Runtime(Arc::new(error)))
}

impl OwnedRuntime {
    pub(crate) fn new(runtime: Runtime, core: &Core) -> Self {
        Self {
            runtime: Some(runtime),
            cleanup: core.cleanup.clone(),
            limit: core.operation_timeout,
            stop: core.stop.clone(),
        }
    }

    /// Blocks until `work` is done.
    pub(crate) fn run<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        // The threads of the runtime stayed with the parent, where they would be waited for.
        if self.stop.is_forked() {
            return Err(Error::Forked);
        }
        refuse_in_async()?;
        match &self.runtime {
            Some(runtime) => runtime.block_on(work),
            None => Err(Error::RuntimeEnded),
        }
    }
}

impl OwnedRuntime {
    /// Has the runtime do `work` and waits for it; `None` if it cannot. Any thread may wait here.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let runtime = self.runtime.as_ref().filter(|_| !self.stop.is_forked())?;
        let (done, outcome) = mpsc::channel();
        runtime.spawn(async move {
            let _ = done.send(work.await);
        });
        outcome.recv().ok()
    }
}

impl Drop for OwnedRuntime {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if self.stop.is_forked() {
            // Ending it would wait for threads that this process does not have.
            std::mem::forget(runtime);
            return;
        }
        let (cleanup, limit) = (self.cleanup.clone(), self.limit);
        if Handle::try_current().is_err() {
            return finish(runtime, &cleanup, limit);
        }
        // A thread that runs async code may not block on another runtime, nor end it.
        let kept = Arc::new(Mutex::new(Some(runtime)));
        let taken = kept.clone();
        let thread = std::thread::Builder::new().spawn(move || {
            if let Some(runtime) = take(&taken) {
                finish(runtime, &cleanup, limit);
            }
        });
        match thread {
            Ok(thread) => drop(thread.join()),
            Err(_) => {
                if let Some(runtime) = take(&kept) {
                    runtime.shutdown_background();
                }
            }
        }
    }
}

fn take(kept: &Mutex<Option<Runtime>>) -> Option<Runtime> {
    kept.lock().take()
}

/// Waits until what was dropped is released, and ends the runtime.
fn finish(runtime: Runtime, cleanup: &CleanupWorker, limit: Duration) {
    let released = async { tokio::time::timeout(limit, cleanup.finished()).await };
    if runtime.block_on(released).is_err() {
        // The time is used up: its end does not try again.
        cleanup.give_up();
    }
    drop(runtime);
}

/// Refuses to block a thread that runs async code, where tokio would panic.
fn refuse_in_async() -> Result<(), Error> {
    if is_in_async_code() {
        return Err(Error::BlockingInAsync);
    }
    Ok(())
}

/// Whether this thread is polling a future of a tokio runtime. `spawn_blocking` has a runtime at
/// hand too and may block; what tells them apart is that async code has a budget of steps.
fn is_in_async_code() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(_restored_at_the_end) = coop::poll_proceed(&mut context) else {
        return true;
    };
    (0..MORE_THAN_A_BUDGET).any(|_| match coop::poll_proceed(&mut context) {
        Poll::Ready(step) => {
            step.made_progress();
            false
        }
        Poll::Pending => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn async_code_is_told_from_threads_that_may_block() {
        assert!(!is_in_async_code());
        let current = tokio::runtime::Builder::new_current_thread().build();
        let several = tokio::runtime::Builder::new_multi_thread().build();
        for runtime in [current.expect("a runtime"), several.expect("a runtime")] {
            runtime.block_on(async {
                assert!(is_in_async_code(), "in the first future");
                assert!(coop::has_budget_remaining());
                let spawned = tokio::spawn(async { is_in_async_code() });
                assert!(spawned.await.expect("the task"), "in a task");
                let blocking = tokio::task::spawn_blocking(is_in_async_code);
                assert!(!blocking.await.expect("the task"), "in a blocking task");
            });
            let _entered = runtime.enter();
            assert!(!is_in_async_code(), "with a runtime at hand");
        }
    }
}
