//! What is asked of an activity's context.

use std::time::Duration;

/// What the server told the worker about one execution of an activity.
#[derive(Debug, Clone, Default)]
pub struct ActivityInfo {
    /// The name that the workflow called it by.
    pub activity_type: String,
    /// How long one attempt may take; when it is over the server may start another.
    pub start_to_close_timeout: Option<Duration>,
    /// How long an attempt may be silent; when it is over the server takes the worker for dead.
    pub heartbeat_timeout: Option<Duration>,
}

/// The context of one execution of an activity: the part of it that every Temporal SDK has.
pub trait ActivityContext: Sync {
    /// What the server told.
    fn info(&self) -> ActivityInfo;

    /// Tells the server that this attempt is alive.
    fn record_heartbeat(&self);

    /// Ends when the workflow no longer wants the activity, or the worker shuts down.
    fn cancelled(&self) -> impl Future<Output = ()> + Send;
}
