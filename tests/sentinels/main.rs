//! Sentinels that are dead, deaf, wrong, outdated or reconfigured: any minority of them changes
//! nothing, and the word of a majority is verified on the node itself.

mod access;
mod addresses;
mod events;
mod liars;
mod minority;
mod moving;
mod rolling;

use leasehold_testkit::{FakeSentinel, RedisServer};

/// Stand-ins for the Sentinels of `mymaster` that know of each other and name `server`.
fn sentinels_of(server: &RedisServer, count: usize) -> Vec<FakeSentinel> {
    let sentinels: Vec<FakeSentinel> = (0..count)
        .map(|_| FakeSentinel::start("mymaster", "127.0.0.1", server.port()).expect("a Sentinel"))
        .collect();
    for sentinel in &sentinels {
        let others = sentinels.iter().map(|other| other.port());
        let others = others.filter(|port| *port != sentinel.port());
        let peers = others.map(|port| ("127.0.0.1".to_owned(), port)).collect();
        sentinel.update(|view| view.peers = peers);
    }
    sentinels
}

fn addresses(sentinels: &[FakeSentinel]) -> Vec<String> {
    sentinels
        .iter()
        .map(|sentinel| sentinel.address())
        .collect()
}

/// Has them all name another server, at a later epoch, without saying so.
fn all_name(sentinels: &[FakeSentinel], server: &RedisServer, epoch: u64) {
    for sentinel in sentinels {
        sentinel.set_master("127.0.0.1", server.port(), epoch);
    }
}

/// Whether `server` holds the lock on `report`.
fn holds(server: &RedisServer) -> bool {
    let key = leasehold_tests::blocking(|| server.cli(&["GET", "report"]));
    !key.expect("GET").is_empty()
}
