//! The end of a connection, observable by all that depend on it.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use crate::unavailable::Cause;

/// Ends once; the first cause stays.
#[derive(Clone, Default)]
pub(crate) struct CloseSignal {
    ended: CancellationToken,
    cause: Arc<OnceLock<Cause>>,
}

impl CloseSignal {
    pub(crate) fn end(&self, cause: Cause) {
        let _ = self.cause.set(cause);
        self.ended.cancel();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.cause.get().is_some()
    }

    pub(crate) async fn ended(&self) -> Cause {
        self.ended.cancelled().await;
        self.cause()
    }

    pub(crate) fn cause(&self) -> Cause {
        self.cause.get().cloned().unwrap_or(Cause::Disconnected)
    }
}
