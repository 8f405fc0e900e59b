//! Whether new leases are granted at present, for people and monitors.

use std::time::Duration;

use tokio::time::Instant;

use crate::master::gate::GateState;

/// Whether the gate of strict mode lets new leases through, as far as this process knows.
///
/// ```
/// use leasehold::Grants;
///
/// fn is_ready(grants: &Grants) -> bool {
///     matches!(grants, Grants::Open | Grants::Ungated)
/// }
/// # assert!(is_ready(&Grants::Open));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grants {
    /// There is no gate: the mode is relaxed, or nothing is known yet.
    Ungated,
    /// New leases are granted.
    Open,
    /// The gate of this master is claimed, and the claim is not confirmed yet.
    #[non_exhaustive]
    Pending {
        /// What is missing.
        reason: String,
    },
    /// Nothing new is granted, because leases of the last master may still run. Held leases are renewed.
    #[non_exhaustive]
    Closed {
        /// Until the gate opens.
        remaining: Duration,
        /// Which condition for going on without a pause was not met, and on which node.
        reason: String,
    },
}

impl From<GateState> for Grants {
    fn from(state: GateState) -> Self {
        match state {
            GateState::Unknown => Self::Ungated,
            GateState::Open => Self::Open,
            GateState::Pending { reason } => Self::Pending { reason },
            GateState::Closed { until, reason } => {
                match until.saturating_duration_since(Instant::now()) {
                    Duration::ZERO => Self::Open,
                    remaining => Self::Closed { remaining, reason },
                }
            }
        }
    }
}
