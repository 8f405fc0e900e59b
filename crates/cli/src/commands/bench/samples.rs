//! Durations, and what is told of them.

use std::time::Duration;

/// How long something took, each time, and how long all of it took together.
#[derive(Debug, Default)]
pub(super) struct Samples {
    durations: Vec<Duration>,
    took: Duration,
}

impl Samples {
    pub(super) fn add(&mut self, duration: Duration) {
        self.durations.push(duration);
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.durations.extend(other.durations);
    }

    /// All were taken within this time; from now on they are in order.
    pub(super) fn took(&mut self, took: Duration) {
        self.took = took;
        self.durations.sort_unstable();
    }

    pub(super) fn count(&self) -> usize {
        self.durations.len()
    }

    pub(super) fn length(&self) -> Duration {
        self.took
    }

    pub(super) fn per_second(&self) -> f64 {
        if self.took.is_zero() {
            return 0.0;
        }
        self.durations.len() as f64 / self.took.as_secs_f64()
    }

    /// The duration that this part of all did not exceed, of 0 to 1.
    pub(super) fn quantile(&self, part: f64) -> Duration {
        let rank = (self.durations.len() as f64 * part).ceil() as usize;
        let at = rank.max(1) - 1;
        let last = self.durations.last().copied().unwrap_or_default();
        self.durations.get(at).copied().unwrap_or(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_durations_that_occurred() {
        let mut samples = Samples::default();
        for milliseconds in (1..=100).rev() {
            samples.add(Duration::from_millis(milliseconds));
        }
        samples.took(Duration::from_secs(10));
        let of = |part| samples.quantile(part).as_millis();
        assert_eq!((of(0.0), of(0.5), of(0.99), of(1.0)), (1, 50, 99, 100));
        assert!((samples.per_second() - 10.0).abs() < f64::EPSILON);
        assert_eq!(Samples::default().quantile(0.99), Duration::ZERO);
    }
}
