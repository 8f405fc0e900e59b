//! The network between client and server, and each way of breaking it.

use std::{
    thread,
    time::{Duration, Instant},
};

use leasehold_testkit::{Afterwards, Mode, Proxy, RedisServer, Result, assert_eventually};
use redis::{Connection, RedisResult};

/// Far above a round trip, far below a test's patience.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);

fn pair() -> Result<(RedisServer, Proxy)> {
    let server = RedisServer::start()?;
    let proxy = Proxy::start(server.address())?;
    Ok((server, proxy))
}

fn client(proxy: &Proxy) -> RedisResult<Connection> {
    let connection = redis::Client::open(format!("redis://{}", proxy.address()))?
        .get_connection_with_timeout(SHORT)?;
    connection.set_read_timeout(Some(SHORT))?;
    Ok(connection)
}

fn increment(connection: &mut Connection) -> RedisResult<i64> {
    redis::cmd("INCR").arg("counter").query(connection)
}

fn counter(server: &RedisServer) -> String {
    server.cli(&["GET", "counter"]).unwrap_or_default()
}

#[test]
fn traffic_passes_and_is_counted() -> Result<()> {
    let (server, proxy) = pair()?;
    let increments = proxy.count("INCR");
    let mut connection = client(&proxy).expect("the proxy accepts");
    for expected in 1..=3 {
        assert_eq!(increment(&mut connection).ok(), Some(expected));
    }
    assert_eq!(increments.seen(), 3);
    assert_eq!((proxy.connections(), proxy.open_connections()), (1, 1));
    drop(connection);
    assert_eventually("the connection to be gone", LONG, || {
        proxy.open_connections() == 0
    });
    let value = "x".repeat(3_000_000);
    let mut connection = client(&proxy).expect("the proxy accepts");
    connection.set_read_timeout(Some(LONG)).expect("a timeout");
    let () = redis::cmd("SET")
        .arg("large")
        .arg(&value)
        .query(&mut connection)
        .expect("a large value goes in");
    let back: String = redis::cmd("GET")
        .arg("large")
        .query(&mut connection)
        .expect("a large value comes out");
    assert!(back == value);
    assert_eq!(counter(&server), "3");
    Ok(())
}

#[test]
fn a_refusing_proxy_closes_connections_and_takes_none() -> Result<()> {
    let (_server, proxy) = pair()?;
    let mut connection = client(&proxy).expect("the proxy accepts");
    proxy.set_mode(Mode::Refuse)?;
    assert!(increment(&mut connection).is_err());
    // It is refused at once; the time is for a machine that is busy.
    let attempt = redis::Client::open(format!("redis://{}", proxy.address()));
    let refused = attempt
        .expect("an address")
        .get_connection_with_timeout(LONG);
    let refused = refused.err().expect("nobody listens");
    assert!(refused.is_connection_refusal(), "{refused}");
    proxy.set_mode(Mode::Pass)?;
    let mut connection = client(&proxy).expect("the proxy accepts again");
    assert_eq!(increment(&mut connection).ok(), Some(1));
    Ok(())
}

#[test]
fn what_is_sent_into_a_black_hole_arrives_when_it_closes() -> Result<()> {
    let (server, proxy) = pair()?;
    let mut connection = client(&proxy).expect("the proxy accepts");
    proxy.set_mode(Mode::Blackhole)?;
    let started = Instant::now();
    assert!(increment(&mut connection).is_err_and(|error| error.is_timeout()));
    assert!(started.elapsed() >= SHORT);
    assert!(client(&proxy).is_err());
    assert_eq!(counter(&server), "");
    proxy.set_mode(Mode::Pass)?;
    assert_eventually("the late command to arrive", LONG, || {
        counter(&server) == "1"
    });
    Ok(())
}

#[test]
fn commands_whose_replies_are_dropped_are_carried_out() -> Result<()> {
    let (server, proxy) = pair()?;
    let mut connection = client(&proxy).expect("the proxy accepts");
    proxy.set_mode(Mode::DropReplies)?;
    assert!(increment(&mut connection).is_err_and(|error| error.is_timeout()));
    assert_eq!(counter(&server), "1");
    proxy.set_mode(Mode::Pass)?;
    assert_eventually("the deaf connection to be closed", LONG, || {
        proxy.open_connections() == 0
    });
    let mut connection = client(&proxy).expect("the proxy accepts");
    assert_eq!(increment(&mut connection).ok(), Some(2));
    Ok(())
}

#[test]
fn the_reply_of_one_chosen_command_is_dropped_and_no_other() -> Result<()> {
    let (server, proxy) = pair()?;
    let mut connection = client(&proxy).expect("the proxy accepts");
    proxy.drop_reply_of("INCR", Afterwards::Cut);
    let pong: RedisResult<String> = redis::cmd("PING").query(&mut connection);
    assert_eq!(pong.ok().as_deref(), Some("PONG"));
    assert!(increment(&mut connection).is_err_and(|error| error.is_connection_dropped()));
    assert_eq!(
        (counter(&server), proxy.replies_dropped()),
        ("1".to_owned(), 1)
    );
    let mut connection = client(&proxy).expect("the proxy accepts");
    assert_eq!(increment(&mut connection).ok(), Some(2));
    proxy.drop_reply_of("INCR", Afterwards::Silence);
    assert!(increment(&mut connection).is_err_and(|error| error.is_timeout()));
    assert_eq!(
        (counter(&server), proxy.replies_dropped()),
        ("3".to_owned(), 2)
    );
    Ok(())
}

#[test]
fn a_half_open_connection_stays_dead() -> Result<()> {
    let (server, proxy) = pair()?;
    let mut connection = client(&proxy).expect("the proxy accepts");
    assert_eq!(increment(&mut connection).ok(), Some(1));
    proxy.set_mode(Mode::HalfOpen)?;
    assert!(increment(&mut connection).is_err_and(|error| error.is_timeout()));
    proxy.set_mode(Mode::Pass)?;
    assert_eq!(proxy.open_connections(), 1);
    let again: RedisResult<i64> = redis::cmd("INCR").arg("counter").query(&mut connection);
    assert!(again.is_err());
    let mut connection = client(&proxy).expect("the proxy accepts");
    assert_eq!(increment(&mut connection).ok(), Some(2));
    assert_eq!(counter(&server), "2");
    Ok(())
}

#[test]
fn delays_add_up_over_a_round_trip_and_overlap_between_commands() -> Result<()> {
    let (_server, proxy) = pair()?;
    proxy.set_mode(Mode::Delay(Duration::from_millis(40)))?;
    let started = Instant::now();
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| client(&proxy).and_then(|mut connection| increment(&mut connection)));
        }
    });
    let both = started.elapsed();
    assert!(both >= Duration::from_millis(80), "{both:?}");
    proxy.set_mode(Mode::Pass)?;
    let mut connection = client(&proxy).expect("the proxy accepts");
    assert_eq!(increment(&mut connection).ok(), Some(6));
    Ok(())
}

#[test]
fn cut_connections_are_replaced_by_new_ones() -> Result<()> {
    let (_server, proxy) = pair()?;
    let other = RedisServer::start()?;
    let mut connection = client(&proxy).expect("the proxy accepts");
    assert_eq!(increment(&mut connection).ok(), Some(1));
    proxy.cut();
    assert!(increment(&mut connection).is_err());
    proxy.retarget(other.address());
    let mut connection = client(&proxy).expect("the proxy accepts");
    assert_eq!(
        increment(&mut connection).ok(),
        Some(1),
        "the other server counts for itself"
    );
    other.kill();
    assert!(increment(&mut connection).is_err());
    assert!(client(&proxy).is_err());
    assert_eq!(proxy.failed_dials(), 1);
    Ok(())
}
