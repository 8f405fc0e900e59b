#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod details;
mod error;
mod execution;
mod hold;
mod interceptor;
mod leasing;
mod line;
mod locks;
mod name;
mod needs_lock;
#[expect(
    missing_docs,
    reason = "the macro `activities` drops the documentation of each activity"
)]
mod ticket;
mod waiting;

pub use details::progress;
pub use error::{
    ATTEMPT_OVER, InvalidNeed, LEASE_LOST, LOCK_CONFIGURATION, LockFailure, NOT_LEASED,
    lease_was_lost,
};
pub use hold::{Granted, granted};
pub use interceptor::NEEDS_LOCK_HEADER;
pub use locks::ActivityLocks;
pub use name::NameError;
pub use needs_lock::NeedsLock;
pub use ticket::LockActivities;
