//! What is known of the master at present.

use std::sync::Arc;

use crate::master::link::Link;
use crate::unavailable::Unavailable;

/// The master as seen now.
#[derive(Clone)]
pub(crate) enum State {
    /// No attempt has ended yet.
    Connecting,
    /// A verified link to the master.
    Ready(Arc<Link>),
    /// No master, because.
    Down(Unavailable),
}
