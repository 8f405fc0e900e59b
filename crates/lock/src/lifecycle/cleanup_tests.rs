//! Places that are given up, and when what failed is tried again.

use std::collections::HashSet;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::cleanup::changed;
use crate::master::state::State;
use crate::{Locker, MemoryStore};

#[tokio::test(start_paused = true)]
async fn places_are_given_up_as_long_as_there_is_time() {
    let locker = Locker::in_memory(&MemoryStore::new());
    let cleanup = &locker.core().cleanup;
    let names = HashSet::from(["- report".to_owned()]);
    cleanup.leave(&HashSet::new());
    assert_eq!(cleanup.pending(), 0);
    cleanup.leave(&names);
    assert_eq!(cleanup.pending(), 1);
    cleanup.finished().await;
    assert_eq!(cleanup.pending(), 0);
    cleanup.give_up();
    cleanup.leave(&names);
    assert_eq!(cleanup.pending(), 0, "they end by themselves");
}

/// What failed is tried again at once when there is another master, and not before.
#[tokio::test]
async fn nothing_but_another_state_of_the_master_is_a_change() {
    assert!(changed(&mut None).now_or_never().is_none());
    let (publish, state) = watch::channel(State::Connecting);
    let mut state = Some(state);
    assert!(changed(&mut state).now_or_never().is_none());
    publish.send_replace(State::Connecting);
    assert!(changed(&mut state).now_or_never().is_some());
    drop(publish);
    assert!(
        changed(&mut state).now_or_never().is_none(),
        "the end is none"
    );
}
