//! One server: what each way of ending and starting it does to its process, its port and its data.

use std::time::{Duration, Instant};

use leasehold_testkit::{RedisServer, Result, Role};
use redis::Value;

#[test]
fn a_killed_server_comes_back_empty_on_the_same_port() -> Result<()> {
    let started = Instant::now();
    let server = RedisServer::start()?;
    eprintln!("start: {:?}", started.elapsed());
    let port = server.port();
    server.command(&["SET", "key", "value"])?;
    server.kill();
    assert!(!server.is_running());
    assert!(server.command(&["PING"]).is_err());
    server.restart()?;
    assert_eq!(server.port(), port);
    assert_eq!(server.role()?, Role::Master);
    assert_eq!(server.command(&["GET", "key"])?, Value::Nil);
    Ok(())
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed() -> Result<()> {
    let server = RedisServer::start()?;
    server.pause()?;
    assert!(server.is_running() && server.is_paused());
    let started = Instant::now();
    assert!(server.command(&["PING"]).is_err());
    assert!(started.elapsed() < Duration::from_secs(5));
    server.resume()?;
    assert_eq!(
        server.command(&["PING"])?,
        Value::SimpleString("PONG".to_owned())
    );
    Ok(())
}
