//! What is sent and answered: scripts, plain commands, keys of records, replies.

pub(crate) mod fences;
pub(crate) mod grant;
pub(crate) mod keys;
pub(crate) mod reply;
pub(crate) mod script;
pub(crate) mod slots;
pub(crate) mod waiter;
pub(crate) mod wakeups;
