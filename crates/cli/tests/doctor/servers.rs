//! One server, each time with one thing wrong.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use leasehold_testkit::{
    FakeServer, RedisServer, RedisServerBuilder, SentinelServer, Unreachable, wait_for,
};

use crate::common::{self, Failure, code, leasehold, output, port_env, server_env, stderr, stdout};
use crate::{assert_names, diagnosis, warning};

fn plain() -> RedisServerBuilder {
    RedisServer::builder()
}

fn nothing(_: &RedisServer) -> Result<(), Failure> {
    Ok(())
}

fn ask(server: &RedisServer, words: &[&str]) -> Result<(), Failure> {
    server.command(words)?;
    Ok(())
}

/// A server, what is done to it, the variables that differ, and what the first failing line says.
macro_rules! fails {
    ($($name:ident: $server:expr, $then:expr, $set:expr => $said:expr;)*) => {$(
        #[test]
        fn $name() -> Result<(), Failure> {
            let server = $server.start()?;
            $then(&server)?;
            assert_names(&diagnosis(&server_env(&server), &$set)?, &$said);
            Ok(())
        }
    )*};
}

/// The same for a deployment that works: the first word is the check's code.
macro_rules! warns {
    ($($name:ident: $server:expr, $then:expr, $set:expr => $said:expr;)*) => {$(
        #[test]
        fn $name() -> Result<(), Failure> {
            let server = $server.start()?;
            $then(&server)?;
            assert_names(&warning(&server_env(&server), &$set, $said[0])?, &$said);
            Ok(())
        }
    )*};
}

fails! {
    an_eviction_policy_that_forgets_locks:
        plain().config("maxmemory", "50mb").config("maxmemory-policy", "volatile-lru"), nothing, []
        => ["LH0206", "volatile-lru"];
    no_memory_left:
        plain().config("maxmemory", "500kb"), nothing, []
        => ["LH0207", "of 512000 bytes used"];
    a_password_that_is_not_configured:
        plain().password("right"), nothing, []
        => ["LH0201", "NOAUTH"];
    a_wrong_password:
        plain().password("right"), nothing, [("REDIS_PASSWORD", "wrong")]
        => ["LH0201", "WRONGPASS"];
    a_database_that_is_not_there:
        plain(), nothing, [("REDIS_DB", "99")]
        => ["LH0201", "database 99"];
    a_broken_configuration:
        plain(), nothing, [("LOCK_TTL", "soon")]
        => ["LH0001", "LOCK_TTL"];
    tls_against_a_plain_port:
        plain(), nothing, [("REDIS_TLS_ENABLED", "true"), ("REDIS_TLS_INSECURE", "true")]
        => ["LH0201", "TLS"];
    replicas_that_the_server_wants_and_does_not_have:
        plain().config("min-replicas-to-write", "1"), nothing, []
        => ["LH0302", "NOREPLICAS"];
    a_script_that_blocks_the_server:
        plain(), block_by_a_script, []
        => ["LH02", "BUSY"];
    a_lease_longer_than_the_others_agreed_on:
        plain(), |server| record(server, "500"), [("LOCK_SAFETY", "strict")]
        => ["LH0222", "LOCK_MAX_TTL is 1.0s here and 500ms in the gate's record"];
}

warns! {
    a_longest_lease_other_than_on_record:
        plain(), |server| record(server, "7000"), [("LOCK_SAFETY", "strict")]
        => ["LH0222", "LOCK_MAX_TTL is 1.0s here and 7.0s in the gate's record"];
    a_lock_that_never_expires:
        plain(), |server| ask(server, &["SET", "stuck", "worker-7/0123456789abcdef0123456789abcdef"]), []
        => ["LH0306", "stuck"];
    no_persistence:
        plain(), nothing, []
        => ["LH0209", "a restart forgets every lease"];
    locking_disabled:
        plain(), nothing, [("IS_LOCKING_DISABLED", "true")]
        => ["LH0003", "excludes nobody"];
    connections_that_the_server_closes_when_idle:
        plain().config("timeout", "1"), nothing, [("LOCK_TTL", "9s"), ("LOCK_MAX_TTL", "9s")]
        => ["LH0217", "timeout 1"];
    a_user_who_may_do_anything:
        plain(), nothing, []
        => ["LH0220", "may run CONFIG"];
    a_lease_too_short_for_a_failover:
        plain(), nothing, []
        => ["LH0005", "leases of 1.0s"];
}

/// The gate's record of a deployment whose clients agreed on another longest lease.
fn record(server: &RedisServer, longest: &str) -> Result<(), Failure> {
    let id = server
        .info("replication")?
        .remove("master_replid")
        .ok_or("no master_replid")?;
    ask(
        server,
        &[
            "HSET",
            "leasehold:gate",
            "incarnation",
            &id,
            "open_from",
            "1",
            "longest",
            longest,
            "data_nodes",
            "1",
            "first",
            "1",
            "syncs",
            "0",
            "resynced",
            "0",
        ],
    )
}

/// The script ends with the server.
fn block_by_a_script(server: &RedisServer) -> Result<(), Failure> {
    ask(server, &["CONFIG", "SET", "busy-reply-threshold", "1"])?;
    let port = server.port();
    std::thread::spawn(move || {
        let script = ["EVAL", "while true do end", "0"];
        let mut client = std::process::Command::new("redis-cli");
        client.args(["-p", &port.to_string()]).args(script);
        client.output()
    });
    let answer = wait_for("the script to block", common::PATIENCE, || {
        match server.cli(&["PING"]) {
            Ok(said) if !said.contains("BUSY") => Err(said),
            Err(error) if !error.to_string().contains("BUSY") => Err(error.to_string()),
            _ => Ok(()),
        }
    });
    Ok(answer?)
}

#[test]
fn nothing_listens() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let variables = server_env(&server);
    server.kill();
    assert_names(&diagnosis(&variables, &[])?, &["LH0201", "refused"]);
    Ok(())
}

#[test]
fn packets_that_vanish() -> Result<(), Failure> {
    let nowhere = Unreachable::start()?;
    let line = diagnosis(&port_env(nowhere.port()), &[])?;
    assert_names(&line, &["LH0201", "no connection within"]);
    Ok(())
}

/// A server without a password answers so to other machines.
#[test]
fn a_server_in_protected_mode() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let _ = client
                .write_all(b"-DENIED Redis is running in protected mode because it is enabled\r\n");
        }
    });
    let line = diagnosis(&port_env(port), &[])?;
    assert_names(&line, &["LH0201", "protected mode"]);
    Ok(())
}

#[test]
fn a_sentinel_in_the_place_of_a_server() -> Result<(), Failure> {
    let master = RedisServer::start()?;
    let sentinel = SentinelServer::builder("127.0.0.1", master.port()).start()?;
    let line = diagnosis(&port_env(sentinel.port()), &[])?;
    assert_names(&line, &["LH0203", "is a Sentinel"]);
    Ok(())
}

/// No check is silent for longer than 5 s: it says what it waits for.
#[test]
fn a_server_that_hangs_and_what_is_waited_for() -> Result<(), Failure> {
    let mute = FakeServer::mute()?;
    let mut command = leasehold(&port_env(mute.port()));
    command.arg("doctor").env("REDIS_CONNECT_TIMEOUT", "7s");
    let began = Instant::now();
    let printed = output(command)?;
    assert!(began.elapsed() >= Duration::from_secs(7), "it did not wait");
    let told = stderr(&printed);
    let awaited = format!("for 127.0.0.1:{} to answer", mute.port());
    assert!(
        told.contains("waiting since 3.0s") && told.contains(&awaited),
        "{told}"
    );
    assert!(
        stdout(&printed).contains("FAIL  LH0201"),
        "{}",
        stdout(&printed)
    );
    Ok(())
}

#[test]
fn a_password_that_others_can_read() -> Result<(), Failure> {
    let server = RedisServer::builder().password("right").start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("open.env");
    fs::write(&file, "REDIS_PASSWORD=right\n")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let name = file.to_string_lossy();
    let line = warning(&server_env(&server), &[("LOCK_ENV_FILE", &name)], "LH0004")?;
    assert_names(&line, &["mode 644", "open.env"]);
    Ok(())
}

/// As under cron or systemd, which start in another directory.
#[test]
fn a_file_that_is_elsewhere() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let mut command = leasehold(&Vec::new());
    command.arg("doctor").env_remove("LOCK_ENV_FILE");
    command.current_dir(directory.path());
    let printed = output(command)?;
    let text = stdout(&printed);
    assert_eq!(code(&printed), 2, "{text}");
    let hint = format!("there is no ./.env in {}", directory.path().display());
    assert!(
        text.contains("FAIL  LH0001") && text.contains(&hint),
        "{text}"
    );
    Ok(())
}

#[test]
fn two_of_three_members_of_a_quorum_dead() -> Result<(), Failure> {
    let members = [
        RedisServer::start()?,
        RedisServer::start()?,
        RedisServer::start()?,
    ];
    let nodes: Vec<String> = members.iter().map(|member| member.address()).collect();
    let variables = vec![
        ("LOCK_REDLOCK_NODES".to_owned(), nodes.join(",")),
        ("LOCK_TTL".to_owned(), "3s".to_owned()),
        ("LOCK_MAX_TTL".to_owned(), "3s".to_owned()),
        ("REDIS_COMMAND_TIMEOUT".to_owned(), "300ms".to_owned()),
    ];
    members[0].kill();
    members[1].kill();
    let line = diagnosis(&variables, &[])?;
    assert_names(&line, &["LH030", "refused"]);
    Ok(())
}
