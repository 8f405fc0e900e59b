//! `config/users.acl` is what the SDK needs, and no more: with it everything works, and without any
//! one of its rights something does not.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use leasehold::{AcquireOptions, Error, Locker};
use leasehold_testkit::{AclPasswords, RedisServer, users_acl};
use leasehold_tests::{connect, standalone_env};

const PASSWORDS: AclPasswords<'static> = AclPasswords {
    leasehold: "pw-leasehold",
    observer: "pw-observer",
    replica: "pw-replica",
    sentinel: "pw-sentinel",
    admin: "pw-admin",
};

/// Rights whose lack one healthy server does not show.
const NOT_SEEN_HERE: [&str; 7] = [
    // Granted to whoever has not logged in yet, so nobody can be without them.
    "hello",
    "auth",
    // Confirms writes on replicas, of which there are none here.
    "wait",
    // Tells a slow server from a dead one.
    "ping",
    // Which master has which hash slot; this server is no cluster.
    "cluster|info",
    "cluster|slots",
    // A hash slot on its way to another node: `tests/cluster` under the least rights shows it.
    "asking",
];

fn guarded() -> RedisServer {
    let server = RedisServer::builder()
        .access_control_list(users_acl(PASSWORDS))
        .login("admin", PASSWORDS.admin)
        .start();
    server.expect("a server")
}

/// What worked, of all that the SDK does on one strict server.
#[derive(Debug, PartialEq, Eq)]
struct Worked {
    leases: Result<(), String>,
    waiter_was_called: bool,
    foreign_release_was_seen: bool,
    has_a_name: bool,
}

const ALL: Worked = Worked {
    leases: Ok(()),
    waiter_was_called: true,
    foreign_release_was_seen: true,
    has_a_name: true,
};

async fn locker(server: &RedisServer) -> Result<Locker, Error> {
    let strict = [
        ("REDIS_USERNAME", "leasehold"),
        ("REDIS_PASSWORD", PASSWORDS.leasehold),
        ("REDIS_CLIENT_NAME", "rights"),
        ("LOCK_SAFETY", "strict"),
        // A poll comes late, so that a call is told from it.
        ("LOCK_RETRY_INTERVAL", "3s"),
        ("LOCK_TTL", "2s"),
        ("LOCK_MAX_TTL", "2s"),
    ];
    connect(standalone_env(server), &strict).await
}

/// A lease's whole life, in two databases.
async fn leases(server: &RedisServer) -> Result<(), Error> {
    let (first, second) = (locker(server).await?, locker(server).await?);
    let patient = AcquireOptions::new().timeout(Duration::from_secs(6));
    let lease = first.acquire("order").options(&patient).await?;
    lease.renew().await?;
    first.inspect("order").await?;
    assert!(second.try_acquire("order").await.is_err());
    lease.release().await?;
    let database = [
        ("REDIS_DB", "1"),
        ("REDIS_USERNAME", "leasehold"),
        ("REDIS_PASSWORD", PASSWORDS.leasehold),
    ];
    let third = connect(standalone_env(server), &database).await?;
    third.try_acquire("order").await?.release().await?;
    Ok(())
}

/// Whether a waiter has the lock soon after `release`.
async fn is_soon(server: &RedisServer, release: impl AsyncFnOnce()) -> bool {
    let Ok(second) = locker(server).await else {
        return false;
    };
    let patient = AcquireOptions::new().timeout(Duration::from_secs(5));
    let waiting = async {
        let lease = second.acquire("order").options(&patient).await;
        lease.map(|lease| (Instant::now(), lease))
    };
    let releasing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        release().await;
        Instant::now()
    };
    let (taken, released) = tokio::join!(waiting, releasing);
    let Ok((taken, lease)) = taken else {
        return false;
    };
    let _ = lease.release().await;
    taken.saturating_duration_since(released) < Duration::from_millis(900)
}

async fn try_everything(server: &RedisServer) -> Worked {
    let leases = leases(server).await.map_err(|error| format!("{error:?}"));
    let mut worked = Worked {
        waiter_was_called: false,
        foreign_release_was_seen: false,
        has_a_name: false,
        leases,
    };
    if worked.leases.is_err() {
        return worked;
    }
    let Ok(first) = locker(server).await else {
        return worked;
    };
    let clients = server.cli(&["CLIENT", "LIST"]).unwrap_or_default();
    worked.has_a_name = clients.contains("name=rights");
    if let Ok(lease) = first.try_acquire("order").await {
        worked.waiter_was_called = is_soon(server, async || {
            let _ = lease.release().await;
        })
        .await;
    }
    let foreign = ["SET", "order", "a-plain-client", "NX", "PX", "60000"];
    let _ = server.command(&foreign);
    worked.foreign_release_was_seen = is_soon(server, async || {
        let _ = server.command(&["DEL", "order"]);
    })
    .await;
    worked
}

fn rights() -> Vec<String> {
    let acl = users_acl(PASSWORDS);
    let line = acl.lines().find(|line| line.starts_with("user leasehold "));
    let words = line.expect("the user").split_whitespace();
    words
        .filter_map(|word| word.strip_prefix('+'))
        .map(str::to_owned)
        .collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

#[test]
fn the_listed_rights_are_enough() {
    assert_eq!(block_on(try_everything(&guarded())), ALL);
}

#[test]
fn each_listed_right_is_needed() {
    let queue = Mutex::new(rights());
    let idle = Mutex::new(Vec::new());
    let work = || {
        loop {
            let right = queue.lock().expect("no panic").pop();
            let Some(right) = right else {
                return;
            };
            if NOT_SEEN_HERE.contains(&right.as_str()) {
                continue;
            }
            let server = guarded();
            let without = format!("-{right}");
            let set = ["ACL", "SETUSER", "leasehold", &without];
            server.command(&set).expect("an admin");
            if block_on(try_everything(&server)) == ALL {
                idle.lock().expect("no panic").push(right);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(work);
        }
    });
    assert_eq!(*idle.lock().expect("no panic"), Vec::<String>::new());
}
