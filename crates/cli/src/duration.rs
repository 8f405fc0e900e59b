//! Durations as people read them.

use std::time::Duration;

/// A duration for people: `1m 5s`, `12.3s`, `450ms`.
pub(crate) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        3600.. => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        60.. => format!("{}m {}s", seconds / 60, seconds % 60),
        1.. => format!("{:.1}s", duration.as_secs_f64()),
        0 => format!("{}ms", duration.as_millis()),
    }
}
