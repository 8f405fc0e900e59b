//! An address of a Sentinel.

use leasehold_config::Endpoint;

/// Where a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SentinelTarget {
    pub(super) endpoint: Endpoint,
    /// The name that its certificate bears.
    pub(super) certificate_name: String,
}

impl SentinelTarget {
    /// A name or address, resolved for each connection.
    pub(super) fn named(endpoint: Endpoint) -> Self {
        Self {
            certificate_name: endpoint.host().to_owned(),
            endpoint,
        }
    }

    /// One of the addresses behind a name.
    pub(super) fn behind(name: &Endpoint, address: Endpoint) -> Self {
        Self {
            certificate_name: name.host().to_owned(),
            endpoint: address,
        }
    }
}
