//! What `REDIS_HOST` may wrongly name, and wrong credentials.

use leasehold::{Cause, Unavailable};
use leasehold_testkit::{AclPasswords, FakeServer, RedisServer, SentinelServer, users_acl};
use leasehold_tests::{connect, port_env, refusal, standalone_env};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password() {
    let redis = RedisServer::builder()
        .password("right")
        .start()
        .expect("redis-server");
    let message = refusal(
        standalone_env(&redis),
        &[("REDIS_PASSWORD", "wrong-secret")],
    )
    .await;
    assert_eq!(
        message,
        format!(
            "127.0.0.1:{}: it refused the user name or password (WRONGPASS); correct \
             REDIS_USERNAME and REDIS_PASSWORD",
            redis.port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_user_name() {
    let passwords = AclPasswords {
        leasehold: "secret",
        observer: "pw-observer",
        replica: "r",
        sentinel: "s",
        admin: "a",
    };
    let redis = RedisServer::builder()
        .access_control_list(users_acl(passwords))
        .login("admin", "a")
        .start()
        .expect("redis-server");
    let wrong = [("REDIS_USERNAME", "leashold"), ("REDIS_PASSWORD", "secret")];
    let refused = connect(standalone_env(&redis), &wrong).await;
    let refused = refused.expect_err("a wrong name");
    let cause = refused.unavailable().map(Unavailable::cause);
    assert_eq!(cause, Some(&Cause::WrongPassword), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password() {
    let redis = RedisServer::builder()
        .password("right")
        .start()
        .expect("redis-server");
    assert_eq!(
        refusal(standalone_env(&redis), &[]).await,
        format!(
            "127.0.0.1:{}: it wants a password and none is configured (NOAUTH); set \
             REDIS_PASSWORD, and REDIS_USERNAME unless the user is `default`",
            redis.port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_on_which_nobody_listens() {
    let redis = RedisServer::start().expect("redis-server");
    redis.kill();
    assert_eq!(
        refusal(standalone_env(&redis), &[]).await,
        format!(
            "127.0.0.1:{}: the connection was refused; start the server there, or correct \
             its address (REDIS_HOST and REDIS_PORT, or REDIS_URL)",
            redis.port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_on_which_something_else_listens() {
    let web = FakeServer::garbage("HTTP/1.1 400 Bad Request\r\n\r\n").expect("a listener");
    assert_eq!(
        refusal(port_env(web.port()), &[]).await,
        format!(
            "127.0.0.1:{}: it answered what Redis never answers (something other than the Redis \
             protocol); check that a Redis server listens there, that it does not want TLS, and \
             that nothing rewrites its replies",
            web.port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_on_which_nobody_answers() {
    let mute = FakeServer::mute().expect("a listener");
    let limit = [("REDIS_CONNECT_TIMEOUT", "300ms")];
    assert_eq!(
        refusal(port_env(mute.port()), &limit).await,
        format!(
            "127.0.0.1:{}: no connection within 300ms; check that host and port are right, that \
             no firewall drops the packets, and that the server is not stopped or overloaded",
            mute.port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_exist() {
    let message = refusal(port_env(6379), &[("REDIS_HOST", "no-such-host.invalid")]).await;
    let (before, after) = (
        "no-such-host.invalid:6379: the address cannot be reached (",
        ")",
    );
    assert!(message.starts_with(before), "{message}");
    let rest = message[before.len()..].split_once(after).expect("a detail");
    assert_eq!(rest.1, "; check the host name, DNS and the network");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_as_redis_host() {
    let redis = RedisServer::start().expect("redis-server");
    let sentinel = SentinelServer::builder("127.0.0.1", redis.port())
        .start()
        .expect("a Sentinel");
    let expected = format!(
        "127.0.0.1:{}: it is a Sentinel and holds no data; put this address into \
         REDIS_SENTINEL_HOSTS instead of REDIS_HOST",
        sentinel.port()
    );
    assert_eq!(refusal(port_env(sentinel.port()), &[]).await, expected);
    // A Sentinel has no databases either, which must not hide the true mistake.
    let database = [("REDIS_DB", "1")];
    assert_eq!(
        refusal(port_env(sentinel.port()), &database).await,
        expected
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_as_redis_host() {
    let master = RedisServer::start().expect("redis-server");
    let replica = RedisServer::builder()
        .replica_of("127.0.0.1", master.port())
        .start()
        .expect("a replica");
    assert_eq!(
        refusal(standalone_env(&replica), &[]).await,
        format!(
            "127.0.0.1:{}: it is a replica of 127.0.0.1:{}; point REDIS_HOST at the master, or set \
             REDIS_SENTINEL_HOSTS and let the SDK find it",
            replica.port(),
            master.port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_exist() {
    let redis = RedisServer::start().expect("redis-server");
    assert_eq!(
        refusal(standalone_env(&redis), &[("REDIS_DB", "99")]).await,
        format!(
            "127.0.0.1:{}: it has no database 99 (ERR DB index is out of range); set REDIS_DB to 0, or \
             to one below its `databases` (16 by default)",
            redis.port()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_permissions() {
    let redis = RedisServer::builder()
        .access_control_list("user default on nopass ~* &* +@all\nuser app on >secret +hello\n")
        .start()
        .expect("redis-server");
    let login = [("REDIS_USERNAME", "app"), ("REDIS_PASSWORD", "secret")];
    assert_eq!(
        refusal(standalone_env(&redis), &login).await,
        format!(
            "127.0.0.1:{}: the user lacks a permission (this user has no permissions to run the \
             'info' command); give the user the rules of config/users.acl (ACL SETUSER)",
            redis.port()
        )
    );
}

/// A password goes nowhere before the server has proved who it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_shake_hands_gets_no_password() {
    let server = FakeServer::mute().expect("a listener");
    let tls = [
        ("REDIS_TLS_ENABLED", "true"),
        ("REDIS_TLS_INSECURE", "true"),
        ("REDIS_PASSWORD", "secret"),
        ("REDIS_CONNECT_TIMEOUT", "1s"),
    ];
    assert_eq!(
        refusal(port_env(server.port()), &tls).await,
        format!(
            "127.0.0.1:{}: it left the TLS handshake unanswered for 500ms; does this port speak \
             TLS? If not, use its TLS port or unset REDIS_TLS_ENABLED \
             (REDIS_SENTINEL_TLS_ENABLED=false for a Sentinel)",
            server.port()
        )
    );
}
