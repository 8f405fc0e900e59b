//! What a free lock adds to an activity.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use super::checks::Check;
use super::programs::Worker;
use super::{Stage, say};

const TIMES: u32 = 200;
const PATIENCE: Duration = Duration::from_secs(120);

/// The worker tells its times when it stops.
pub(crate) struct Measured;

/// Has the worker run the same activity with and without a lock, in turn.
pub(crate) fn measure(
    stage: &Stage<'_>,
    directory: &Path,
    worker: &Worker,
) -> Result<Measured, Box<dyn Error>> {
    say(&format!(
        "measuring {TIMES} activities with a free lock, and {TIMES} without"
    ));
    let times = ("MEASURE", TIMES.to_string());
    stage
        .programs
        .starter(directory, &[times])?
        .finish(PATIENCE)?;
    if worker.process.is_running() {
        return Ok(Measured);
    }
    Err("the worker ended while it was measured".into())
}

impl Measured {
    pub(crate) fn read(&self, log: &str) -> Check {
        let times = p50(log, "touch").zip(p50(log, "touch_locked"));
        match times {
            Some((without, with)) => Check::new(
                true,
                format!(
                    "an activity with a free lock takes {with} us in the worker, without {without} us (p50)"
                ),
            ),
            None => Check::new(false, "the worker told no times"),
        }
    }
}

/// From a line such as `timing touch: 200 times, p50 55 us, p99 102 us`.
fn p50(log: &str, activity: &str) -> Option<u64> {
    let beginning = format!("timing {activity}: {TIMES} times, p50 ");
    let line = log.lines().find_map(|line| line.strip_prefix(&beginning))?;
    line.split_once(' ')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_read_from_the_log() {
        let log = "timing touch: 200 times, p50 55 us, p99 102 us\n\
                   timing touch_locked: 200 times, p50 5046 us, p99 18356 us\n";
        assert_eq!(
            (p50(log, "touch"), p50(log, "touch_locked")),
            (Some(55), Some(5046))
        );
        assert!(Measured.read(log).is_kept && !Measured.read("").is_kept);
    }
}
