//! Where the master's address comes from.

use std::time::Duration;

use leasehold_config::Endpoint;

use crate::sentinel::{Named, Sentinels};
use crate::unavailable::{Part, Unavailable};

/// So often that a master which is named each time never looks as if it were not: see
/// `Link::check_named`.
pub(crate) const RECONCILE_EVERY: Duration = Duration::from_millis(3_500);

/// Names the master.
pub(crate) enum Source {
    /// A configured address, and the part that the node there plays.
    Fixed(Endpoint, Part),
    /// A majority of the Sentinels.
    Sentinels(Box<Sentinels>),
}

impl Source {
    pub(crate) async fn master(&mut self) -> Result<Named, Unavailable> {
        match self {
            Self::Fixed(endpoint, _) => Ok(Named {
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
            Self::Fixed(..) => std::future::pending().await,
            Self::Sentinels(sentinels) => sentinels.hint().await,
        }
    }

    /// How often to ask again without a sign, more or less.
    pub(crate) fn reconcile_every(&self) -> Duration {
        match self {
            Self::Sentinels(sentinels) if sentinels.only_polls() => Duration::from_secs(1),
            Self::Sentinels(_) => RECONCILE_EVERY,
            Self::Fixed(..) => Duration::from_secs(5),
        }
    }

    /// The part that a named master plays.
    pub(crate) fn part(&self) -> Part {
        match self {
            Self::Fixed(_, part) => *part,
            Self::Sentinels(_) => Part::Master,
        }
    }

    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(..))
    }
}
