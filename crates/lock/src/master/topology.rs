//! The present master, as one watchable value that everything else observes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::master::link::Link;
use crate::master::source::Source;
pub(crate) use crate::master::state::State;
use crate::master::supervision::Supervision;
use crate::master::supervisor::Supervisor;
use crate::unavailable::{Cause, Unavailable};

/// Watches the master of one data set; ends its supervision when dropped.
pub(crate) struct Topology {
    state: watch::Receiver<State>,
    _supervisor: AbortOnDropHandle<()>,
}

impl Topology {
    pub(crate) fn start(source: Source, supervision: Supervision) -> Self {
        let (publish, state) = watch::channel(State::Connecting);
        let supervisor = Supervisor::new(source, supervision, publish);
        let task = AbortOnDropHandle::new(tokio::spawn(supervisor.run()));
        Self {
            state,
            _supervisor: task,
        }
    }

    /// The link to the master, or why there is none.
    pub(crate) fn link(&self) -> Result<Arc<Link>, Unavailable> {
        match &*self.state.borrow() {
            State::Ready(link) if !link.close_signal().has_ended() => Ok(link.clone()),
            State::Ready(link) => Err(Unavailable::on(link.node(), link.close_signal().cause())),
            State::Connecting => Err(Unavailable::new(Cause::Connecting)),
            State::Down(unavailable) => Err(unavailable.clone()),
        }
    }

    /// Follows the master from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Waits until the first attempt to reach the master has ended, and returns how.
    ///
    /// Cancel safe.
    pub(crate) async fn first_attempt(&self) -> Result<Arc<Link>, Unavailable> {
        let mut state = self.state.clone();
        let ended = state
            .wait_for(|state| !matches!(state, State::Connecting))
            .await;
        match ended.as_deref() {
            Ok(State::Ready(link)) => Ok(link.clone()),
            Ok(State::Down(unavailable)) => Err(unavailable.clone()),
            Ok(State::Connecting) | Err(_) => Err(Unavailable::new(Cause::Connecting)),
        }
    }
}
