//! Sentinels, master and replicas, each time with one thing wrong.

use std::time::Duration;

use leasehold_testkit::{RedisServer, SentinelCluster, SentinelClusterBuilder, wait_for};

use crate::common::{self, Failure, leasehold, output, stdout};
use crate::{Variables, assert_names, diagnosis, doctor, warning};

/// Data nodes whose replicas keep no snapshot, as strict mode demands.
fn sound() -> SentinelClusterBuilder {
    SentinelCluster::builder().node_config("rdb-del-sync-files", "yes")
}

/// With Sentinels that are patient, so that nothing is promoted while a test looks.
fn patient() -> Result<SentinelCluster, Failure> {
    let cluster = sound().down_after(Duration::from_secs(60)).start()?;
    cluster.wait_until_stable()?;
    Ok(cluster)
}

fn cluster_env(cluster: &SentinelCluster) -> Variables {
    let mut variables: Variables = [
        ("LOCK_TTL", "3s"),
        // A gate opens after this long.
        ("LOCK_MAX_TTL", "3s"),
        ("REDIS_COMMAND_TIMEOUT", "500ms"),
        ("REDIS_CONNECT_TIMEOUT", "1s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    variables.extend(cluster.env());
    variables
}

/// A setting of a Sentinel for the master.
fn set(cluster: &SentinelCluster, sentinel: usize, name: &str, value: &str) -> Result<(), Failure> {
    let words = ["SENTINEL", "SET", cluster.service(), name, value];
    cluster.sentinel(sentinel).command(&words)?;
    Ok(())
}

#[test]
fn a_sound_deployment_passes() -> Result<(), Failure> {
    let cluster = sound().start()?;
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
    let cluster = sound()
        .password("nodes")
        .sentinel_password("sentinels")
        .start()?;
    let wrong = [("REDIS_SENTINEL_PASSWORD", "wrong")];
    let line = diagnosis(&cluster_env(&cluster), &wrong)?;
    assert_names(&line, &["LH0101", "0 of 3 Sentinels", "WRONGPASS"]);
    Ok(())
}

#[test]
fn two_of_three_sentinels_dead() -> Result<(), Failure> {
    let cluster = sound().start()?;
    let variables = cluster_env(&cluster);
    cluster.sentinel(0).kill();
    cluster.sentinel(1).kill();
    let line = diagnosis(&variables, &[])?;
    assert_names(&line, &["LH0101", "only 1 of 3", "refused"]);
    Ok(())
}

#[test]
fn a_master_by_an_unknown_name() -> Result<(), Failure> {
    let cluster = sound().service("orders").start()?;
    let wrong = [("REDIS_SENTINEL_SERVICE", "mymaster")];
    let line = diagnosis(&cluster_env(&cluster), &wrong)?;
    assert_names(
        &line,
        &["LH0103", "no master is called `mymaster`", "orders"],
    );
    Ok(())
}

/// Each setting is changed, looked at and changed back on one cluster.
#[test]
fn settings_of_the_sentinels_that_do_harm() -> Result<(), Failure> {
    let cluster = patient()?;
    let variables = cluster_env(&cluster);
    let all = |name: &str, values: [&str; 3]| -> Result<(), Failure> {
        (0..3).try_for_each(|sentinel| set(&cluster, sentinel, name, values[sentinel]))
    };

    all("quorum", ["2", "1", "3"])?;
    let line = warning(&variables, &[], "LH0107")?;
    let second = format!("{} has 1", cluster.sentinel_addresses()[1]);
    assert_names(&line, &["quorum differs", &second]);
    all("quorum", ["1", "1", "1"])?;
    assert_names(&warning(&variables, &[], "LH0107")?, &["1 of 3"]);
    all("quorum", ["3", "3", "3"])?;
    assert_names(&warning(&variables, &[], "LH0107")?, &["3 of 3"]);
    all("quorum", ["2", "2", "2"])?;

    all("down-after-milliseconds", ["5000", "60000", "5000"])?;
    let line = warning(&variables, &[], "LH0108")?;
    let second = format!("{} has 1m 0s", cluster.sentinel_addresses()[1]);
    assert_names(&line, &["down-after-milliseconds differs", &second]);
    all("down-after-milliseconds", ["5000", "5000", "5000"])?;
    let short = [("LOCK_TTL", "6s"), ("LOCK_MAX_TTL", "6s")];
    let (_, text) = doctor(&variables, &short)?;
    assert!(text.contains("warn  LH0108"), "{text}");
    assert!(text.contains("LOCK_TTL of at least 12.0s"), "{text}");
    let long = [("LOCK_TTL", "12s"), ("LOCK_MAX_TTL", "12s")];
    let (_, text) = doctor(&variables, &long)?;
    assert!(text.contains("ok    LH0108"), "{text}");

    let pause = [("LOCK_TTL", "12s"), ("LOCK_MAX_TTL", "1h")];
    let line = warning(&variables, &pause, "LH0110")?;
    assert_names(&line, &["at most about 1h 0m", "LOCK_MAX_TTL 1h 0m"]);
    Ok(())
}

/// The SDK works with one configured Sentinel of three, so the doctor finds the others as well.
#[test]
fn one_of_three_sentinels_is_configured() -> Result<(), Failure> {
    let cluster = patient()?;
    let one = cluster.sentinel(0).address();
    let (code, text) = doctor(&cluster_env(&cluster), &[("REDIS_SENTINEL_HOSTS", &one)])?;
    assert!(code < 2, "{text}");
    assert!(
        text.contains("3 of 3, 1 configured and the others found"),
        "{text}"
    );
    assert!(text.contains("3 of 3 name"), "{text}");
    Ok(())
}

/// One that can be reached announces two that cannot, as behind one Service address: they run, so nobody is told to
/// start them or to forget them.
#[test]
fn announced_sentinels_that_cannot_be_reached_from_here() -> Result<(), Failure> {
    let cluster = patient()?;
    let one = cluster.sentinel(0).address();
    let nowhere = [1, 2].map(|index| {
        let port = cluster.sentinel(index).port();
        format!("127.0.0.1:{port}=127.0.0.1:{index}")
    });
    let overrides = [
        ("REDIS_SENTINEL_HOSTS", one.as_str()),
        ("REDIS_ADDRESS_MAP", &nowhere.join(",")),
    ];
    let (code, text) = doctor(&cluster_env(&cluster), &overrides)?;
    assert_eq!(code, 2, "{text}");
    for check in ["FAIL  LH0101", "FAIL  LH0104"] {
        let mut lines = text.lines().skip_while(|line| !line.starts_with(check));
        let fix = lines.nth(1).ok_or_else(|| format!("no {check}:\n{text}"))?;
        assert_names(fix, &["set REDIS_ADDRESS_MAP", "REDIS_SENTINEL_HOSTS"]);
    }
    assert!(!text.contains("SENTINEL RESET"), "{text}");
    Ok(())
}

#[test]
fn a_data_node_in_the_list_of_sentinels() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let variables = vec![
        ("REDIS_SENTINEL_HOSTS".to_owned(), server.address()),
        ("REDIS_COMMAND_TIMEOUT".to_owned(), "500ms".to_owned()),
    ];
    assert_names(&diagnosis(&variables, &[])?, &["LH0103", "is no Sentinel"]);
    Ok(())
}

/// The first killed, then stopped with the other: from a warning to the cause of everything else.
#[test]
fn replicas_that_are_dead_or_hang() -> Result<(), Failure> {
    let cluster = patient()?;
    let variables = cluster_env(&cluster);
    let replicas = cluster.replica_indices()?;
    let address = |index: usize| cluster.node(replicas[index]).address();

    cluster.node(replicas[0]).kill();
    let line = warning(&variables, &[], "LH0211")?;
    let (first, second) = (address(0), address(1));
    assert_names(
        &line,
        &["2 of 3 data nodes, strict needs 2", &first, "refused"],
    );
    assert!(!line.contains(&second), "{line}");

    cluster.node(replicas[0]).restart()?;
    cluster.master()?.wait_for_replicas(2, common::PATIENCE)?;
    for &replica in &replicas {
        cluster.node(replica).pause()?;
    }
    let line = diagnosis(&variables, &[("LOCK_MAX_TTL", "1m")])?;
    assert_names(
        &line,
        &[
            "LH0211",
            "1 of 3 data nodes, strict needs 2",
            &first,
            &second,
        ],
    );
    Ok(())
}

#[test]
fn a_node_that_comes_back_with_an_old_snapshot() -> Result<(), Failure> {
    let cluster = patient()?;
    let replica = cluster.node(cluster.replica_indices()?[1]);
    replica.command(&["CONFIG", "SET", "rdb-del-sync-files", "no"])?;
    let line = diagnosis(&cluster_env(&cluster), &[])?;
    let told = format!("no append-only file on {}:", replica.address());
    assert_names(&line, &["LH0209", &told, "two holders"]);
    replica.command(&["CONFIG", "SET", "appendonly", "yes"])?;
    let (code, text) = doctor(&cluster_env(&cluster), &[])?;
    assert!(code < 2 && text.contains("ok    LH0209"), "{text}");
    Ok(())
}

/// Sentinels announce what is right where they are: here the addresses of proxies that are gone.
#[test]
fn an_address_that_cannot_be_reached_from_here() -> Result<(), Failure> {
    let cluster = patient()?;
    let nowhere = RedisServer::start()?;
    let map = format!("{}={}", cluster.master()?.address(), nowhere.address());
    nowhere.kill();
    let overrides = [("REDIS_ADDRESS_MAP", map.as_str())];
    let (_, text) = doctor(&cluster_env(&cluster), &overrides)?;
    let line = diagnosis(&cluster_env(&cluster), &overrides)?;
    assert_names(&line, &["LH0201", "the master by the Sentinels", "refused"]);
    assert!(
        text.contains("set REDIS_ADDRESS_MAP, or announce-ip"),
        "{text}"
    );
    Ok(())
}

/// A master that is not there and was not replaced yet.
#[test]
fn a_master_that_is_down() -> Result<(), Failure> {
    let cluster = sound().down_after(Duration::from_millis(500)).start()?;
    cluster.wait_until_stable()?;
    // No replica may take over, so the Sentinels go on naming the dead master.
    for replica in cluster.replica_indices()? {
        cluster.node(replica).kill();
    }
    cluster.kill_master()?;
    wait_for("the Sentinels to notice", common::PATIENCE, || {
        let master = cluster
            .sentinel(0)
            .master()
            .map_err(|error| error.to_string())?;
        match master.get("flags") {
            Some(flags) if flags.contains("down") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    let line = diagnosis(&cluster_env(&cluster), &[])?;
    assert_names(&line, &["LH0106", "s_down"]);
    Ok(())
}
