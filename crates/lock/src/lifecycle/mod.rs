//! The life of a lease: waiting, acquiring, renewing, releasing.

pub(crate) mod acquire;
pub(crate) mod acquisition;
pub(crate) mod cleanup;
pub(crate) mod core;
pub(crate) mod last_release;
pub(crate) mod lease_state;
mod pending;
pub(crate) mod renew;
pub(crate) mod runtime;
pub(crate) mod scheduler;
pub(crate) mod stop;
pub(crate) mod target;
pub(crate) mod wait_queue;

/// What blocks. Tests of schedules put others in its place.
mod sync {
    pub(crate) use crate::sync::Mutex;
}

#[cfg(test)]
mod cleanup_tests;
#[cfg(test)]
mod lost_reply_tests;
#[cfg(test)]
mod renew_tests;
#[cfg(test)]
mod scheduler_tests;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod wait_queue_tests;
