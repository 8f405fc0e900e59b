//! How long activities take in this worker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use temporalio_sdk::interceptors::{
    ActivityInboundInterceptor, ExecuteActivityInput, ExecuteActivityOutput, Next,
};

/// An interceptor that times every activity with all that the interceptors after it add.
#[derive(Clone, Default)]
pub struct Stopwatch {
    times: Arc<Mutex<BTreeMap<String, Vec<Duration>>>>,
}

impl Stopwatch {
    /// One line for each type of activity.
    pub fn report(&self) -> String {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (activity, times) in times.iter() {
            let mut times = times.clone();
            times.sort_unstable();
            let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
            text += &format!(
                "timing {activity}: {} times, p50 {} us, p99 {} us\n",
                times.len(),
                at(50),
                at(99)
            );
        }
        text
    }
}

impl ActivityInboundInterceptor for Stopwatch {
    fn execute_activity<'a>(
        &'a self,
        input: ExecuteActivityInput,
        next: Next<'a, ExecuteActivityInput, ExecuteActivityOutput<'a>>,
    ) -> ExecuteActivityOutput<'a> {
        async move {
            let activity = input.activity_info().activity_type.clone();
            let started = Instant::now();
            let output = next.run(input).await;
            let took = started.elapsed();
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.entry(activity).or_default().push(took);
            output
        }
        .boxed()
    }
}
