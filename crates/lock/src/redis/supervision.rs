//! How to supervise a data set.

use super::calls::Calls;
use super::connection::ConnectionSettings;

/// How to supervise a data set.
#[derive(Clone)]
pub(crate) struct Supervision {
    pub(crate) settings: ConnectionSettings,
    /// Whether writes are to be confirmed on a majority of the data nodes.
    pub(crate) confirms: bool,
    /// Whether grants pass the gate of the incarnation.
    pub(crate) gated: bool,
    pub(crate) calls: Calls,
}
