//! A server that takes another's place: it knows nothing of what was granted, however long it has been up.

use std::time::Duration;

use leasehold::{AcquireOptions, Locker, Renewal};
use leasehold_testkit::{Proxy, RedisServer, wait_until};
use leasehold_tests::{connect, opened, port_env, soon};

use crate::rivals::{Holder, NAME, Rival, TTL, referee};

/// Up for longer than any lease.
fn warm(count: usize) -> Vec<RedisServer> {
    let servers: Vec<RedisServer> = (0..count)
        .map(|_| RedisServer::start().expect("redis-server"))
        .collect();
    let is_warm = |server: &RedisServer| {
        let info = server.info("server");
        let uptime = info
            .ok()
            .and_then(|info| info["uptime_in_seconds"].parse().ok());
        uptime.is_some_and(|uptime: u64| uptime > TTL.as_secs() + 2)
    };
    let all = wait_until("warm servers", Duration::from_secs(30), || {
        servers.iter().all(is_warm)
    });
    all.expect("warm servers");
    servers
}

/// A lease that nobody renews, as that of a holder that is parted from the server.
async fn hold_unrenewed(locker: &Locker) -> Holder {
    let options = AcquireOptions::new().renewal(Renewal::Off);
    let lease = soon("a lease", locker.acquire(NAME).options(&options)).await;
    Holder::watch(lease.expect("a lease"))
}

/// What a service address, a name in DNS or a virtual IP address leads to may be another server tomorrow.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_server_at_a_fixed_address_waits_for_what_is_held() {
    let servers = warm(2);
    let address = Proxy::start(servers[0].address()).expect("a proxy");
    let strict = [("LOCK_SAFETY", "strict")];
    let one = connect(port_env(address.port()), &strict)
        .await
        .expect("connect");
    opened(&one).await;
    let holder = hold_unrenewed(&one).await;
    drop(one);
    address.retarget(servers[1].address());
    let other = connect(port_env(address.port()), &strict)
        .await
        .expect("connect");
    address.cut();
    let rival = Rival::start(&other);
    referee(holder, &rival, TTL).await;
}

/// One member of a quorum is frozen when the lease is granted, another is replaced after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_replaced_grants_nothing_that_its_predecessor_did() {
    let servers = warm(4);
    let second = Proxy::start(servers[1].address()).expect("a proxy");
    let nodes = [
        servers[0].url(),
        format!("redis://{}", second.address()),
        servers[2].url(),
    ];
    let settings = [
        ("IS_LOCKING_DISABLED", "false"),
        ("LOCK_REDLOCK_NODES", &nodes.join(",")),
        ("LOCK_TTL", "3s"),
        ("LOCK_MAX_TTL", "3s"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
        ("LOCK_RETRY_INTERVAL", "200ms"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let one = connect(settings.clone(), &[]).await.expect("connect");
    opened(&one).await;
    servers[2].pause().expect("SIGSTOP");
    let holder = hold_unrenewed(&one).await;
    second.retarget(servers[3].address());
    second.cut();
    servers[2].resume().expect("SIGCONT");
    let other = connect(settings, &[]).await.expect("connect");
    let rival = Rival::start(&other);
    referee(holder, &rival, TTL).await;
}
