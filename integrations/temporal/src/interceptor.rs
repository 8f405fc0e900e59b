//! Leases around activities, for the whole worker.

use futures::FutureExt;
use temporalio_sdk::activities::ActivityError;
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
};

use crate::execution::Execution;
use crate::leasing::{Lock, Terms};
use crate::locks::ActivityLocks;
use crate::name::{NameError, Template};
use crate::needs_lock::NeedsLock;
use crate::{error, hold};

/// The header that says what an activity needs, as the JSON of a [`NeedsLock`]; for
/// [`needs_lock_by_header`](ActivityLocks::needs_lock_by_header).
pub const NEEDS_LOCK_HEADER: &str = "leasehold-needs-lock";

impl ActivityInboundInterceptor for ActivityLocks {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        async move {
            let execution = Execution::of(input.activity_info());
            let end = execution.end();
            let needed = match self.lock_outside(&input, &execution)? {
                None if self.by_header => self.lock_by_header(&input, &execution)?,
                needed => needed,
            };
            let Some((lock, terms)) = needed else {
                return next.run(input).await;
            };
            let lease = {
                let _turn = lock.enter_line();
                lock.acquire(&terms).await
            };
            let lease = lease.map_err(|error| error::not_leased(lock.name(), error))?;
            hold::run_and_release(lease, end, next.run(input)).await
        }
        .boxed()
    }
}

impl ActivityLocks {
    fn lock_by_header(
        &self,
        input: &ExecuteActivityInput,
        execution: &Execution,
    ) -> Result<Option<(Lock, Terms)>, ActivityError> {
        let Some(header) = input.headers().get(NEEDS_LOCK_HEADER) else {
            return Ok(None);
        };
        let (needs, name) = read(&header.data, execution)
            .map_err(|error| error::configuration(NEEDS_LOCK_HEADER, error))?;
        let most = execution.heartbeat_timeout.map(|timeout| timeout / 2);
        self.lock(&name, &needs, execution, most).map(Some)
    }
}

fn read(header: &[u8], execution: &Execution) -> Result<(NeedsLock, String), NameError> {
    let needs: NeedsLock = serde_json::from_slice(header).map_err(|error| {
        let problem = format!("its header {NEEDS_LOCK_HEADER} cannot be read: {error}");
        NameError::value(execution, problem)
    })?;
    let name = Template::parse(&needs.name)?.fill(execution, &[])?;
    Ok((needs, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_is_needed() {
        let execution = Execution {
            workflow_id: Some("nightly".to_owned()),
            ..Execution::default()
        };
        let header = br#"{"name": "report-{workflow_id}", "max_locks": 3}"#;
        let (needs, name) = read(header, &execution).expect("a header");
        assert_eq!(
            (needs.max_locks, name.as_str()),
            (Some(3), "report-nightly")
        );
        let refused = read(b"report", &execution)
            .expect_err("no JSON")
            .to_string();
        assert!(
            refused.contains("its header leasehold-needs-lock cannot be read"),
            "{refused}"
        );
    }
}
