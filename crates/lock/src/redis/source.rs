//! Where the master's address comes from.

use std::time::Duration;

use leasehold_config::Endpoint;

use super::sentinel::Sentinels;
use crate::unavailable::Unavailable;

/// So often that a master which is named each time never looks as if it were not: see
/// `Link::check_named`.
const RECONCILE_EVERY: Duration = Duration::from_millis(3_500);

/// Names the master.
pub(crate) enum Source {
    /// A configured address.
    Fixed(Endpoint),
    /// A majority of the Sentinels.
    Sentinels(Box<Sentinels>),
}

/// A master as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) endpoint: Endpoint,
    /// Sentinel's configuration epoch, 0 without Sentinel.
    pub(crate) epoch: u64,
    /// Data nodes that Sentinel knows, the master included.
    pub(crate) data_nodes: usize,
    pub(crate) down_after: Option<Duration>,
}

impl Source {
    pub(crate) async fn master(&mut self) -> Result<Named, Unavailable> {
        match self {
            Self::Fixed(endpoint) => Ok(Named {
                endpoint: endpoint.clone(),
                epoch: 0,
                data_nodes: 1,
                down_after: None,
            }),
            Self::Sentinels(sentinels) => sentinels.master().await,
        }
    }

    /// Waits for a sign that the master may have changed. Never an address, only a reason to ask.
    ///
    /// Cancel safe.
    pub(crate) async fn hint(&self) {
        match self {
            Self::Fixed(_) => std::future::pending().await,
            Self::Sentinels(sentinels) => sentinels.hint().await,
        }
    }

    /// How often to ask again without a sign, more or less.
    pub(crate) fn reconcile_every(&self) -> Duration {
        match self {
            Self::Sentinels(sentinels) if sentinels.only_polls() => Duration::from_secs(1),
            Self::Sentinels(_) => RECONCILE_EVERY,
            Self::Fixed(_) => Duration::from_secs(5),
        }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::link::NAMED_FOR;
    use crate::redis::supervisor::LATEST;

    #[test]
    fn a_master_that_is_named_whenever_the_sentinels_are_asked_always_counts_as_named() {
        let for_their_answers = Duration::from_millis(500);
        let asked_again = RECONCILE_EVERY.mul_f64(LATEST) + for_their_answers;
        assert!(asked_again <= NAMED_FOR, "{asked_again:?}");
    }
}
