//! How long each of many operations took, and how many there were in how much time.

use std::time::Duration;

/// The measurements of one slice.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    sorted_ns: Vec<u64>,
    /// How long the slice took.
    pub elapsed: Duration,
}

impl Samples {
    /// Takes in the durations that were measured within `elapsed`.
    #[must_use]
    pub fn new(durations: impl IntoIterator<Item = Duration>, elapsed: Duration) -> Self {
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let mut sorted_ns: Vec<u64> = durations.into_iter().map(nanoseconds).collect();
        sorted_ns.sort_unstable();
        Self { sorted_ns, elapsed }
    }

    /// How many operations there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted_ns.len()
    }

    /// Operations per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// The duration in µs that this share of the operations did not exceed.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> f64 {
        let last = self.sorted_ns.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.sorted_ns
            .get(at)
            .map_or(f64::NAN, |ns| *ns as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_durations() {
        let durations = [3, 1, 2, 5, 4].map(Duration::from_micros);
        let samples = Samples::new(durations, Duration::from_secs(1));
        assert_eq!(samples.quantile_us(0.5), 3.0);
        assert_eq!(samples.quantile_us(0.99), 5.0);
        assert_eq!(samples.per_second(), 5.0);
    }
}
