//! How to supervise a data set.

use std::sync::Arc;

use super::calls::Calls;
use super::connection::ConnectionSettings;
use crate::resource::GateKeys;

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
