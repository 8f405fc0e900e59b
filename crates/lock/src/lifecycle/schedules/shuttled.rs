//! The files of this process' own state once more, with locks that let shuttle choose who goes on.

#![allow(dead_code, clippy::duplicate_mod)]

/// Shuttle chooses who goes on before a lock is taken or given back. Here it does so after it is given back as well, where
/// what the holder drops last is not dropped yet.
mod sync {
    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;

    use shuttle::sync as shuttled;
    use shuttle::thread::yield_now;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttled::Mutex<T>);

    pub(crate) struct MutexGuard<'a, T>(Option<shuttled::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            MutexGuard(Some(guard))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().expect("it is given back by its drop alone")
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("it is given back by its drop alone")
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            self.0 = None;
            if !std::thread::panicking() {
                yield_now();
            }
        }
    }
}

#[path = "../cleanup.rs"]
pub(super) mod cleanup;
#[path = "../pending.rs"]
mod pending;
#[path = "../renew.rs"]
mod renew;
#[path = "../scheduler.rs"]
pub(super) mod scheduler;
#[path = "../wait_queue.rs"]
pub(super) mod wait_queue;
