//! One master: found, verified, watched over; its gate, and the confirmation of writes.

pub(crate) mod confirm;
pub(crate) mod gate;
pub(crate) mod gate_replies;
pub(crate) mod identity;
pub(crate) mod link;
pub(crate) mod look;
pub(crate) mod server_clock;
pub(crate) mod source;
pub(crate) mod state;
pub(crate) mod supervision;
pub(crate) mod supervisor;
pub(crate) mod takeover;
pub(crate) mod topology;
pub(crate) mod verify;
