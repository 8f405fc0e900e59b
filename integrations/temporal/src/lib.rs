#![doc = include_str!("../README.md")]

mod context;
mod error;
mod interceptor;

pub use context::{ActivityContext, ActivityInfo};
pub use error::ActivityError;
pub use interceptor::{LockInterceptor, NeedsLock};
