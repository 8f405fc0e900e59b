//! The fenced table on a real PostgreSQL, with leases of a real Redis.

mod postgres;

use std::time::Duration;

use leasehold::{AcquireOptions, config::Renewal};
use leasehold_examples::ledger::{Refused, SCHEMA, begin, enter};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, lease, soon, standalone_env};
use tokio_postgres::Client;

use postgres::Postgres;

/// `None`, and a word about it, where PostgreSQL is not installed.
async fn database() -> Option<(Postgres, Client)> {
    let server = Postgres::start()?;
    let client = server.connect().await;
    client.batch_execute(SCHEMA).await.expect("the tables");
    Some((server, client))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_wakes_up_too_late_is_refused() {
    let Some((database, mut late)) = database().await else {
        return;
    };
    let redis = RedisServer::start().expect("a server");
    let locker = connect(standalone_env(&redis), &[])
        .await
        .expect("a locker");

    // The first holder is not renewed, as if its process had been paused, and does not look at its
    // lease before it writes.
    let short = AcquireOptions::new()
        .ttl(Duration::from_millis(200))
        .renewal(Renewal::Off);
    let first = locker.acquire("account:alice").options(&short).await;
    let first = first.expect("a lease");
    enter(&mut late, "alice", first.fence(), 10)
        .await
        .expect("an entry");
    let stale = first.fence();
    soon("the loss", first.lost()).await;

    let second = lease(&locker, "account:alice").await;
    let mut client = database.connect().await;
    let number = enter(&mut client, "alice", second.fence(), 25).await;
    assert_eq!(number.expect("an entry"), 2);
    let refused = enter(&mut late, "alice", stale, 99).await;
    assert!(
        matches!(refused, Err(Refused::Stale(fence)) if fence == stale),
        "{refused:?}"
    );

    // One lease covers many writes, and each account has a fence of its own.
    enter(&mut client, "alice", second.fence(), -5)
        .await
        .expect("an entry");
    enter(&mut client, "bob", stale, 1)
        .await
        .expect("another account");
    let sum = "SELECT sum(amount)::bigint FROM entries WHERE account = 'alice'";
    let sum: i64 = client.query_one(sum, &[]).await.expect("a sum").get(0);
    assert_eq!(sum, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_has_begun_is_waited_for() {
    let Some((database, mut earlier)) = database().await else {
        return;
    };
    let (low, high) = (
        41.try_into().expect("a fence"),
        42.try_into().expect("a fence"),
    );
    let transaction = begin(&mut earlier, "account:alice", low)
        .await
        .expect("a transaction");
    let insert = "INSERT INTO entries (account, number, amount) VALUES ('alice', 1, 7)";
    transaction.execute(insert, &[]).await.expect("an entry");

    let mut client = database.connect().await;
    let mut later = Box::pin(enter(&mut client, "alice", high, 8));
    // The later holder sees the earlier one's entry or none at all, never half of it.
    let still = tokio::time::timeout(Duration::from_millis(200), &mut later).await;
    assert!(still.is_err(), "the later holder did not wait: {still:?}");
    transaction.commit().await.expect("the earlier entry");
    assert_eq!(soon("the later entry", later).await.expect("an entry"), 2);
}

/// The statements of the documentation, as `(page's line, text)`.
fn documented() -> Vec<(usize, String)> {
    let mut statements = Vec::new();
    for page in [include_str!("../../docs/guarantees.md")] {
        let mut lines = page.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            if line == "```sql" {
                let text = lines.by_ref().map(|(_, line)| line);
                let text: Vec<&str> = text.take_while(|line| *line != "```").collect();
                statements.push((number + 1, text.join("\n")));
            }
        }
    }
    statements
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_statement_refuses_a_lower_fence() {
    let Some((_database, client)) = database().await else {
        return;
    };
    let table = "CREATE TABLE reports (id text PRIMARY KEY, body text, fence bigint NOT NULL);
                 INSERT INTO reports VALUES ('nightly', '', 0)";
    client.batch_execute(table).await.expect("a table");
    let statements = documented();
    let [(_, update)] = &statements[..] else {
        panic!("{statements:?}")
    };
    for (fence, rows) in [(41_i64, 1), (42, 1), (42, 1), (41, 0)] {
        let written = client.execute(update, &[&"nightly", &"body", &fence]).await;
        assert_eq!(written.expect("a statement"), rows, "{fence}");
    }
}
