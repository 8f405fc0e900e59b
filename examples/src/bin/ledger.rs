//! Adds an entry to an account in PostgreSQL, under a lease and with its fence:
//!
//! ```sh
//! IS_LOCKING_DISABLED=false REDIS_HOST=127.0.0.1 DATABASE_URL=postgres://localhost/test \
//!     cargo run -p leasehold-examples --bin ledger -- alice 25
//! ```

use std::error::Error;

use leasehold::Locker;
use leasehold_examples::ledger::{SCHEMA, enter};
use tokio_postgres::NoTls;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(account), Some(amount)) = (words.next(), words.next()) else {
        return Err("usage: ledger ACCOUNT AMOUNT".into());
    };
    let amount = amount.parse()?;
    let (mut client, connection) =
        tokio_postgres::connect(&std::env::var("DATABASE_URL")?, NoTls).await?;
    let connection = tokio::spawn(connection);
    client.batch_execute(SCHEMA).await?;

    let locker = Locker::from_env().await?;
    let lease = locker.acquire(format!("account:{account}")).await?;
    let entered = enter(&mut client, &account, lease.fence(), amount).await;
    // In any case: whoever is next need not wait for the TTL.
    lease.release().await?;
    println!("entry {}", entered?);
    drop(client);
    connection.await??;
    Ok(())
}
