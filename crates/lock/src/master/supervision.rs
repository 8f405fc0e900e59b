//! How to supervise a data set.

use std::sync::Arc;

use crate::protocol::keys::GateKeys;
use crate::protocol::wakeups::Calls;
use crate::transport::connection::ConnectionSettings;

/// How to supervise a data set.
#[derive(Clone)]
pub(crate) struct Supervision {
    pub(crate) settings: ConnectionSettings,
    /// Whether writes are to be confirmed on a majority of the data nodes.
    pub(crate) confirms: bool,
    /// The keys of the gate, where grants pass one.
    pub(crate) gate: Option<Arc<GateKeys>>,
    pub(crate) calls: Calls,
}
