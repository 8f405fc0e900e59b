//! Requests of one client that come together go together, and none of them notices.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use leasehold::{AcquireOptions, Error, Lease, Locker, Released, Renewal};
use leasehold_testkit::{RedisServer, ServerProcess};
use leasehold_tests::{
    connect, eventually, lease, opened, patient, sentinel_env, soon, standalone_env,
};

const CROWD: usize = 50;

/// Short, for the gate of strict mode opens so long after the server's start.
const TTL: [(&str, &str); 2] = [("LOCK_TTL", "3s"), ("LOCK_MAX_TTL", "3s")];
/// Long enough that what is gone within [`SOON`] was deleted and did not expire.
const LONG: [(&str, &str); 2] = [("LOCK_TTL", "9s"), ("LOCK_MAX_TTL", "9s")];
const SOON: Duration = Duration::from_secs(6);

async fn locker(server: &RedisServer, safety: &str) -> Locker {
    locker_with(server, safety, TTL).await
}

async fn locker_with(server: &RedisServer, safety: &str, ttl: [(&str, &str); 2]) -> Locker {
    let overrides = [ttl[0], ttl[1], ("LOCK_SAFETY", safety)];
    let locker = connect(standalone_env(server), &overrides).await;
    let locker = locker.expect("connect");
    opened(&locker).await;
    locker
}

/// How many scripts the server was asked to run.
fn scripts(server: &ServerProcess) -> u64 {
    let calls = server.info("commandstats").expect("INFO");
    let calls = ["cmdstat_eval", "cmdstat_evalsha"].map(|name| {
        let fields = calls.get(name).map_or("", String::as_str);
        let calls = fields
            .split(',')
            .find_map(|field| field.strip_prefix("calls="));
        calls.map_or(0, |calls| calls.parse().expect("a number"))
    });
    calls.iter().sum()
}

/// Runs all futures at once, and lets the server answer only then: in one task, so that each has asked
/// before the first goes on.
async fn at_once<F: Future>(
    server: &ServerProcess,
    futures: impl IntoIterator<Item = F>,
) -> Vec<F::Output> {
    server.pause().expect("SIGSTOP");
    let resumed = async {
        tokio::task::yield_now().await;
        server.resume().expect("SIGCONT");
    };
    let (outputs, ()) = tokio::join!(soon("all of them", join_all(futures)), resumed);
    outputs
}

fn attempt(locker: &Locker, name: String) -> impl Future<Output = Result<Lease, Error>> + use<> {
    let locker = locker.clone();
    async move { locker.try_acquire(name).await }
}

/// Attempts at all of `some`, together.
async fn attempt_all(server: &ServerProcess, locker: &Locker) -> Vec<Result<Lease, Error>> {
    at_once(server, names("some").map(|name| attempt(locker, name))).await
}

/// The server said nothing: it is not known what it did, or that it did nothing.
fn assert_unanswered(answer: &Result<Lease, Error>) {
    assert!(
        matches!(answer, Err(Error::Ambiguous { .. } | Error::Unavailable(_))),
        "{answer:?}"
    );
}

/// Counted from zero, and with these words.
fn only_the_seventh_fails(answers: Vec<Result<Lease, Error>>, words: &str) {
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(_) => assert_ne!(number, 7),
            Err(error) => assert!(number == 7 && error.to_string().contains(words), "{error}"),
        }
    }
}

fn names(kind: &str) -> impl Iterator<Item = String> {
    (0..CROWD).map(move |number| format!("{kind} {number}"))
}

async fn a_crowd_takes_few_scripts(server: &ServerProcess, locker: &Locker) {
    let before = scripts(server);
    let attempts = names("crowd").map(|name| attempt(locker, name));
    let leases = at_once(server, attempts).await;
    let leases: Vec<Lease> = leases
        .into_iter()
        .map(|lease| lease.expect("a lease"))
        .collect();
    let granted = scripts(server);
    for lease in &leases {
        let holding = locker.inspect(lease.resource().as_str()).await;
        let holding = holding.expect("an answer").expect("a holder");
        assert_eq!(holding.fence, Some(lease.fence()));
    }
    let inspected = scripts(server);
    let releases = leases
        .into_iter()
        .map(|lease| async move { lease.release().await });
    for released in at_once(server, releases).await {
        assert_eq!(released.expect("a release"), Released::Released);
    }
    let released = scripts(server);
    for (what, number) in [
        ("acquire", granted - before),
        ("release", released - inspected),
    ] {
        assert!(
            number < CROWD as u64 / 2,
            "{number} scripts to {what} {CROWD} locks"
        );
    }
    for name in names("crowd") {
        assert!(locker.inspect(&*name).await.expect("an answer").is_none());
    }
}

#[tokio::test]
async fn a_crowd_takes_few_scripts_relaxed_and_strict() {
    let server = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        a_crowd_takes_few_scripts(&server, &locker(&server, safety).await).await;
    }
}

#[tokio::test]
async fn a_crowd_takes_few_scripts_where_grants_are_confirmed() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &TTL)
        .await
        .expect("connect");
    opened(&locker).await;
    let master = cluster.master_index().expect("a master");
    a_crowd_takes_few_scripts(cluster.node(master), &locker).await;
}

/// Some of the locks are held, by others and by plain clients: who asks is told, and who waits gets
/// its turn.
#[tokio::test(flavor = "multi_thread")]
async fn held_locks_are_told_from_free_ones() {
    let server = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let (ours, theirs) = (locker(&server, safety).await, locker(&server, safety).await);
        let held = join_all(names("some").step_by(2).map(|name| attempt(&theirs, name))).await;
        let held: Vec<Lease> = held
            .into_iter()
            .map(|lease| lease.expect("a lease"))
            .collect();
        let answers = attempt_all(&server, &ours).await;
        for (number, answer) in answers.iter().enumerate() {
            match answer {
                Ok(_) => assert!(number % 2 == 1, "{number} was held"),
                Err(Error::Held(_)) => assert!(number % 2 == 0, "{number} was free"),
                Err(error) => panic!("{error}"),
            }
        }
        drop(answers);
        let waiting = names("some").map(|name| {
            let ours = ours.clone();
            async move { ours.acquire(name).await }
        });
        let waiting: Vec<_> = waiting.map(tokio::spawn).collect();
        for released in join_all(held.into_iter().map(Lease::release)).await {
            released.expect("a release");
        }
        for turn in soon("every turn", join_all(waiting)).await {
            drop(turn.expect("a task").expect("a lease"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_fails_fails_alone() {
    let server = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let locker = locker(&server, safety).await;
        drop(lease(&locker, "some 7").await);
        let keys = server.cli(&["KEYS", "*some 7*fence*"]).expect("KEYS");
        let fence = keys.lines().next().expect("a fence");
        server.cli(&["DEL", fence]).expect("DEL");
        server.cli(&["RPUSH", fence, "no fence"]).expect("RPUSH");
        let answers = attempt_all(&server, &locker).await;
        only_the_seventh_fails(answers, "WRONGTYPE");
        server.cli(&["DEL", fence]).expect("DEL");
    }
}

/// The server refuses a batch whole when one of its keys is not the user's.
#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_key_spoils_nothing() {
    let server = RedisServer::start().expect("redis-server");
    let user = [
        "ACL", "SETUSER", "worker", "on", ">pw", "+@all", "&*", "~*some*", "~before*",
    ];
    let gate = ["~*{before}*", "~*gate*"];
    server.cli(&[&user[..], &gate].concat()).expect("ACL");
    let login = [("REDIS_USERNAME", "worker"), ("REDIS_PASSWORD", "pw")];
    for safety in ["relaxed", "strict"] {
        let overrides = [TTL[0], TTL[1], login[0], login[1], ("LOCK_SAFETY", safety)];
        let locker = connect(standalone_env(&server), &overrides).await;
        let locker = locker.expect("connect");
        opened(&locker).await;
        let mut wanted: Vec<String> = names("some").collect();
        "not mine".clone_into(&mut wanted[7]);
        let answers = at_once(
            &server,
            wanted.into_iter().map(|name| attempt(&locker, name)),
        )
        .await;
        only_the_seventh_fails(answers, "permission");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_scripts_is_told_them_again() {
    let server = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let locker = locker(&server, safety).await;
        for _ in 0..3 {
            server.cli(&["SCRIPT", "FLUSH"]).expect("SCRIPT FLUSH");
            let answers = attempt_all(&server, &locker).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
    }
}

/// How often the server was asked for a script that it does not know.
fn unknown_scripts(server: &ServerProcess) -> u64 {
    let errors = server.info("errorstats").expect("INFO");
    let count = errors.get("errorstat_NOSCRIPT");
    let count = count.and_then(|fields| fields.strip_prefix("count="));
    count.map_or(0, |count| count.parse().expect("a number"))
}

/// As after a failover: whatever a batch cannot take is asked for by its digest once, not twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_new_to_the_scripts_is_told_them_in_one_round() {
    let cluster = patient().start().expect("a cluster");
    let locker = connect(sentinel_env(&cluster), &LONG).await;
    let locker = locker.expect("connect");
    opened(&locker).await;
    // Nobody else renews them meanwhile.
    let by_hand = AcquireOptions::new().renewal(Renewal::Off);
    let attempts =
        names("some").map(|name| locker.try_acquire(name).options(&by_hand).into_future());
    let leases = join_all(attempts).await;
    let leases: Vec<Lease> = leases
        .into_iter()
        .map(|lease| lease.expect("a lease"))
        .collect();
    let master = cluster.node(cluster.master_index().expect("a master"));
    for _ in 0..20 {
        let before = unknown_scripts(master);
        master.cli(&["SCRIPT", "FLUSH"]).expect("SCRIPT FLUSH");
        // While the first is being confirmed the others gather.
        let first = async {
            drop(attempt(&locker, "first".to_owned()).await);
            Ok(())
        };
        let renewals = leases.iter().map(|lease| lease.renew().boxed());
        for answer in at_once(master, std::iter::once(first.boxed()).chain(renewals)).await {
            answer.expect("a renewal");
        }
        let asked = unknown_scripts(master) - before;
        assert!(asked < 3 * CROWD as u64 / 2, "{asked} for {CROWD} renewals");
        if asked > CROWD as u64 / 2 {
            return;
        }
    }
    panic!("the renewals never came together");
}

/// As long as they go on, not only where they begin together.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_goes_on_takes_few_scripts() {
    const PAIRS: usize = 40;
    let server = RedisServer::start().expect("redis-server");
    let locker = locker(&server, "relaxed").await;
    let before = scripts(&server);
    let working = names("working").map(|name| {
        let locker = locker.clone();
        tokio::spawn(async move {
            for _ in 0..PAIRS {
                let released = lease(&locker, &name).await.release().await;
                assert_eq!(released.expect("a release"), Released::Released);
            }
        })
    });
    for ended in soon("all of them", join_all(working)).await {
        ended.expect("no panic");
    }
    let (asked, pairs) = (scripts(&server) - before, (CROWD * PAIRS) as u64);
    assert!(asked < pairs / 2, "{asked} scripts for {pairs} pairs");
}

#[tokio::test]
async fn a_server_that_dies_leaves_nobody_waiting() {
    let server = RedisServer::start().expect("redis-server");
    let locker = locker(&server, "relaxed").await;
    server.pause().expect("SIGSTOP");
    // Some are under way, some in a batch that forms, and some come when all is over.
    let attempts = names("cut off").map(|name| attempt(&locker, name));
    let attempts: Vec<_> = attempts.map(tokio::spawn).collect();
    tokio::task::yield_now().await;
    server.kill();
    for answer in soon("all of them", join_all(attempts)).await {
        assert_unanswered(&answer.expect("no panic"));
    }
}

/// All of a batch share one deadline, and the next batch is not kept by it.
#[tokio::test]
async fn a_server_that_hangs_is_given_up_by_all() {
    let server = RedisServer::start().expect("redis-server");
    let locker = locker(&server, "relaxed").await;
    server.pause().expect("SIGSTOP");
    let attempts = names("hung").map(|name| attempt(&locker, name));
    for answer in soon("all of them", join_all(attempts)).await {
        assert_unanswered(&answer);
    }
    server.resume().expect("SIGCONT");
    let again = names("hung").map(|name| {
        let locker = locker.clone();
        async move { lease(&locker, &name).await }
    });
    assert_eq!(join_all(again).await.len(), CROWD);
}

/// Whoever is dropped leaves nothing behind, and takes nobody along.
#[tokio::test(flavor = "multi_thread")]
async fn requests_dropped_while_others_go_on() {
    let server = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let locker = locker_with(&server, safety, LONG).await;
        for round in 0..20_u64 {
            let attempts = names("some").enumerate().map(|(number, name)| {
                let attempt = attempt(&locker, name);
                async move {
                    if number % 3 == 0 {
                        return Some(attempt.await);
                    }
                    let patience = Duration::from_micros(round * number as u64);
                    tokio::time::timeout(patience, attempt).await.ok()
                }
            });
            let answers = at_once(&server, attempts).await;
            for (number, answer) in answers.iter().enumerate() {
                assert!(
                    number % 3 != 0 || matches!(answer, Some(Ok(_))),
                    "{answer:?}"
                );
            }
            drop(answers);
            let gone = eventually("nothing is left", async || {
                let holders = names("some").map(async |name| locker.inspect(name).await);
                let mut holders = join_all(holders).await.into_iter();
                holders.all(|holder| holder.expect("an answer").is_none())
            });
            let gone = tokio::time::timeout(SOON, gone).await;
            assert!(gone.is_ok(), "something is left: {safety}, round {round}");
        }
    }
}

/// Between a release and the turn of the waiter that it calls there is no way in.
#[tokio::test(flavor = "multi_thread")]
async fn waiters_are_called_and_not_overtaken() {
    let server = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let locker = locker(&server, safety).await;
        let leases = join_all(names("some").map(|name| attempt(&locker, name))).await;
        // A waiter that counts but will not answer: subscribed, and stopped.
        let far = "9999999999999";
        let waiter = [
            &["ZADD", "{some 7}:queue", "1", "stopped"][..],
            &["HSET", "{some 7}:alive", "stopped", far],
        ];
        for command in waiter {
            server.command(command).expect("a queue");
        }
        let client = redis::Client::open(server.url()).expect("a client");
        let mut deaf = client.get_connection().expect("connect");
        deaf.set_read_timeout(Some(SOON)).expect("a timeout");
        let mut subscription = deaf.as_pubsub();
        subscription
            .subscribe("leasehold:wake:stopped")
            .expect("SUBSCRIBE");

        let releases = leases
            .into_iter()
            .map(|lease| async { lease.expect("a lease").release().await });
        for released in at_once(&server, releases).await {
            assert_eq!(released.expect("a release"), Released::Released);
        }
        let called = subscription.get_message().expect("a call");
        let called: String = called.get_payload().expect("text");
        assert_eq!(called, "free some 7");

        let answers = attempt_all(&server, &locker).await;
        for (number, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(_) => assert_ne!(number, 7, "overtaken"),
                Err(Error::Held(held)) => {
                    assert_eq!(number, 7);
                    assert_eq!(held.owner.as_deref(), Some("the next in its queue"));
                }
                Err(error) => panic!("{error}"),
            }
        }
        server.command(&["DEL", "{some 7}:queue"]).expect("DEL");
    }
}

/// Neither one that another holds now, nor one that is no lock any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_released_keeps_no_other_from_it() {
    let server = RedisServer::start().expect("redis-server");
    for safety in ["relaxed", "strict"] {
        let locker = locker(&server, safety).await;
        let leases = join_all(names("some").map(|name| attempt(&locker, name))).await;
        let spoiled = [
            &["SET", "some 7", "another's"][..],
            &["DEL", "some 9"],
            &["RPUSH", "some 9", "a list"],
        ];
        for command in spoiled {
            server.command(command).expect("a key");
        }
        let releases = leases
            .into_iter()
            .map(|lease| async { lease.expect("a lease").release().await });
        let answers = at_once(&server, releases).await;
        for (number, answer) in answers.into_iter().enumerate() {
            let is_released = matches!(answer, Ok(Released::Released));
            let is_spoiled = [7, 9].contains(&number);
            assert_eq!(is_released, !is_spoiled, "{number}: {answer:?}");
        }
        let holder = server.cli(&["GET", "some 7"]).expect("GET");
        assert_eq!(holder.trim(), "another's");
        let spoiled = ["DEL", "some 7", "some 9"];
        server.command(&spoiled).expect("DEL");
    }
}

/// The gate of a server that has just started is closed, for a crowd as for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_lets_no_crowd_in() {
    let server = RedisServer::start().expect("redis-server");
    let overrides = [TTL[0], TTL[1], ("LOCK_SAFETY", "strict")];
    let locker = connect(standalone_env(&server), &overrides).await;
    let locker = locker.expect("connect");
    // The first attempt claims the gate.
    for _ in 0..2 {
        let answers = attempt_all(&server, &locker).await;
        for answer in answers {
            assert!(matches!(answer, Err(Error::GateClosed(_))), "{answer:?}");
        }
    }
}

/// Another client of the same incarnation has agreed on shorter leases.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_a_crowd_leases_for_longer_than_was_agreed() {
    let server = RedisServer::start().expect("redis-server");
    let short = [
        ("LOCK_TTL", "2s"),
        ("LOCK_MAX_TTL", "2s"),
        ("LOCK_SAFETY", "strict"),
    ];
    let first = connect(standalone_env(&server), &short).await;
    opened(&first.expect("connect")).await;
    let overrides = [TTL[0], TTL[1], ("LOCK_SAFETY", "strict")];
    let second = connect(standalone_env(&server), &overrides).await;
    let second = second.expect("connect");
    for answer in attempt_all(&server, &second).await {
        assert!(matches!(answer, Err(Error::Ttl { .. })), "{answer:?}");
    }
}

/// The answers of `batch.lua` itself to each request, in relaxed mode.
fn run(server: &RedisServer, keys: &[&str], arguments: &[&str]) -> Vec<redis::Value> {
    let script = [
        include_str!("../../crates/lock/src/redis/scripts/constants.lua"),
        include_str!("../../crates/lock/src/redis/scripts/clock.lua"),
        include_str!("../../crates/lock/src/redis/scripts/fence.lua"),
        include_str!("../../crates/lock/src/redis/scripts/gate.lua"),
        include_str!("../../crates/lock/src/redis/scripts/batch.lua"),
    ];
    let client = redis::Client::open(server.url()).expect("a client");
    let mut connection = client.get_connection().expect("connect");
    let mut call = redis::cmd("EVAL");
    call.arg(script.concat()).arg(keys.len());
    let answers = call.arg(keys).arg(arguments).query(&mut connection);
    let mut answers: Vec<redis::Value> = answers.expect("EVAL");
    // Outside strict mode there are no full synchronisations to count.
    assert_eq!(answers.remove(0), redis::Value::Int(-1));
    answers
}

/// What takes back an acquisition that was given up may be in the same batch.
#[test]
fn in_a_batch_acquisitions_come_before_releases() {
    let server = RedisServer::start().expect("redis-server");
    let keys = ["queue", "lock", "fence", "queue", "lock"];
    let arguments = ["1", "1", "0", "", "token", "60000", "token"];
    run(&server, &keys, &arguments);
    let left = server.cli(&["EXISTS", "fence", "lock"]).expect("EXISTS");
    assert_eq!(left.trim(), "1");
}

/// All keys are looked at before anything is done; a batch that names one twice must not believe
/// what it saw.
#[test]
fn a_lock_named_twice_in_a_batch_is_granted_and_released_once() {
    let server = RedisServer::start().expect("redis-server");
    let acquired = ["queue", "lock", "queue", "lock", "fence", "fence"];
    let released = ["queue", "queue", "lock", "lock"];
    let granted = ["first", "60000", "second", "60000"];
    let keys = [&acquired[..], &released].concat();
    let arguments = [&["2", "2", "0", ""], &granted[..], &["first", "first"]].concat();
    let answers = run(&server, &keys, &arguments);
    let is_done: Vec<_> = answers
        .iter()
        .map(|answer| *answer != redis::Value::Nil)
        .collect();
    assert_eq!(is_done, [true, false, true, false], "{answers:?}");
}
