//! A server that takes another's place: it knows nothing of what was granted, however long it has been up.

use leasehold::{AcquireOptions, Locker, Renewal};
use leasehold_testkit::RedisServer;
use leasehold_tests::{all_up_for, common_env, connect, opened, soon, standalone_env};

use crate::rivals::{Holder, NAME, Rival, TTL, referee};

/// Up for longer than any lease.
async fn warm(count: usize) -> Vec<RedisServer> {
    let servers: Vec<RedisServer> = (0..count)
        .map(|_| RedisServer::start().expect("redis-server"))
        .collect();
    all_up_for(&servers, TTL).await;
    servers
}

/// A lease that nobody renews, as that of a holder that is parted from the server.
async fn hold_unrenewed(locker: &Locker) -> Holder {
    let options = AcquireOptions::new().renewal(Renewal::Off);
    let lease = soon("a lease", locker.acquire(NAME).options(&options)).await;
    Holder::watch(lease.expect("a lease"))
}

/// What a service address, a name in DNS or a virtual IP address leads to may be another server tomorrow, while the holder
/// still has its connection to the one before.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_server_at_a_fixed_address_waits_for_what_is_held() {
    let servers = warm(2).await;
    let strict = [("LOCK_SAFETY", "strict")];
    let one = connect(standalone_env(&servers[0]), &strict)
        .await
        .expect("connect");
    opened(&one).await;
    let holder = hold_unrenewed(&one).await;
    let other = connect(standalone_env(&servers[1]), &strict)
        .await
        .expect("connect");
    let rival = Rival::start(&other);
    referee(holder, &rival, TTL).await;
}

/// One member of a quorum cannot be reached by the holder, another is replaced after the grant.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_replaced_grants_nothing_that_its_predecessor_did() {
    let servers = warm(4).await;
    let nowhere = "redis://127.0.0.1:1".to_owned();
    let quorum = async |members: [String; 3]| {
        let mut settings = common_env();
        settings.push(("LOCK_REDLOCK_NODES".into(), members.join(",")));
        connect(settings, &[]).await.expect("connect")
    };
    let one = quorum([servers[0].url(), servers[1].url(), nowhere]).await;
    opened(&one).await;
    let holder = hold_unrenewed(&one).await;
    let others = [0, 2, 3].map(|member| servers[member].url());
    let other = quorum(others).await;
    let rival = Rival::start(&other);
    referee(holder, &rival, TTL).await;
}
