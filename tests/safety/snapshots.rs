//! Why data nodes need an append-only file, or `rdb-del-sync-files yes`: what a first synchronisation leaves.

use std::time::Duration;

use leasehold_testkit::{RedisServer, RedisServerBuilder, wait_until};

const LONG: Duration = Duration::from_secs(30);

/// How many full synchronisations a master counts for a replica that was killed and started again, after its
/// master was killed and started again as well.
fn full_synchronisations(replica: RedisServerBuilder) -> u64 {
    let master = RedisServer::builder()
        .config("repl-diskless-sync", "no")
        .start()
        .expect("redis-server");
    let replica = replica
        .config("repl-diskless-load", "disabled")
        .replica_of(master.host(), master.port())
        .start()
        .expect("redis-server");
    let is_in_step = || {
        let info = replica.info("replication").unwrap_or_default();
        info.get("master_link_status")
            .is_some_and(|link| link == "up")
    };
    wait_until("a synchronisation", LONG, is_in_step).expect("in step");
    let count = || -> u64 {
        let stats = master.info("stats").expect("INFO");
        stats["sync_full"].parse().expect("a number")
    };
    let before = count();
    // What it acknowledges now is lost with it.
    master.command(&["SET", "lock", "token"]).expect("SET");
    master.wait_for_replicas(1, LONG).expect("acknowledged");
    replica.kill();
    replica.restart().expect("a restart");
    wait_until("a synchronisation", LONG, is_in_step).expect("in step");
    count() - before
}

/// Assumed, not prevented: a replica that has forgotten what it acknowledged comes back by a full synchronisation, which
/// its master counts.
#[test]
fn without_persistence_a_replica_comes_back_uncounted_from_the_file_of_its_first_synchronisation() {
    let forgetful = RedisServer::builder().config("rdb-del-sync-files", "no");
    assert_eq!(full_synchronisations(forgetful), 0, "nothing is counted");
}

#[test]
fn a_replica_that_keeps_no_file_of_a_synchronisation_comes_back_counted() {
    let deletes = RedisServer::builder().config("rdb-del-sync-files", "yes");
    assert_eq!(full_synchronisations(deletes), 1);
    let logs = RedisServer::builder().append_only(true);
    assert_eq!(full_synchronisations(logs), 1);
}
