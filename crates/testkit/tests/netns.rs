//! Partitions between network namespaces. Where those cannot be made, the tests say so and pass.

use std::{process::Stdio, time::Duration};

use leasehold_testkit::{
    ChildProcess, RedisServer, Result, Role, SentinelCluster, assert_eventually,
    netns::{self, Network},
    wait_for,
};

const LONG: Duration = Duration::from_secs(30);

fn skipped() -> bool {
    let missing = netns::available();
    if let Err(reason) = &missing {
        eprintln!("skipped: {reason}");
    }
    missing.is_err()
}

/// Whether a client on one host gets an answer from a server on another.
fn reaches(network: &Network, from: usize, server: &RedisServer) -> bool {
    let mut command = network.host(from).command("redis-cli");
    command
        .args([
            "-h",
            server.host(),
            "-p",
            &server.port().to_string(),
            "ping",
        ])
        .stdout(Stdio::null());
    let Ok(client) = ChildProcess::spawn(command) else {
        return false;
    };
    client
        .wait(Duration::from_millis(1500))
        .is_ok_and(|status| status.success())
}

#[test]
fn hosts_reach_each_other_until_they_are_parted() -> Result<()> {
    if skipped() {
        return Ok(());
    }
    let network = Network::start(3)?;
    let server = RedisServer::builder().on(network.host(0)).start()?;
    assert_eq!(server.host(), network.host(0).address());
    assert!(reaches(&network, 1, &server) && reaches(&network, 2, &server));
    network.partition(&[&[0, 1], &[2]])?;
    assert!(reaches(&network, 1, &server) && !reaches(&network, 2, &server));
    assert!(
        server.command(&["PING"]).is_ok(),
        "the test itself stays connected"
    );
    network.heal()?;
    assert!(reaches(&network, 2, &server));
    network.cut(0, 2)?;
    assert!(reaches(&network, 1, &server) && !reaches(&network, 2, &server));
    network.heal()?;
    network.lose(2, 0, 1.0)?;
    assert!(!reaches(&network, 2, &server));
    network.heal()?;
    network.cut_off(0)?;
    assert!(server.command(&["PING"]).is_err() && reaches(&network, 1, &server));
    network.heal()
}

#[test]
fn the_majority_elects_a_master_and_the_deposed_one_serves_until_it_hears_of_it() -> Result<()> {
    if skipped() {
        return Ok(());
    }
    let network = Network::start(3)?;
    let cluster = SentinelCluster::builder().on(network.hosts()).start()?;
    network.partition(&[&[0], &[1, 2]])?;
    let new = wait_for("a new master", LONG, || {
        match cluster.sentinel(1).master_address() {
            Ok(Some((_, port))) if port != cluster.node(0).port() => Ok(port),
            other => Err(format!("{other:?}")),
        }
    })?;
    let new = cluster
        .nodes()
        .iter()
        .position(|node| node.port() == new)
        .unwrap_or_default();
    cluster.node(new).wait_for_role(Role::Master, LONG)?;
    assert_eq!(cluster.node(0).role()?, Role::Master, "two masters at once");
    cluster.node(0).command(&["SET", "written", "in vain"])?;
    network.heal()?;
    cluster.wait_until_stable()?;
    assert_eq!(cluster.node(0).role()?, Role::Replica);
    assert_eq!(cluster.node(0).cli(&["GET", "written"])?, "");
    Ok(())
}

#[test]
fn nothing_is_left_of_a_network() -> Result<()> {
    if skipped() {
        return Ok(());
    }
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir("/run/netns")
            .into_iter()
            .flatten()
            .flatten();
        let own = format!("lh{}n", std::process::id());
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with(&own))
            .collect()
    };
    let network = Network::start(2)?;
    let address = network.host(0).address().to_owned();
    let mine = names();
    assert!(mine.len() >= 3, "{mine:?}");
    drop(network);
    let subnet = address
        .rsplit_once('.')
        .map(|(subnet, _)| subnet.to_owned())
        .unwrap_or_default();
    assert_eventually("the interfaces to be gone", LONG, || {
        let routes = std::process::Command::new("ip").args(["route"]).output();
        routes.is_ok_and(|routes| {
            !String::from_utf8_lossy(&routes.stdout).contains(&format!("{subnet}."))
        })
    });
    Ok(())
}
