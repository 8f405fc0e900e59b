//! What a free lock adds to an activity.

use std::error::Error;
use std::time::Duration;

use leasehold_testkit::SentinelCluster;

use super::checks::Check;
use super::{Stage, play, say};

/// Measuring ends after this time, or 200 activities of each kind.
const SECONDS: u32 = 40;
const PATIENCE: Duration = Duration::from_secs(120);
/// Fewer give no median worth printing.
const FEWEST: u32 = 20;

/// Has a worker run the same activity with and without a lock, in turn. It tells its times when it
/// stops.
pub(crate) fn measure(stage: &Stage<'_>) -> Result<Check, Box<dyn Error>> {
    say(&format!(
        "measuring activities with a free lock and without, for {SECONDS} s at most"
    ));
    let cluster = SentinelCluster::start()?;
    let directory = play::write_env(stage, "overhead", &cluster)?;
    let worker = stage.programs.worker("worker", &directory)?;
    let seconds = ("MEASURE", SECONDS.to_string());
    stage
        .programs
        .starter(&directory, &[seconds])?
        .finish(PATIENCE)?;
    if let Some(complaint) = worker.stop() {
        return Err(complaint.into());
    }
    Ok(read(&worker.log()))
}

fn read(log: &str) -> Check {
    match timing(log, "touch").zip(timing(log, "touch_locked")) {
        Some((without, with)) => Check::new(
            without.times.min(with.times) >= FEWEST,
            format!(
                "an activity with a free lock takes {} us in the worker, without {} us (p50 of {})",
                with.p50_us, without.p50_us, with.times
            ),
        ),
        None => Check::new(false, "the worker told no times"),
    }
}

struct Timing {
    times: u32,
    p50_us: u64,
}

/// From a line such as `timing touch: 200 times, p50 55 us, p99 102 us`.
fn timing(log: &str, activity: &str) -> Option<Timing> {
    let beginning = format!("timing {activity}: ");
    let line = log.lines().find_map(|line| line.strip_prefix(&beginning))?;
    let (times, rest) = line.split_once(" times, p50 ")?;
    Some(Timing {
        times: times.parse().ok()?,
        p50_us: rest.split_once(' ')?.0.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_read_from_the_log() {
        let log = "timing touch: 200 times, p50 55 us, p99 102 us\n\
                   timing touch_locked: 199 times, p50 5046 us, p99 18356 us\n";
        let check = read(log);
        assert!(check.is_kept, "{check:?}");
        assert!(
            check
                .what
                .contains("takes 5046 us in the worker, without 55 us (p50 of 199)"),
            "{check:?}"
        );
        assert!(!read("").is_kept);
        assert!(!read(&log.replace("199 times", "19 times")).is_kept);
    }
}
