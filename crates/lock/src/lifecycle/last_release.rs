//! Releases when the runtime has ended: on a thread and over a connection of their own.
//!
//! A lease that is dropped at the end of `main` is released by a task, and the runtime drops that
//! task, with the connection, before it has sent anything. The drop of the runtime then waits
//! here, for a bounded time.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use leasehold_config::{LockOptions, Topology};

use crate::backend::Backend;
use crate::backend::connect;
use crate::backend::ops::Request;
use crate::error::Error;
use crate::unavailable::{Cause, Unavailable};

/// Between two attempts to connect or to release.
const PAUSE: Duration = Duration::from_millis(50);

/// What it takes to connect once more.
#[derive(Debug)]
pub(crate) struct LastRelease {
    pub(crate) topology: Topology,
    pub(crate) lock: LockOptions,
    pub(crate) client_name: Option<String>,
}

impl LastRelease {
    /// Releases, and blocks until that is done or `deadline` has passed.
    pub(crate) fn run(self: &Arc<Self>, requests: Vec<Request>, deadline: Instant) {
        let count = requests.len();
        let this = self.clone();
        let (done, outcome) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("leasehold-release".to_owned())
            .spawn(move || {
                let released = this.release_by(requests, deadline);
                let _ = done.send(released);
            });
        if let Err(error) = thread {
            tracing::warn!(%error, count, "no thread to release locks: left to their expiry");
            return;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match outcome.recv_timeout(left) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    ?error,
                    count,
                    "locks not released at the runtime's end: left to their expiry"
                );
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                tracing::warn!(
                    count,
                    "locks not released at the runtime's end: left to their expiry"
                );
            }
        }
    }

    fn release_by(&self, requests: Vec<Request>, deadline: Instant) -> Result<(), Error> {
        let started = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Runtime(Arc::new(error)))?;
        let released = runtime.block_on(async {
            tokio::time::timeout_at(deadline.into(), self.release_all(requests)).await
        });
        // A name that is still being resolved must not hold up the end.
        runtime.shutdown_background();
        released.unwrap_or_else(|_| Err(unanswered(deadline.saturating_duration_since(started))))
    }

    async fn release_all(&self, mut requests: Vec<Request>) -> Result<(), Error> {
        let backend = self.connect().await?;
        while !requests.is_empty() {
            requests = release_each(&backend, requests).await;
            if !requests.is_empty() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Backend, Error> {
        loop {
            let (topology, client_name) = (self.topology.clone(), self.client_name.clone());
            let waiting = Arc::default();
            match connect::connect(topology, &self.lock, client_name, &waiting).await {
                Ok((backend, _)) => return Ok(backend),
                Err(error) if error.is_retryable() => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }
}

fn unanswered(after: Duration) -> Error {
    Unavailable::new(Cause::Timeout { after }).into()
}

/// Tries each once, all at the same time, and returns those that failed.
async fn release_each(backend: &Backend, requests: Vec<Request>) -> Vec<Request> {
    let attempts =
        requests
            .into_iter()
            .map(async |request| match backend.take_back(&request).await {
                Ok(()) => None,
                Err(_) => Some(request),
            });
    let attempts: FuturesUnordered<_> = attempts.collect();
    attempts.filter_map(async |failed| failed).collect().await
}
