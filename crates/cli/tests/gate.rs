//! What the commands that only look say of the gate of strict mode. They claim nothing.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{Failure, PATIENCE, code, leasehold, output, stderr, stdout};
use leasehold_testkit::{SentinelCluster, wait_for};
use serde_json::Value;

const GATE: &str = "leasehold:gate";

type Variables = Vec<(String, String)>;

fn started() -> Result<(SentinelCluster, Variables), Failure> {
    let cluster = SentinelCluster::builder()
        .node_config("appendonly", "yes")
        .down_after(Duration::from_secs(60))
        .start()?;
    cluster.wait_until_stable()?;
    let mut variables = cluster.env();
    for (name, value) in [
        ("LOCK_TTL", "3s"),
        ("LOCK_MAX_TTL", "3s"),
        ("LOCK_SAFETY", "strict"),
        ("LOCK_OWNER", "worker-7"),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok((cluster, variables))
}

fn command(variables: &Variables, words: &[&str]) -> Command {
    let mut command = leasehold(variables);
    command.args(words);
    command
}

fn json(variables: &Variables, words: &[&str]) -> Result<Value, Failure> {
    let ended = output(command(variables, words))?;
    let parsed = serde_json::from_str(&stdout(&ended));
    Ok(parsed.map_err(|error| format!("{error}: {}{}", stdout(&ended), stderr(&ended)))?)
}

/// Closes the gate for longer than the test takes.
fn close(cluster: &SentinelCluster) -> Result<(), Failure> {
    let master = cluster.master()?;
    let opens = (master.time()? + 3_600_000).to_string();
    let reason = "127.0.0.1:6380: it was synchronised fully";
    master.command(&["HSET", GATE, "open_from", &opens, "reason", reason])?;
    Ok(())
}

#[test]
fn looking_claims_nothing_and_tells_how_the_gate_stands() -> Result<(), Failure> {
    let (cluster, variables) = started()?;
    for words in [
        ["status", "order", "--json"].as_slice(),
        &["list", "--json"],
        &["watch", "--count", "1", "--json"],
        &["topology", "--json"],
    ] {
        let document = json(&variables, words)?;
        assert_eq!(document["gate"]["state"], "no record", "{document}");
    }
    let found = cluster.master()?.command(&["EXISTS", GATE])?;
    assert!(format!("{found:?}").contains("(0)"), "{found:?}");

    wait_for("a lease", PATIENCE, || {
        let ended = output(command(&variables, &["run", "order", "true"]));
        let ended = ended.map_err(|error| error.to_string())?;
        (code(&ended) == 0).then_some(()).ok_or(stderr(&ended))
    })?;
    let ended = output(command(&variables, &["status", "order"]))?;
    assert!(
        stdout(&ended).contains("gate       open"),
        "{}",
        stdout(&ended)
    );

    close(&cluster)?;
    let told = "closed for another 59m 5";
    for words in [
        ["status", "order"].as_slice(),
        &["status", "order", "--slots", "2"],
        &["list"],
        &["topology"],
    ] {
        let ended = output(command(&variables, words))?;
        let all = format!("{}{}", stdout(&ended), stderr(&ended));
        for part in [told, "it was synchronised fully", "claimed by worker-7"] {
            assert!(all.contains(part), "{words:?}: {all}");
        }
    }
    let ended = output(command(&variables, &["doctor"]))?;
    let all = stdout(&ended);
    assert!(all.contains("warn  LH0223") && all.contains(told), "{all}");
    assert!(all.contains("warn  LH0224"), "{all}");
    assert!(all.contains("the gate of this master is not open"), "{all}");
    Ok(())
}

#[test]
fn a_user_without_the_right_to_the_record_is_told_so() -> Result<(), Failure> {
    let (cluster, mut variables) = started()?;
    let rights = ["on", ">secret", "~*", "&*", "+@all", "-hmget"];
    for node in cluster.nodes() {
        node.command(&[["ACL", "SETUSER", "limited"].as_slice(), &rights].concat())?;
    }
    for (name, value) in [("REDIS_USERNAME", "limited"), ("REDIS_PASSWORD", "secret")] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let ended = output(command(&variables, &["status", "order"]))?;
    assert_eq!(code(&ended), 1, "{}", stderr(&ended));
    let told = stdout(&ended);
    assert!(
        told.contains("not known: this user may not read its record"),
        "{told}"
    );
    assert!(told.contains("+hmget"), "{told}");
    Ok(())
}

#[test]
fn the_doctor_says_which_replica_would_make_a_failover_pause() -> Result<(), Failure> {
    let (cluster, variables) = started()?;
    let ended = output(command(
        &variables,
        &["run", "order", "--wait", "20s", "true"],
    ))?;
    assert_eq!(code(&ended), 0, "{}", stderr(&ended));
    wait_for("replicas that are up for long enough", PATIENCE, || {
        let ended = output(command(&variables, &["doctor"]));
        let told = ended.map_err(|error| error.to_string())?;
        let told = stdout(&told);
        told.contains("ok    LH0224").then_some(()).ok_or(told)
    })?;
    let replica = cluster.node(cluster.replica_indices()?[0]);
    replica.kill();
    replica.restart()?;
    cluster.master()?.wait_for_replicas(2, PATIENCE)?;
    cluster
        .master()?
        .command(&["HSET", GATE, "longest", "600000"])?;
    let ended = output(command(&variables, &["doctor"]))?;
    let told = stdout(&ended);
    let line = told.lines().find(|line| line.contains("LH0224"));
    let line = line.unwrap_or_default();
    assert!(line.starts_with("warn"), "{told}");
    assert!(
        line.contains(&format!("{}: it is up for", replica.address())),
        "{line}"
    );
    Ok(())
}
