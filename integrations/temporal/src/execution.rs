//! What is known of one execution of an activity.

use std::time::Duration;

use temporalio_sdk::activities::ActivityInfo;
use tokio::time::Instant;

/// A workflow's name takes no more than this of the owner, so that the run's id stays readable.
const LONGEST_NAME: usize = 80;

/// What is known of one execution of an activity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) activity_type: String,
    pub(crate) workflow_id: Option<String>,
    pub(crate) run_id: Option<String>,
    pub(crate) activity_id: String,
    pub(crate) heartbeat_timeout: Option<Duration>,
    /// How long the server lets this attempt run.
    pub(crate) attempt_timeout: Option<Duration>,
}

impl Execution {
    pub(crate) fn of(info: &ActivityInfo) -> Self {
        Self {
            activity_type: info.activity_type.clone(),
            workflow_id: info.workflow_id.clone(),
            run_id: info.workflow_run_id.clone(),
            activity_id: info.activity_id.clone(),
            heartbeat_timeout: info.heartbeat_timeout.filter(|timeout| !timeout.is_zero()),
            // Both are the server's times, so the worker's clock does not matter.
            attempt_timeout: info
                .deadline
                .zip(info.started_time)
                .and_then(|(deadline, started)| deadline.duration_since(started).ok())
                .filter(|timeout| !timeout.is_zero()),
        }
    }

    /// Who holds the lock, for people: the workflow and its run.
    pub(crate) fn owner(&self) -> String {
        let Some(workflow) = &self.workflow_id else {
            return format!("activity {}", shortened(&self.activity_id));
        };
        match &self.run_id {
            Some(run) => format!("{}/{run}", shortened(workflow)),
            None => shortened(workflow),
        }
    }

    /// When this attempt ends if it begins now, and how long it may take.
    pub(crate) fn end(&self) -> Option<(Instant, Duration)> {
        self.attempt_timeout
            .map(|timeout| (Instant::now() + timeout, timeout))
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LONGEST_NAME - 1).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_the_workflow_and_its_run() {
        let mut execution = Execution {
            workflow_id: Some("import-7".to_owned()),
            run_id: Some("0a1b".to_owned()),
            activity_id: "1".to_owned(),
            ..Execution::default()
        };
        assert_eq!(execution.owner(), "import-7/0a1b");
        execution.workflow_id = Some("ü".repeat(200));
        assert!(execution.owner().ends_with("…/0a1b"));
        assert!(execution.owner().chars().count() < 120);
        execution.workflow_id = None;
        assert_eq!(execution.owner(), "activity 1");
    }
}
