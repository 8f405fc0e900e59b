//! How a command ends.

use std::error::Error;

/// `Ok(false)` is a command that ran to its end and whose check failed.
pub(crate) type Outcome = Result<bool, Box<dyn Error>>;
