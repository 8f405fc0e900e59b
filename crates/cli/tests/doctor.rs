//! Twelve broken set-ups: the doctor names the cause of each in its first failing line.

mod common;

use std::time::Duration;

use common::{Failure, code, leasehold, output, port_env, server_env, stdout};
use leasehold_testkit::{
    AclPasswords, Authority, RedisCluster, RedisServer, SentinelCluster, users_acl, wait_for,
};

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

fn cluster_env(cluster: &SentinelCluster) -> Variables {
    let mut variables: Variables = [
        ("LOCK_TTL", "3s"),
        // A gate opens after this long.
        ("LOCK_MAX_TTL", "3s"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    variables.extend(cluster.env());
    variables
}

#[test]
fn a_sound_deployment_passes() -> Result<(), Failure> {
    let cluster = SentinelCluster::builder().start()?;
    let (code, text) = doctor(&cluster_env(&cluster), &[])?;
    assert!(code < 2, "{text}");
    assert!(text.contains("LH0304"), "{text}");
    let mut command = leasehold(&cluster_env(&cluster));
    command.args(["doctor", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&stdout(&output(command)?))?;
    assert_eq!(document["failed"], 0);
    assert!(
        document["checks"]
            .as_array()
            .is_some_and(|checks| checks.len() >= 30)
    );
    Ok(())
}

#[test]
fn a_wrong_password_on_the_sentinel_hop_only() -> Result<(), Failure> {
    let cluster = SentinelCluster::builder()
        .password("nodes")
        .sentinel_password("sentinels")
        .start()?;
    let wrong = [("REDIS_SENTINEL_PASSWORD", "wrong")];
    let line = diagnosis(&cluster_env(&cluster), &wrong)?;
    assert_names(&line, &["LH0101", "0 of 3 Sentinels", "WRONGPASS"]);
    Ok(())
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
fn an_eviction_policy_that_forgets_locks() -> Result<(), Failure> {
    let server = RedisServer::builder()
        .config("maxmemory", "50mb")
        .config("maxmemory-policy", "volatile-lru")
        .start()?;
    let line = diagnosis(&server_env(&server), &[])?;
    assert_names(&line, &["LH0206", "volatile-lru"]);
    Ok(())
}

#[test]
fn two_of_three_sentinels_dead() -> Result<(), Failure> {
    let cluster = SentinelCluster::builder().start()?;
    let variables = cluster_env(&cluster);
    cluster.sentinel(0).kill();
    cluster.sentinel(1).kill();
    let line = diagnosis(&variables, &[])?;
    assert_names(&line, &["LH0101", "only 1 of 3", "refused"]);
    Ok(())
}

#[test]
fn a_master_by_an_unknown_name() -> Result<(), Failure> {
    let cluster = SentinelCluster::builder().service("orders").start()?;
    let wrong = [("REDIS_SENTINEL_SERVICE", "mymaster")];
    let line = diagnosis(&cluster_env(&cluster), &wrong)?;
    assert_names(
        &line,
        &["LH0103", "no master is called `mymaster`", "orders"],
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

#[test]
fn a_broken_configuration_is_the_first_thing_said() -> Result<(), Failure> {
    let line = diagnosis(&port_env(7), &[("LOCK_TTL", "soon")])?;
    assert_names(&line, &["LH0001", "LOCK_TTL"]);
    Ok(())
}
