//! How long to measure, and in what order.

use std::time::Duration;

/// The rounds of one run.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// How many rounds there are.
    pub count: usize,
    /// How long each contender is measured in each round.
    pub slice: Duration,
}

impl Rounds {
    /// So many seconds per contender and case, in `count` slices.
    #[must_use]
    pub fn of(seconds: f64, count: usize) -> Self {
        Self {
            count,
            slice: Duration::from_secs_f64(seconds / count as f64),
        }
    }

    /// The contenders in the order of their turns in `round`: each is first, second, … equally
    /// often, so that no one always follows the heaviest.
    pub fn turns(round: usize, contenders: usize) -> impl Iterator<Item = usize> {
        (0..contenders).map(move |turn| (turn + round) % contenders)
    }
}
