//! A lock for what threads share.

use std::sync::PoisonError;

pub(crate) use std::sync::MutexGuard;

/// As the standard library's, but a holder that panicked does not make it unusable: nothing here leaves what it
/// guards half changed.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
