//! What an attempt leaves behind, and how long the next one waits.

use leasehold_config::LockOptions;

use super::*;
use crate::MemoryStore;
use crate::backend::Backend;
use crate::backend::memory::Memory;
use crate::backend::memory::network::Network;
use crate::master::confirm::Confirmed;
use crate::options::AcquireOptions;
use crate::resource::Resource;

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);
/// `LOCK_RETRY_INTERVAL`.
const MOST: Duration = Duration::from_secs(5);

/// An acquisition that waits, and the network that its attempts go over.
fn acquisition(store: &MemoryStore) -> (Acquisition, Arc<Network>) {
    let network = Arc::new(Network::new(1));
    network.calm();
    let memory = Backend::Memory(Memory::behind(store.clone(), network.clone()));
    let mut options = LockOptions::default();
    options.retry_interval = MOST;
    let core = Core::start(
        memory,
        Arc::default(),
        options,
        store.clock(),
        2 * SECOND,
        None,
    );
    let options = AcquireOptions::new();
    let resource = Resource::new("report").expect("a name");
    let target = Target::new(&core, resource, &options).expect("keys");
    let terms = options.resolve(&core.options).expect("good terms");
    let acquisition = Acquisition::new(&core, target, terms, true);
    (acquisition.expect("a token"), network)
}

fn held(remaining: Option<Duration>) -> Refusal {
    Refusal::Held {
        owner: None,
        remaining,
        before: None,
    }
}

fn gate_closed(remaining: Option<Duration>) -> Refusal {
    Refusal::GateClosed {
        remaining,
        epoch: 1,
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_lasts_as_long_as_its_reason() {
    let (mut acquisition, _) = acquisition(&MemoryStore::new());
    let pause = |acquisition: &Acquisition, refusal| {
        acquisition.pause_before(&acquisition.obstacle(refusal))
    };
    assert_eq!(pause(&acquisition, held(Some(SECOND))), SECOND + MOMENT);
    assert_eq!(pause(&acquisition, held(Some(2 * MOST))), MOST);
    assert_eq!(pause(&acquisition, held(None)), MOST, "it never expires");
    acquisition.before = Some(2);
    let claims = 2 * CLAIM;
    let behind_two = pause(&acquisition, held(Some(SECOND)));
    assert_eq!(behind_two, SECOND + MOMENT + claims);
    assert_eq!(pause(&acquisition, held(Some(MOST))), MOST);

    let closed = gate_closed(Some(2 * MOST));
    assert_eq!(pause(&acquisition, closed), 2 * MOST + MOMENT);
    let unavailable = Error::Unavailable(Unavailable::new(Cause::Refused));
    assert_eq!(acquisition.pause_before(&unavailable), OUTAGE_PAUSE);

    // What may be over at any moment is asked for soon, but neither at once nor by all together.
    let mut pauses = std::collections::BTreeSet::new();
    for _ in 0..100 {
        for refusal in [
            gate_closed(None),
            Refusal::NotReplicated(Confirmed::not_asked()),
        ] {
            pauses.insert(pause(&acquisition, refusal));
        }
    }
    assert!(pauses.len() > 1);
    let (first, last) = (pauses.first().expect("one"), pauses.last().expect("one"));
    assert!(*first >= SHORT_PAUSE / 2 && *last <= SHORT_PAUSE * 3 / 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_refused_is_told_the_key() {
    let (mut acquisition, _) = acquisition(&MemoryStore::new());
    let key = |acquisition: &Acquisition| match acquisition.obstacle(held(None)) {
        Error::Held(held) => held.key,
        other => panic!("{other}"),
    };
    assert_eq!(key(&acquisition).as_deref(), Some("report"));
    let mut keys = (*acquisition.target.keys).clone();
    keys.locks.push("report:1".into());
    acquisition.target.keys = Arc::new(keys);
    assert_eq!(key(&acquisition), None, "it may be any of them");
}

/// It may have entered the queue among processes, and has to leave it when it is given up.
#[tokio::test(start_paused = true)]
async fn an_attempt_without_a_reply_may_be_queued() {
    let store = MemoryStore::new();
    let (mut acquisition, network) = acquisition(&store);
    network.lose_next_reply();
    assert!(acquisition.attempt().await.is_err());
    assert!(acquisition.may_be_queued);
}

/// What takes a grant back that does not count must not hit the next one.
#[tokio::test(start_paused = true)]
async fn what_is_given_back_is_asked_for_anew_under_another_token() {
    let (mut acquisition, _) = acquisition(&MemoryStore::new());
    acquisition.grant_uncertain = true;
    acquisition.before = Some(1);
    let token = acquisition.request.token.clone();
    acquisition.give_back();
    assert_ne!(acquisition.request.token.reveal(), token.reveal());
    assert_eq!(acquisition.core.cleanup.pending(), 1);
    assert!(!acquisition.grant_uncertain && acquisition.before.is_none());
}
