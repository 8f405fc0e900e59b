//! What a free lock adds to an activity: a workflow of many short activities.

use std::time::Duration;

use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

/// Runs `touch` and `touch_locked` in turn, so many times each.
#[workflow]
#[derive(Default)]
pub struct MeasureWorkflow;

#[workflow_methods]
impl MeasureWorkflow {
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>, times: u32) -> WorkflowResult<()> {
        let options = || ActivityOptions::start_to_close_timeout(Duration::from_secs(30));
        for _ in 0..times {
            ctx.execute_activity(Touch::touch, (), options()).await?;
            ctx.execute_activity(Touch::touch_locked, (), options())
                .await?;
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
