//! The messages that wake waiters.

use std::sync::Arc;

use redis::{PushInfo, PushKind, Value};

/// How waiters are called.
#[derive(Clone)]
pub(crate) struct Calls {
    /// The channel that is this locker's own.
    pub(crate) channel: String,
    pub(crate) on_call: Arc<dyn Fn(WaiterCall<'_>) + Send + Sync>,
}

/// One call to a waiter. Only ever a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaiterCall<'a> {
    /// What is waited for under this key is free, and it is this locker's turn.
    Free(&'a str),
    /// Somebody else was called, and this locker is next should it not answer.
    Soon(&'a str),
    /// A lock key that was read for this purpose has changed.
    Changed(&'a str),
}

impl Calls {
    /// Reads a message on our channel: `free <wait key>` or `soon <wait key>`.
    pub(crate) fn dispatch(&self, message: &PushInfo) {
        match message.kind {
            PushKind::Message => {}
            PushKind::Invalidate => return self.dispatch_changes(message),
            _ => return,
        }
        let Some(Value::BulkString(payload)) = message.data.get(1) else {
            return;
        };
        let Ok(payload) = std::str::from_utf8(payload) else {
            return;
        };
        match payload.split_once(' ') {
            Some(("free", key)) => (self.on_call)(WaiterCall::Free(key)),
            Some(("soon", key)) => (self.on_call)(WaiterCall::Soon(key)),
            _ => {}
        }
    }

    /// Reads an invalidation: the keys that changed. The one that means "all" comes with the loss
    /// of the data set, and its waiters poll.
    fn dispatch_changes(&self, message: &PushInfo) {
        let Some(Value::Array(keys)) = message.data.first() else {
            return;
        };
        for key in keys {
            if let Value::BulkString(key) = key
                && let Ok(key) = std::str::from_utf8(key)
            {
                (self.on_call)(WaiterCall::Changed(key));
            }
        }
    }
}
