//! What a free lock adds to an activity: a workflow of many short activities.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

/// How much is measured at most.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    pub pairs: u32,
    pub time: Duration,
}

/// Runs `touch` and `touch_locked` in turn.
#[workflow]
#[derive(Default)]
pub struct MeasureWorkflow;

#[workflow_methods]
impl MeasureWorkflow {
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>, most: Measurement) -> WorkflowResult<()> {
        let options = || ActivityOptions::start_to_close_timeout(Duration::from_secs(30));
        let end = ctx.workflow_time().map(|now| now + most.time);
        for _ in 0..most.pairs {
            ctx.execute_activity(Touch::touch, (), options()).await?;
            ctx.execute_activity(Touch::touch_locked, (), options())
                .await?;
            if ctx.workflow_time() > end {
                break;
            }
        }
        Ok(())
    }
}

/// Activities that do nothing; one of them under a lock.
pub struct Touch;

#[activities]
impl Touch {
    #[activity(name = "touch")]
    pub async fn touch(_ctx: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }

    #[activity(name = "touch_locked")]
    pub async fn touch_locked(_ctx: ActivityContext) -> Result<(), ActivityError> {
        Ok(())
    }
}
