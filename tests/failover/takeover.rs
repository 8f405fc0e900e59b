//! Strict mode without the pause: the gate of a new master opens at once where the replicas show that it
//! has everything, and nothing that is routine closes it again.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use leasehold::{Error, Grants, Locker};
use leasehold_testkit::{RedisServer, SentinelCluster};
use leasehold_tests::{all_up_for, blocking, eventually, lease, soon, strict};

const GATE: &str = "leasehold:gate";

/// Far longer than any of these tests: a pause would be noticed.
const LONGEST: Duration = Duration::from_secs(60);

/// As long as the servers must have been up before one of them may take over without a pause.
const SHORT: Duration = Duration::from_secs(3);

fn cluster() -> SentinelCluster {
    let node = RedisServer::builder().config("appendonly", "yes");
    SentinelCluster::builder()
        .node(node)
        .start()
        .expect("a cluster")
}

async fn lease_and_release(locker: &Locker, resource: &str) {
    let held = lease(locker, resource).await;
    held.release().await.expect("a release");
}

fn gate(server: &RedisServer, field: &str) -> String {
    let value = blocking(|| server.cli(&["HGET", GATE, field])).expect("HGET");
    value.trim().to_owned()
}

/// A failover of a cluster whose gate is open; returns the new master.
async fn fail_over_once(cluster: &SentinelCluster, locker: &Locker, longest: Duration) -> usize {
    all_up_for(cluster.nodes(), longest).await;
    lease(locker, "before")
        .await
        .release()
        .await
        .expect("a release");
    let old = blocking(|| cluster.kill_master()).expect("SIGKILL");
    blocking(|| cluster.wait_for_new_master(old)).expect("a new master")
}

/// A cluster that `fail_over` has failed over, by one election of the Sentinels. On a busy machine they may need two, which
/// is a reason for a pause: then another cluster is tried.
async fn by_one_election<T>(
    fail_over: impl AsyncFn(&SentinelCluster) -> T,
) -> (SentinelCluster, T) {
    for _ in 0..5 {
        let cluster = cluster();
        let outcome = fail_over(&cluster).await;
        let epoch = blocking(|| cluster.sentinel(0).master()).expect("SENTINEL MASTER");
        if epoch.get("config-epoch").is_some_and(|epoch| epoch == "1") {
            return (cluster, outcome);
        }
    }
    panic!("five times more than one election");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_ordinary_failover_grants_go_on_without_a_pause() {
    let (cluster, (locker, new)) = by_one_election(async |cluster| {
        let locker = strict(cluster, SHORT).await;
        let new = fail_over_once(cluster, &locker, SHORT).await;
        (locker, new)
    })
    .await;
    lease_and_release(&locker, "after").await;
    assert_eq!(
        gate(cluster.node(new), "was_open"),
        "1",
        "it was opened at once"
    );
    assert_eq!(gate(cluster.node(new), "reason"), "");
    // The clocks are those of one machine, and this locker knew both.
    let hold: u64 = gate(cluster.node(new), "hold_ms")
        .parse()
        .expect("a number");
    assert!(hold < 100, "{hold} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_did_not_know_the_last_master_holds_its_grants_back_for_the_clocks() {
    let (cluster, new) = by_one_election(async |cluster| {
        let locker = strict(cluster, SHORT).await;
        all_up_for(cluster.nodes(), SHORT).await;
        lease_and_release(&locker, "before").await;
        locker.close(Duration::from_secs(5)).await.expect("closed");
        let old = blocking(|| cluster.kill_master()).expect("SIGKILL");
        blocking(|| cluster.wait_for_new_master(old)).expect("a new master")
    })
    .await;
    let locker = strict(&cluster, SHORT).await;
    let asked = Instant::now();
    let first = lease(&locker, "after").await;
    assert!(
        asked.elapsed() >= Duration::from_millis(500),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(
        gate(cluster.node(new), "was_open"),
        "1",
        "it was opened at once"
    );
    assert_eq!(gate(cluster.node(new), "hold_ms"), "501");
    first.release().await.expect("a release");
}

/// While leases of the last master may live, a grant counts by what confirms it at the end of that time: a replica that
/// confirmed it before may have gone to another master, and have confirmed there that such a lease is prolonged.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_held_back_is_confirmed_once_more() {
    let cluster = cluster();
    let locker = strict(&cluster, SHORT).await;
    let new = fail_over_once(&cluster, &locker, SHORT).await;
    lease_and_release(&locker, "after").await;
    let master = cluster.node(new);
    let far = (SystemTime::now() + LONGEST).duration_since(UNIX_EPOCH);
    let far = far.expect("after 1970").as_millis().to_string();
    let hold = ["HSET", GATE, "hold_until", &far, "hold_ms", "2000"];
    // Nothing else is written: neither the Sentinels' greetings nor PINGs.
    let silent = ["CONFIG", "SET", "repl-ping-replica-period", "3600"];
    blocking(|| {
        master.command(&hold).expect("HSET");
        master.command(&silent).expect("CONFIG SET");
        for sentinel in cluster.sentinels() {
            sentinel.pause().expect("SIGSTOP");
        }
    });
    let granting = tokio::spawn(async move { locker.try_acquire("held-back").await });
    let within = Duration::from_secs(10);
    eventually("the key", async || {
        blocking(|| master.cli(&["EXISTS", "held-back"])).is_ok_and(|exists| exists.trim() == "1")
    })
    .await;
    blocking(|| master.wait_for_replicas(1, within)).expect("the replica has it");
    for node in cluster.nodes() {
        if node.port() != master.port() {
            // One of them is dead.
            node.pause().ok();
        }
    }
    let refused = soon("the refusal", granting).await.expect("the task");
    assert!(
        matches!(refused, Err(Error::NotReplicated { .. })),
        "{refused:?}"
    );
}

/// A replica that has not been up for a longest lease may have forgotten what it confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_just_started_makes_for_a_pause_and_the_reason_is_said() {
    let (cluster, (locker, held, new)) = by_one_election(async |cluster| {
        let locker = strict(cluster, LONGEST).await;
        let held = lease_in_first_life(cluster, &locker).await;
        let old = blocking(|| cluster.kill_master()).expect("SIGKILL");
        let new = blocking(|| cluster.wait_for_new_master(old)).expect("a new master");
        (locker, held, new)
    })
    .await;
    let refused = soon("the gate", async {
        loop {
            match locker.try_acquire("after").await {
                Err(Error::GateClosed(closed)) if closed.remaining.is_some() => break closed,
                Ok(_) => panic!("granted while leases of the last master may live"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })
    .await;
    assert!(refused.remaining.is_some_and(|left| left > LONGEST / 2));
    assert!(gate(cluster.node(new), "reason").contains("up for"));
    held.renew()
        .await
        .expect("held leases are renewed meanwhile");
}

/// A lease under a gate that was opened by hand, for a new cluster would wait for a longest lease.
async fn lease_in_first_life(cluster: &SentinelCluster, locker: &Locker) -> leasehold::Lease {
    let master = blocking(|| cluster.master()).expect("a master");
    eventually("the gate has a time", async || {
        !gate(master, "open_from").is_empty()
    })
    .await;
    blocking(|| master.command(&["HSET", GATE, "open_from", "1"])).expect("HSET");
    soon("a lease", locker.acquire("held"))
        .await
        .expect("a lease")
}

/// A client that takes the gate for open grants by plain commands, and learns only from the look behind them that
/// another client has closed it. What it has set by then would keep everybody out until it expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_under_a_gate_that_was_closed_meanwhile_is_taken_back() {
    let cluster = cluster();
    let locker = strict(&cluster, LONGEST).await;
    let held = lease_in_first_life(&cluster, &locker).await;
    lease_and_release(&locker, "under the open gate").await;
    set_gate(&cluster, &["open_from", "9999999999999"]);
    let refused = locker.try_acquire("void").await;
    assert!(matches!(refused, Err(Error::GateClosed(_))), "{refused:?}");
    let closed = matches!(locker.grants(), Grants::Closed { .. });
    assert!(closed, "{:?}", locker.grants());
    let master = blocking(|| cluster.master()).expect("a master");
    // It would live for as long as the longest lease, which is longer than anybody waits here.
    eventually("the void grant is gone", async || {
        blocking(|| master.cli(&["EXISTS", "void"])).is_ok_and(|exists| exists.trim() == "0")
    })
    .await;
    drop(held);
}

/// What an operator does on an ordinary day, after the first failover: none of it stops grants.
#[tokio::test(flavor = "multi_thread")]
async fn replica_restarts_snapshots_and_reset_counters_close_no_gate() {
    let cluster = cluster();
    let locker = strict(&cluster, SHORT).await;
    let new = fail_over_once(&cluster, &locker, SHORT).await;
    lease_and_release(&locker, "after").await;
    let claim = gate(cluster.node(new), "claim");
    // On a busy machine the Sentinels may have needed two elections, which is a reason for a pause.
    let reason = gate(cluster.node(new), "reason");
    let replica = (0..3).find(|&node| node != new && cluster.node(node).is_serving());
    let replica = cluster.node(replica.expect("a replica"));
    let master = cluster.node(new);
    let syncs = || blocking(|| master.info("stats")).expect("INFO")["sync_full"].clone();

    let before = syncs();
    blocking(|| {
        replica.kill();
        replica.restart().expect("a restart");
    });
    eventually("a full synchronisation", async || syncs() != before).await;
    lease_and_release(&locker, "replica").await;

    let before = syncs();
    let file = master.directory().join("copy.rdb");
    let file = file.to_str().expect("a path");
    blocking(|| master.cli(&["--rdb", file])).expect("a snapshot");
    assert_ne!(syncs(), before, "it counts as a synchronisation");
    lease_and_release(&locker, "snapshot").await;

    blocking(|| master.command(&["CONFIG", "RESETSTAT"])).expect("RESETSTAT");
    lease_and_release(&locker, "counters").await;

    assert_eq!(gate(master, "claim"), claim, "nobody had to claim again");
    assert_eq!(gate(master, "reason"), reason);
}

/// Runs `HSET` on the gate of the present master.
fn set_gate(cluster: &SentinelCluster, fields: &[&str]) {
    let command = [&["HSET", GATE], fields].concat();
    blocking(|| cluster.master().expect("a master").command(&command)).expect("HSET");
}

/// Kills the master, and waits until the gate of the next one has a time.
async fn succeed(cluster: &SentinelCluster) -> usize {
    let old = blocking(|| cluster.kill_master()).expect("SIGKILL");
    let before = gate(cluster.node((old + 1) % 3), "incarnation");
    let new = blocking(|| cluster.wait_for_new_master(old)).expect("a new master");
    eventually("the gate has a time", async || {
        let is_claimed = gate(cluster.node(new), "incarnation") != before;
        is_claimed && !gate(cluster.node(new), "open_from").is_empty()
    })
    .await;
    new
}

/// The master that succeeds one whose gate's record has these fields.
async fn succeed_by_one_election(gate: &[&str]) -> (SentinelCluster, usize) {
    by_one_election(async |cluster| {
        // It claims and opens the next gate.
        let locker = strict(cluster, SHORT).await;
        all_up_for(cluster.nodes(), SHORT).await;
        lease_and_release(&locker, "before").await;
        set_gate(cluster, gate);
        blocking(|| {
            let within = Duration::from_secs(10);
            let master = cluster.master().expect("a master");
            master.wait_for_replicas(2, within).expect("in step");
        });
        succeed(cluster).await
    })
    .await
}

/// A master that was deposed and is promoted again, without having followed anybody, closes its gate for the leases of the
/// one in between. If it dies meanwhile they are no concern of its successor's history, but they still run.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_was_closed_again_is_no_open_gate_to_the_next_master() {
    let far = "9999999999999";
    let (cluster, new) =
        succeed_by_one_election(&["resynced", "1", "was_open", "0", "open_from", far]).await;
    assert_eq!(gate(cluster.node(new), "fast"), "0");
    let reason = gate(cluster.node(new), "reason");
    assert_eq!(reason, "the gate of the last master was not open");
}

/// Two failovers within one longest lease: leases of the first master run by a clock that is apart from the third one's by
/// both differences.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_master_held_its_grants_back_for_is_added_to_what_the_next_one_does() {
    let (cluster, new) =
        succeed_by_one_election(&["hold_ms", "300", "hold_until", "9999999999999"]).await;
    let reason = gate(cluster.node(new), "reason");
    assert_eq!(reason, "", "it closed its gate");
    let hold = gate(cluster.node(new), "hold_ms");
    let hold: u64 = hold.parse().expect("a number");
    assert!(hold >= 300, "{hold} ms");
}
