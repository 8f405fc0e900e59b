//! How a lease is asked for on the command line, by `run` and by `acquire`.

use std::time::Duration;

use leasehold::config::{Builder, parse_duration};
use leasehold::{AcquireOptions, Config, Error, Lease, Locker};
use tokio::time::{Instant, sleep};

use crate::exit::{self, Failure};
use crate::output::{Output, plain};
use crate::waiting;

/// Between attempts to connect.
const RECONNECT: Duration = Duration::from_millis(500);
/// How long giving up a place in the queue may take.
const LEAVING: Duration = Duration::from_millis(500);

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Terms {
    /// The length of the lease (LOCK_TTL)
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    ttl: Option<Duration>,
    /// Let this many hold the resource at a time
    #[arg(long, value_name = "COUNT")]
    slots: Option<usize>,
    /// Wait this long for the resource; without it, as LOCK_ACQUIRE_TIMEOUT says
    #[arg(long, short, value_name = "DURATION", value_parser = parse_duration)]
    wait: Option<Duration>,
    /// End at once with code 75 if the resource is held
    #[arg(long, short, conflicts_with = "wait")]
    no_wait: bool,
    /// Another code than 75 if another client holds the resource
    #[arg(long, short = 'E', value_name = "CODE", default_value_t = exit::BUSY)]
    busy_code: u8,
}

impl Terms {
    pub(crate) fn adjust(&self, builder: Builder) -> Builder {
        match self.ttl {
            Some(ttl) => builder.ttl(ttl),
            None => builder,
        }
    }

    /// When the wait that was asked for ends.
    pub(crate) fn until(&self) -> Option<Instant> {
        Some(Instant::now() + self.wait?)
    }

    /// Connects, and tries again `until` then: a master may have died a moment ago.
    pub(crate) async fn connect(
        &self,
        config: Config,
        until: Option<Instant>,
        output: Output,
    ) -> Result<Locker, Failure> {
        let mut is_told = false;
        loop {
            let error = match Locker::connect(config.clone()).await {
                Ok(locker) => return Ok(locker),
                Err(error) => error,
            };
            let may_wait = until.is_some_and(|until| Instant::now() + RECONNECT < until);
            if !may_wait || !error.is_retryable() {
                return Err(error.into());
            }
            if !std::mem::replace(&mut is_told, true) && !output.quiet {
                output.note(&format!(
                    "waiting for Redis: {}",
                    plain(&format!("{error:?}"))
                ));
            }
            sleep(RECONNECT).await;
        }
    }

    /// Takes the lease, and tells who holds the resource while it waits.
    pub(crate) async fn acquire(
        &self,
        locker: &Locker,
        resource: &str,
        until: Option<Instant>,
        output: Output,
    ) -> Result<Lease, Failure> {
        let acquired = tokio::select! {
            acquired = self.ask(locker, resource, until) => acquired,
            never = waiting::tell(locker, resource, self.slots, output) => match never {},
        };
        if acquired.is_err() {
            // The next waiter must not have to find out that nobody waits here any more.
            let _ = locker.clone().close(LEAVING).await;
        }
        acquired.map_err(|error| self.failure(error))
    }

    async fn ask(
        &self,
        locker: &Locker,
        resource: &str,
        until: Option<Instant>,
    ) -> Result<Lease, Error> {
        let options = match until {
            Some(until) => AcquireOptions::new().timeout(until - Instant::now()),
            None => AcquireOptions::new(),
        };
        match (self.slots, self.no_wait) {
            (None, true) => locker.try_acquire(resource).await,
            (None, false) => locker.acquire(resource).options(&options).await,
            (Some(limit), true) => locker.slots(resource, limit)?.try_acquire().await,
            (Some(limit), false) => {
                locker
                    .slots(resource, limit)?
                    .acquire()
                    .options(&options)
                    .await
            }
        }
    }

    /// Only a resource that another client was seen to hold ends with `--busy-code`: a script
    /// that sets it to 0 must not skip the work because Redis did not answer.
    fn failure(&self, mut error: Error) -> Failure {
        if let (Error::TimedOut { timeout, .. }, Some(asked)) = (&mut error, self.wait) {
            // What is left of the wait after connecting is not what was asked for.
            *timeout = asked;
        }
        let is_held = exit::is_held(&error);
        let mut failure = Failure::from(error);
        if is_held {
            failure.code = self.busy_code;
        }
        failure
    }
}
