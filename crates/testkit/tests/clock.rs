//! The clock shim: a server's wall clock moves, and nothing else does.

use std::{
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use leasehold_testkit::{Error, RedisServer, Result};
use redis::Value;

const HOUR: i64 = 3_600_000;

/// How far the server's clock is ahead of ours, in milliseconds.
fn ahead(server: &RedisServer) -> Result<i64> {
    let before = now();
    let told = server.time()?;
    assert!(
        now() - before < 1_000,
        "the machine is too slow to compare clocks"
    );
    Ok(told - before)
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[test]
fn the_clock_of_one_running_server_is_moved_both_ways() -> Result<()> {
    let server = RedisServer::builder().clock_shim(true).start()?;
    assert!(ahead(&server)?.abs() < 1_000);
    for offset in [HOUR, -HOUR, 1_500, -1_500, 0] {
        server.set_clock_offset(offset)?;
        let seen = ahead(&server)?;
        assert!(
            (seen - offset).abs() < 1_000,
            "set to {offset}, seen {seen}"
        );
    }
    server.set_clock_offset(HOUR)?;
    server.restart()?;
    assert!(
        (ahead(&server)? - HOUR).abs() < 1_000,
        "a machine keeps its wrong clock over a restart"
    );
    Ok(())
}

#[test]
fn a_jump_forward_ends_keys_early_and_a_jump_back_keeps_them() -> Result<()> {
    let server = RedisServer::builder().clock_shim(true).start()?;
    server.command(&["SET", "key", "value", "PX", "30000"])?;
    server.set_clock_offset(-HOUR)?;
    let Value::Int(left) = server.command(&["PTTL", "key"])? else {
        panic!("no TTL")
    };
    assert!(left > HOUR, "{left}");
    server.set_clock_offset(HOUR)?;
    assert_eq!(server.command(&["GET", "key"])?, Value::Nil);
    Ok(())
}

#[test]
fn sleeping_is_not_affected_by_a_moving_clock() -> Result<()> {
    let server = RedisServer::builder().clock_shim(true).start()?;
    let mut connection = server.connection()?;
    connection
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let started = std::time::Instant::now();
            let _: redis::RedisResult<Value> = redis::cmd("DEBUG")
                .arg("SLEEP")
                .arg("0.3")
                .query(&mut connection);
            started.elapsed()
        });
        let _ = server.set_clock_offset(HOUR);
        assert!(
            waiting
                .join()
                .is_ok_and(|slept| slept >= Duration::from_millis(300))
        );
    });
    Ok(())
}

#[test]
fn a_server_without_the_shim_says_so() -> Result<()> {
    let server = RedisServer::start()?;
    let outcome = server.set_clock_offset(1);
    assert!(
        matches!(outcome, Err(Error::Unavailable { .. })),
        "{outcome:?}"
    );
    Ok(())
}
