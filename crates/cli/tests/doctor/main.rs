//! Broken set-ups on real servers: the doctor names the cause of each in its first failing line, or in a
//! warning where the deployment works in spite of it.

#[path = "../common/mod.rs"]
mod common;
mod sentinels;
mod servers;

use std::time::Duration;

use common::{Failure, code, leasehold, output, port_env, server_env, stdout};
use leasehold_testkit::{AclPasswords, Authority, RedisCluster, RedisServer, users_acl, wait_for};

type Variables = Vec<(String, String)>;

/// What the doctor prints, and its exit code.
fn doctor(variables: &Variables, overrides: &[(&str, &str)]) -> Result<(i32, String), Failure> {
    let mut command = leasehold(variables);
    command.arg("doctor").envs(overrides.iter().copied());
    let output = output(command)?;
    Ok((code(&output), stdout(&output)))
}

/// The first failing line.
fn diagnosis(variables: &Variables, overrides: &[(&str, &str)]) -> Result<String, Failure> {
    let (code, text) = doctor(variables, overrides)?;
    let failing = text.lines().find(|line| line.starts_with("FAIL"));
    let line = failing.ok_or_else(|| format!("nothing failed:\n{text}"))?;
    assert_eq!(code, 2, "{text}");
    println!("{line}");
    Ok(line.to_owned())
}

fn assert_names(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "`{part}` is not in: {line}");
    }
}

/// The line of a warning.
fn warning(
    variables: &Variables,
    overrides: &[(&str, &str)],
    check: &str,
) -> Result<String, Failure> {
    let (_, text) = doctor(variables, overrides)?;
    let mut lines = text.lines();
    let line = lines.find(|line| line.starts_with("warn") && line.contains(check));
    Ok(line
        .ok_or_else(|| format!("no warning {check}:\n{text}"))?
        .to_owned())
}

#[test]
fn a_replica_in_the_place_of_a_master() -> Result<(), Failure> {
    let master = RedisServer::builder().start()?;
    let replica = RedisServer::builder()
        .replica_of("127.0.0.1", master.port())
        .start()?;
    let line = diagnosis(&server_env(&replica), &[])?;
    assert_names(
        &line,
        &["LH0203", "is a replica of", &master.port().to_string()],
    );
    Ok(())
}

#[test]
fn a_clock_that_is_off() -> Result<(), Failure> {
    let server = RedisServer::builder().clock_shim(true).start()?;
    server.set_clock_offset(7_230_000)?;
    let line = diagnosis(&server_env(&server), &[])?;
    assert_names(&line, &["LH0215", "2h 0m", "ahead"]);
    Ok(())
}

#[test]
fn a_permission_that_is_missing() -> Result<(), Failure> {
    let acl = users_acl(AclPasswords {
        leasehold: "secret",
        observer: "pw-observer",
        replica: "replica",
        sentinel: "sentinel",
        admin: "admin",
    });
    let server = RedisServer::builder()
        .access_control_list(acl.replace(" +evalsha", "").replace(" +eval", ""))
        .login("admin", "admin")
        .start()?;
    let login = [
        ("REDIS_USERNAME", "leasehold"),
        ("REDIS_PASSWORD", "secret"),
    ];
    let line = diagnosis(&server_env(&server), &login)?;
    assert_names(&line, &["LH0302", "permission", "eval"]);
    Ok(())
}

#[test]
fn plain_text_against_a_tls_port() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let certificate = authority.issue(&["127.0.0.1"])?;
    let (builder, tls_port) = certificate.serve(RedisServer::builder())?;
    let _server = builder.start()?;
    let variables = port_env(tls_port);
    let line = diagnosis(&variables, &[])?;
    assert_names(
        &line,
        &["LH0201", "closed the connection before it answered"],
    );
    let (_, text) = doctor(&variables, &[])?;
    assert!(text.contains("does this port want TLS"), "{text}");
    Ok(())
}

#[test]
fn an_expired_certificate() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let certificate = authority.issue_expired(&["127.0.0.1"])?;
    let (builder, tls_port) = certificate.serve(RedisServer::builder())?;
    let _server = builder.start()?;
    let ca_file = authority.ca_file();
    let tls = [
        ("REDIS_TLS_ENABLED", "true"),
        ("REDIS_TLS_CA_FILE", &*ca_file.to_string_lossy()),
    ];
    let line = diagnosis(&port_env(tls_port), &tls)?;
    assert_names(&line, &["LH0201", "expired"]);
    Ok(())
}

#[test]
fn a_replica_that_lags() -> Result<(), Failure> {
    let master = RedisServer::builder().start()?;
    let replica = RedisServer::builder()
        .replica_of("127.0.0.1", master.port())
        .start()?;
    wait_for(
        "the replica to follow",
        common::PATIENCE,
        || match replica.follows() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )?;
    replica.pause()?;
    std::thread::sleep(Duration::from_secs(4));
    let line = diagnosis(&server_env(&master), &[])?;
    assert_names(&line, &["LH0212", &replica.port().to_string(), "heard of"]);
    Ok(())
}

#[test]
fn a_disk_that_takes_no_writes() -> Result<(), Failure> {
    let server = RedisServer::builder()
        .config("save", "3600 1")
        .config("enable-protected-configs", "yes")
        .start()?;
    server.command(&["CONFIG", "SET", "dbfilename", "dump.rdb"])?;
    server.command(&["SET", "key", "value"])?;
    // A directory cannot be written over by a file.
    server.command(&["CONFIG", "SET", "dir", "/proc"])?;
    let _ = server.command(&["BGSAVE"]);
    wait_for("the save to fail", common::PATIENCE, || {
        let info = server
            .info("persistence")
            .map_err(|error| error.to_string())?;
        match info.get("rdb_last_bgsave_status").map(String::as_str) {
            Some("err") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    let line = diagnosis(&server_env(&server), &[])?;
    assert_names(&line, &["LH0208", "rdb_last_bgsave_status", "MISCONF"]);
    Ok(())
}

#[test]
fn a_cluster_that_is_down() -> Result<(), Failure> {
    let cluster = RedisCluster::builder().start()?;
    let seeds: Vec<String> = cluster.nodes().iter().map(|node| node.address()).collect();
    let variables = vec![
        ("REDIS_CLUSTER_NODES".to_owned(), seeds.join(",")),
        ("LOCK_TTL".to_owned(), "3s".to_owned()),
        ("REDIS_COMMAND_TIMEOUT".to_owned(), "500ms".to_owned()),
    ];
    // Slots that nobody serves.
    for node in cluster.nodes() {
        let _ = node.command(&["CLUSTER", "DELSLOTSRANGE", "0", "100"]);
    }
    wait_for("the cluster to be down", common::PATIENCE, || {
        let info = cluster.nodes()[0]
            .cli(&["CLUSTER", "INFO"])
            .unwrap_or_default();
        if info.contains("cluster_state:fail") {
            Ok(())
        } else {
            Err(info)
        }
    })?;
    let line = diagnosis(&variables, &[])?;
    assert_names(&line, &["LH0401", "cluster_state:fail"]);
    Ok(())
}
