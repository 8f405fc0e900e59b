//! The stand-ins, spoken to by a real client.

use std::time::{Duration, Instant};

use leasehold_testkit::{
    Behaviour, FakeSentinel, FakeServer, Reply, Result, Unreachable, assert_eventually,
};
use redis::{Connection, RedisResult, Value};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);

fn client(url: &str) -> RedisResult<Connection> {
    let connection = redis::Client::open(url)?.get_connection_with_timeout(SHORT)?;
    connection.set_read_timeout(Some(SHORT))?;
    Ok(connection)
}

fn ask<T: redis::FromRedisValue>(connection: &mut Connection, command: &str) -> RedisResult<T> {
    let mut words = command.split_whitespace();
    let mut asked = redis::cmd(words.next().unwrap_or_default());
    words.for_each(|word| {
        asked.arg(word);
    });
    asked.query(connection)
}

#[test]
fn a_mute_server_accepts_and_says_nothing() -> Result<()> {
    let server = FakeServer::mute()?;
    let started = Instant::now();
    assert!(client(&server.url()).is_err_and(|error| error.is_timeout()));
    assert!(started.elapsed() >= SHORT);
    assert_eq!(server.connections(), 1);
    Ok(())
}

#[test]
fn a_server_that_talks_garbage_or_hangs_up_is_an_error() -> Result<()> {
    for server in [
        FakeServer::garbage("HTTP/1.1 400 Bad Request\r\n\r\n")?,
        FakeServer::closing()?,
    ] {
        assert!(client(&server.url()).is_err());
    }
    Ok(())
}

#[test]
fn connecting_to_an_unreachable_address_takes_until_the_timeout() -> Result<()> {
    let nowhere = Unreachable::start()?;
    let started = Instant::now();
    assert!(client(&format!("redis://{}", nowhere.address())).is_err());
    assert!(started.elapsed() >= SHORT);
    Ok(())
}

#[test]
fn a_stopped_server_refuses_until_it_resumes() -> Result<()> {
    let server = FakeServer::with(|_, _| Reply::Usual)?;
    let mut connection = client(&server.url()).expect("it accepts");
    assert_eq!(
        ask::<String>(&mut connection, "PING").ok().as_deref(),
        Some("PONG")
    );
    server.stop();
    assert!(ask::<String>(&mut connection, "PING").is_err());
    assert!(client(&server.url()).is_err_and(|error| error.is_connection_refusal()));
    server.resume()?;
    assert!(client(&server.url()).is_ok());
    Ok(())
}

#[test]
fn a_sentinel_says_what_it_is_told_in_both_protocols() -> Result<()> {
    let sentinel = FakeSentinel::start("mymaster", "10.1.2.3", 6379)?;
    sentinel.update(|view| {
        view.epoch = 7;
        view.listed_address = Some(("10.9.9.9".to_owned(), 1));
        view.peers = vec![("10.0.0.2".to_owned(), 26379)];
    });
    for protocol in ["", "/?protocol=resp3"] {
        let mut connection = client(&format!("{}{protocol}", sentinel.url())).expect("it accepts");
        let address: Vec<String> =
            ask(&mut connection, "SENTINEL get-master-addr-by-name mymaster").expect("an address");
        assert_eq!(address, ["10.1.2.3", "6379"]);
        let master: Value = ask(&mut connection, "SENTINEL MASTER mymaster").expect("a master");
        assert_eq!(matches!(master, Value::Map(_)), !protocol.is_empty());
        let master: std::collections::HashMap<String, String> =
            redis::from_redis_value(master).expect("a map");
        assert_eq!(
            (master["config-epoch"].as_str(), master["ip"].as_str()),
            ("7", "10.9.9.9")
        );
        let unknown: RedisResult<Value> = ask(&mut connection, "SENTINEL MASTER other");
        assert!(
            unknown.is_err_and(|error| error.to_string().contains("No such master with that name"))
        );
        assert_eq!(
            ask::<Value>(&mut connection, "SENTINEL GET-MASTER-ADDR-BY-NAME other").ok(),
            Some(Value::Nil)
        );
    }
    assert_eq!(sentinel.count("SENTINEL MASTER mymaster"), 2);
    Ok(())
}

#[test]
fn a_sentinel_hangs_forgets_and_lies_when_told_to() -> Result<()> {
    let sentinel = FakeSentinel::start("mymaster", "10.1.2.3", 6379)?;
    let question = "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster";
    let mut connection = client(&sentinel.url()).expect("it accepts");
    sentinel.behave(Behaviour::Unknown);
    assert_eq!(
        ask::<Value>(&mut connection, question).ok(),
        Some(Value::Nil)
    );
    sentinel.behave(Behaviour::Always(Reply::Nil));
    assert_eq!(
        ask::<Value>(&mut connection, "SENTINEL MASTER mymaster").ok(),
        Some(Value::Nil)
    );
    sentinel.behave(Behaviour::Silent);
    assert!(ask::<Value>(&mut connection, question).is_err_and(|error| error.is_timeout()));
    sentinel.behave(Behaviour::Late(Duration::from_millis(50)));
    let mut connection = client(&sentinel.url()).expect("it accepts");
    let started = Instant::now();
    assert!(ask::<Vec<String>>(&mut connection, question).is_ok());
    assert!(started.elapsed() >= Duration::from_millis(50));
    sentinel.behave(Behaviour::Answer);
    sentinel.set_master("10.6.6.6", 1, 9_000);
    let address: Vec<String> = ask(&mut connection, question).expect("an address");
    assert_eq!(address, ["10.6.6.6", "1"]);
    Ok(())
}

#[test]
fn a_sentinel_demands_its_password() -> Result<()> {
    let sentinel = FakeSentinel::start("mymaster", "10.1.2.3", 6379)?;
    sentinel.update(|view| view.password = Some("right".to_owned()));
    let address = sentinel.address();
    let with = |url: String| {
        client(&url).and_then(|mut connection| ask::<Value>(&mut connection, "SENTINEL MYID"))
    };
    let code = |outcome: RedisResult<Value>| {
        outcome
            .err()
            .and_then(|error| error.code().map(str::to_owned))
    };
    assert_eq!(
        code(with(format!("redis://{address}"))).as_deref(),
        Some("NOAUTH")
    );
    assert!(with(format!("redis://:wrong@{address}")).is_err());
    assert!(with(format!("redis://:right@{address}")).is_ok());
    assert!(with(format!("redis://:right@{address}/?protocol=resp3")).is_ok());
    Ok(())
}

#[test]
fn a_switch_is_heard_by_subscribers() -> Result<()> {
    let sentinel = FakeSentinel::start("mymaster", "10.1.2.3", 6379)?;
    for protocol in ["", "/?protocol=resp3"] {
        let mut connection = client(&format!("{}{protocol}", sentinel.url())).expect("it accepts");
        connection.set_read_timeout(Some(LONG)).expect("a timeout");
        let mut listener = connection.as_pubsub();
        listener
            .subscribe("+switch-master")
            .expect("a subscription");
        assert_eq!(sentinel.announce_switch("10.4.5.6", 6380), 1);
        let message: String = listener
            .get_message()
            .and_then(|message| message.get_payload())
            .expect("a message");
        assert_eq!(message, "mymaster 10.1.2.3 6379 10.4.5.6 6380");
        drop(listener);
        drop(connection);
        assert_eventually("the subscriber to be gone", LONG, || {
            sentinel.announce_switch("a", 1) == 0
        });
    }
    Ok(())
}
