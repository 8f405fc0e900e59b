//! Strict and relaxed clients of one Redis: a relaxed grant waits for no gate, so it is refused where
//! others rely on one.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::Value;

use crate::master::link::Link;
use crate::transport::server_errors::Failure;
use crate::unavailable::{Cause, Unavailable};

/// Whether grants without a gate are safe beside what other clients do.
pub(crate) struct Modes {
    gate_key: String,
    /// `LOCK_ALLOW_MIXED_SAFETY`.
    are_mixed: bool,
    /// The link on which no gate was found.
    checked_on: AtomicU64,
}

impl Modes {
    pub(crate) fn new(key_prefix: &str, are_mixed: bool) -> Self {
        Self {
            gate_key: crate::protocol::keys::gate(key_prefix),
            are_mixed,
            checked_on: AtomicU64::new(0),
        }
    }

    /// Refuses a grant without a gate where a gate's record exists. It is asked once for each link.
    pub(super) async fn check(&self, link: &Link) -> Result<(), Failure> {
        if link.gate.is_some()
            || self.are_mixed
            || self.checked_on.load(Ordering::Relaxed) == link.generation
        {
            return Ok(());
        }
        let connection = link.connection();
        let exists = connection
            .run(redis::cmd("EXISTS").arg(&self.gate_key))
            .await;
        if link.observe(exists)? != Value::Int(0) {
            let key = self.gate_key.clone();
            let cause = Cause::StrictClients { key };
            return Err(Failure::not_applied(Unavailable::on(link.node(), cause)));
        }
        self.checked_on.store(link.generation, Ordering::Relaxed);
        Ok(())
    }
}
