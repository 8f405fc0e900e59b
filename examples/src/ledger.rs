//! A PostgreSQL table that refuses a holder whose lease is over.
//!
//! No lock can stop a process that was paused between the last look at its lease and its next write.
//! The table can: each resource has a row with the greatest fence that was seen, and a transaction
//! begins by raising it. Under a lower fence nothing is raised, and the transaction is given up. The
//! row stays locked until the end of the transaction, so a later holder waits for an earlier one that
//! has begun, and an earlier one that has not begun is refused.

use std::fmt;

use leasehold::Fence;
use tokio_postgres::{Client, Transaction};

/// The tables: what is protected, and who may write to it.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS fences (
        resource text   PRIMARY KEY,
        fence    bigint NOT NULL
    );
    CREATE TABLE IF NOT EXISTS entries (
        account  text   NOT NULL,
        number   bigint NOT NULL,
        amount   bigint NOT NULL,
        PRIMARY KEY (account, number)
    );
";

/// Raises the fence of a resource, unless a greater one was seen: then it changes no row.
pub const RAISE: &str = "
    INSERT INTO fences (resource, fence) VALUES ($1, $2)
    ON CONFLICT (resource) DO UPDATE SET fence = excluded.fence
    WHERE fences.fence <= excluded.fence
";

/// Why nothing was written.
#[derive(Debug)]
pub enum Refused {
    /// A later holder has been here. Stop; trying again cannot succeed.
    Stale(Fence),
    /// The database did not do it.
    Database(tokio_postgres::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale(fence) => write!(f, "fence {fence} is stale: a later holder has written"),
            Self::Database(error) => write!(f, "the database: {error}"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

/// Begins a transaction that only the latest holder of `resource` can begin. Whatever is written in
/// it is written under this fence. Dropped without a commit, it is rolled back.
///
/// # Errors
///
/// [`Refused::Stale`] when a greater fence was seen.
pub async fn begin<'a>(
    client: &'a mut Client,
    resource: &str,
    fence: Fence,
) -> Result<Transaction<'a>, Refused> {
    let transaction = client.transaction().await?;
    let number = fence.as_i64();
    let raised = transaction.execute(RAISE, &[&resource, &number]).await?;
    if raised == 0 {
        return Err(Refused::Stale(fence));
    }
    Ok(transaction)
}

/// Adds an entry to an account under the lease on it, and gives its number. Two of these at the same
/// time would choose the same number.
///
/// # Errors
///
/// As [`begin`].
pub async fn enter(
    client: &mut Client,
    account: &str,
    fence: Fence,
    amount: i64,
) -> Result<i64, Refused> {
    let transaction = begin(client, &format!("account:{account}"), fence).await?;
    let last = "SELECT coalesce(max(number), 0) FROM entries WHERE account = $1";
    let number: i64 = transaction.query_one(last, &[&account]).await?.get(0);
    let number = number + 1;
    let insert = "INSERT INTO entries (account, number, amount) VALUES ($1, $2, $3)";
    transaction
        .execute(insert, &[&account, &number, &amount])
        .await?;
    transaction.commit().await?;
    Ok(number)
}
