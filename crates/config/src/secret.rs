//! A value that is never printed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::secret_file;

/// What stands in place of a secret wherever it would be printed.
pub(crate) const HIDDEN: &str = "[hidden]";

/// A password: it can be compared and revealed, but neither `Debug` nor `Display` prints it.
///
/// ```
/// use leasehold_config::Secret;
///
/// let password = Secret::new("correct horse");
/// assert_eq!(format!("{password} {password:?}"), "[hidden] [hidden]");
/// assert_eq!(password.reveal(), "correct horse");
/// ```
///
/// Two are equal if their values are, wherever they come from.
#[derive(Clone)]
pub struct Secret {
    value: String,
    file: Option<Arc<Kept>>,
}

/// Finds the secret in the text of its file; `None` if it is not in there.
type Find = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A file that holds a secret; all copies of the secret share it.
struct Kept {
    path: PathBuf,
    find: Box<Find>,
    /// What it held when it could last be read.
    last: Mutex<String>,
}

impl Secret {
    /// Wraps a value that must not be printed.
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            file: None,
        }
    }

    /// Wraps a value that is all that this file holds.
    pub(crate) fn read_from(file: Option<&Path>, value: impl Into<String>) -> Self {
        Self::found_in(file, value, |text| Some(text.to_owned()))
    }

    /// Wraps a value that `find` finds in the text of this file.
    pub(crate) fn found_in(
        file: Option<&Path>,
        value: impl Into<String>,
        find: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let value = value.into();
        let file = file.map(|path| {
            Arc::new(Kept {
                path: path.to_owned(),
                find: Box::new(find),
                last: Mutex::new(value.clone()),
            })
        });
        Self { value, file }
    }

    /// The file that holds the value, where one does: by itself, as `REDIS_PASSWORD_FILE` names it, or in a URL, as
    /// `REDIS_URL_FILE` and `LOCK_REDLOCK_NODES_FILE` do.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref().map(|kept| kept.path.as_path())
    }

    /// The secret as its file holds it now, for files that are replaced while the program runs. Where the file
    /// cannot be read at the moment or has no such secret, as it last held it; where there is no file, this one. Blocks as reading a file does.
    pub fn read_again(&self) -> Self {
        let Some(kept) = &self.file else {
            return self.clone();
        };
        let read = secret_file::read(&kept.path).ok();
        let found = read.and_then(|text| (kept.find)(&text));
        let mut last = kept.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = found {
            *last = value;
        }
        Self {
            value: last.clone(),
            file: self.file.clone(),
        }
    }

    /// The value itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.value
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self::new(value)
    }
}
