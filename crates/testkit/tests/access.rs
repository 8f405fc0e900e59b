//! The project's own configuration files, on real servers.

use leasehold_testkit::{
    AclPasswords, RedisServer, RedisServerBuilder, Result, SentinelCluster, users_acl,
};
use redis::{RedisResult, Value};

const PASSWORDS: AclPasswords<'static> = AclPasswords {
    leasehold: "pw-leasehold",
    observer: "pw-observer",
    replica: "pw-replica",
    sentinel: "pw-sentinel",
    admin: "pw-admin",
};

fn guarded() -> RedisServerBuilder {
    RedisServer::builder()
        .access_control_list(users_acl(PASSWORDS))
        .login("admin", PASSWORDS.admin)
}

fn run(connection: &mut redis::Connection, command: &str) -> RedisResult<Value> {
    let mut asked = redis::Cmd::new();
    for word in command.split('|') {
        asked.arg(word);
    }
    asked.query(connection)
}

#[test]
fn the_user_of_the_library_can_lock_and_do_nothing_else() -> Result<()> {
    let server = guarded().start()?;
    let url = format!(
        "redis://leasehold:{}@{}",
        PASSWORDS.leasehold,
        server.address()
    );
    let mut user = redis::Client::open(url)
        .and_then(|client| client.get_connection())
        .expect("a login");
    let allowed = [
        "SET|key|token|NX|PX|1000",
        "GET|key",
        "PTTL|key",
        "PEXPIRE|key|2000",
        "HSET|{key}:owner|name|me",
        "HMGET|{key}:owner|name",
        "EVAL|return redis.call('INFO', 'replication') .. redis.call('TIME')[1] .. redis.call('DEL', KEYS[1])|1|key",
        "ZADD|{key}:queue|1|waiter",
        "WAIT|0|10",
        "HINCRBY|leasehold:fence|last|1",
        "PUBLISH|leasehold:wake:1|free - key",
    ];
    for command in allowed {
        assert!(
            run(&mut user, command).is_ok(),
            "{command}: {:?}",
            run(&mut user, command)
        );
    }
    let denied = [
        "PUBLISH|__sentinel__:hello|10.0.0.1,26379,x,9000,mymaster,10.0.0.1,6379,9000",
        "FLUSHALL",
        "KEYS|*",
        "CONFIG|GET|*",
        "REPLICAOF|NO|ONE",
        "SHUTDOWN",
        "ACL|LIST",
        "DEBUG|SLEEP|0",
        "EVAL|return redis.call('FLUSHALL')|0",
    ];
    for command in denied {
        let refusal = run(&mut user, command).expect_err(command);
        let text = refusal.to_string();
        // The second is how a script's author is told.
        let denied = ["permission", "can't run this command"]
            .iter()
            .any(|words| text.contains(words));
        assert!(denied, "{command}: {text}");
    }
    let mut stranger = redis::Client::open(format!("redis://{}", server.address()))
        .and_then(|client| client.get_connection())
        .expect("a connection");
    assert_eq!(
        run(&mut stranger, "GET|key").expect_err("no login").code(),
        Some("NOAUTH")
    );
    Ok(())
}

#[test]
fn replicas_and_sentinels_get_by_with_users_of_their_own() -> Result<()> {
    let node = guarded()
        .config("masteruser", "replica")
        .config("masterauth", PASSWORDS.replica);
    let cluster = SentinelCluster::builder()
        .node(node)
        .sentinel_config("sentinel auth-user mymaster", "sentinel")
        .sentinel_config("sentinel auth-pass mymaster", PASSWORDS.sentinel)
        .start()?;
    let old = cluster.kill_master()?;
    let new = cluster.wait_for_new_master(old)?;
    cluster.node(old).restart()?;
    cluster.wait_until_stable()?;
    assert_eq!(cluster.master_index()?, new);
    Ok(())
}

#[test]
fn a_server_that_is_full_refuses_instead_of_forgetting() -> Result<()> {
    let server = RedisServer::builder().config("maxmemory", "1kb").start()?;
    let refusal = server.cli(&["SET", "key", "value"]);
    assert!(refusal.is_err_and(|error| error.to_string().contains("OOM")));
    assert_eq!(
        server
            .info("memory")?
            .get("maxmemory_policy")
            .map(String::as_str),
        Some("noeviction")
    );
    Ok(())
}
