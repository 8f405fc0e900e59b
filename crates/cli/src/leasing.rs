//! How a lease is asked for on the command line, by `run` and by `acquire`.

use std::time::Duration;

use leasehold::config::Builder;
use leasehold::{AcquireOptions, Error, Lease, Locker};

use crate::duration;
use crate::exit::{self, Failure};
use crate::output::Output;
use crate::waiting;

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Terms {
    /// The length of the lease (LOCK_TTL)
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    ttl: Option<Duration>,
    /// Let this many hold the resource at a time
    #[arg(long, value_name = "COUNT")]
    slots: Option<usize>,
    /// Wait this long for the resource; without it, as LOCK_ACQUIRE_TIMEOUT says
    #[arg(long, short, value_name = "DURATION", value_parser = duration::parse)]
    wait: Option<Duration>,
    /// End at once with code 75 if the resource is held
    #[arg(long, short, conflicts_with = "wait")]
    no_wait: bool,
    /// Another code than 75 for a resource that is held
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

    /// Takes the lease, and tells who holds the resource while it waits.
    pub(crate) async fn acquire(
        &self,
        locker: &Locker,
        resource: &str,
        output: Output,
    ) -> Result<Lease, Failure> {
        let acquired = tokio::select! {
            acquired = self.ask(locker, resource) => acquired,
            never = waiting::tell(locker, resource, output) => match never {},
        };
        acquired.map_err(|error| self.failure(error))
    }

    async fn ask(&self, locker: &Locker, resource: &str) -> Result<Lease, Error> {
        let options = match self.wait {
            Some(limit) => AcquireOptions::new().timeout(limit),
            None => AcquireOptions::new(),
        };
        match (self.slots, self.no_wait) {
            (None, true) => locker.try_acquire(resource).await,
            (None, false) => locker.acquire_with(resource, &options).await,
            (Some(limit), true) => locker.slots(resource, limit)?.try_acquire().await,
            (Some(limit), false) => locker.slots(resource, limit)?.acquire_with(&options).await,
        }
    }

    fn failure(&self, error: Error) -> Failure {
        let mut failure = Failure::from(error);
        if failure.code == exit::BUSY {
            failure.code = self.busy_code;
        }
        failure
    }
}
