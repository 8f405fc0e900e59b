//! The unit of latency: a PING, and a write that a replica has confirmed.

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;

use crate::Result;
use crate::samples::Samples;

/// PINGs one after the other for a slice.
///
/// # Errors
///
/// When the server does not answer.
pub async fn ping(connection: &MultiplexedConnection, slice: Duration) -> Result<Samples> {
    ping_at_rest(connection, Duration::ZERO, slice).await
}

/// PINGs for a slice, with a pause before each, in which processors go to sleep that a PING then has
/// to wake.
///
/// # Errors
///
/// When the server does not answer.
pub async fn ping_at_rest(
    connection: &MultiplexedConnection,
    pause: Duration,
    slice: Duration,
) -> Result<Samples> {
    let mut command = redis::pipe();
    command.cmd("PING");
    repeat(connection, &command, pause, slice).await
}

/// The round trip of replication: a write, and the word that one replica has it.
///
/// # Errors
///
/// When the server does not answer.
pub async fn replicate(connection: &MultiplexedConnection, slice: Duration) -> Result<Samples> {
    let mut commands = redis::pipe();
    commands
        .cmd("SET")
        .arg("leasehold-bench:replicated")
        .arg("x");
    commands.cmd("WAIT").arg(1).arg(1000);
    repeat(connection, &commands, Duration::ZERO, slice).await
}

async fn repeat(
    connection: &MultiplexedConnection,
    commands: &redis::Pipeline,
    pause: Duration,
    slice: Duration,
) -> Result<Samples> {
    let mut connection = connection.clone();
    let (began, mut took) = (Instant::now(), Vec::new());
    while began.elapsed() < slice {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let sent = Instant::now();
        commands.query_async::<()>(&mut connection).await?;
        took.push(sent.elapsed());
    }
    Ok(Samples::new(took, began.elapsed()))
}
