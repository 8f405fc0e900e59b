//! What is made in code, with types instead of texts, is checked and shown as what is read.

mod common;

use std::time::Duration;

use common::{disabled, setting};
use leasehold_config::{
    AddressMap, Config, Credentials, Endpoint, Locking, QuorumTopology, Renewal, Safety, Secret,
    SentinelTopology, StandaloneTopology, Tls,
};

fn problems(locking: impl Into<Locking>) -> Vec<String> {
    let mut config = Config::new(Locking::Disabled);
    config.locking = locking.into();
    match config.check() {
        Ok(()) => Vec::new(),
        Err(error) => {
            let problems = error.problems().iter();
            problems
                .map(|problem| format!("{} {}", problem.variable(), problem.message()))
                .collect()
        }
    }
}

fn masters(hosts: &[&str]) -> Vec<StandaloneTopology> {
    let master = |host: &&str| StandaloneTopology::new(Endpoint::new(*host, 6379));
    hosts.iter().map(master).collect()
}

#[test]
fn addresses_are_checked() {
    let wrong = |host: &str, port| problems(StandaloneTopology::new(Endpoint::new(host, port)));
    for (host, port, because) in [
        ("h", 0, "has a port that is not a number from 1 to 65535"),
        ("", 6379, "has no host name"),
        ("a b", 6379, "has a character that no host name has: ' '"),
        ("1:2", 6379, "has brackets that do not hold an IPv6 address"),
        (
            "fe80::1%eth 0",
            6379,
            "has brackets that do not hold an IPv6 address",
        ),
    ] {
        let found = wrong(host, port);
        assert!(found.len() == 1 && found[0].ends_with(because), "{found:?}");
    }
    for host in ["h", "redis_1.local", "::1", "fe80::1%eth0"] {
        assert_eq!(wrong(host, 6379), [""; 0], "{host}");
    }
}

#[test]
fn the_masters_of_a_quorum_are_checked() {
    let check = |members: Vec<StandaloneTopology>| problems(QuorumTopology::new(members));
    assert_eq!(check(masters(&["a", "b", "c"])), [""; 0]);
    assert_eq!(check(Vec::new()), ["LOCK_REDLOCK_NODES has no entry"]);
    assert_eq!(
        check(masters(&["a", "b", "a"])),
        ["LOCK_REDLOCK_NODES names one server twice, which would give it two votes"]
    );
    assert_eq!(
        check(masters(&["a", "", "c"])),
        ["LOCK_REDLOCK_NODES has an entry that is not host:port: number 2 has no host name"]
    );
    let mut members = masters(&["a", "b", "c"]);
    for member in &mut members[1..] {
        member.nodes.connect_timeout = Duration::ZERO;
    }
    assert_eq!(
        check(members),
        ["REDIS_CONNECT_TIMEOUT is shorter than 1ms"],
        "the first is well, and what is wrong with both others is told once"
    );
}

#[test]
fn a_certificate_and_its_key_go_together() {
    let with = |certificate: Option<&str>, key: Option<&str>| {
        let mut tls = Tls::default();
        tls.cert_file = certificate.map(Into::into);
        tls.key_file = key.map(Into::into);
        let mut server = StandaloneTopology::new(Endpoint::new("h", 6379));
        server.nodes.tls = Some(tls);
        problems(server)
    };
    assert_eq!(with(None, None), [""; 0]);
    assert_eq!(with(Some("c.pem"), Some("k.pem")), [""; 0]);
    assert_eq!(
        with(Some("c.pem"), None),
        ["REDIS_TLS_CERT_FILE is set without REDIS_TLS_KEY_FILE"]
    );
    assert_eq!(
        with(None, Some("k.pem")),
        ["REDIS_TLS_KEY_FILE is set without REDIS_TLS_CERT_FILE"]
    );
}

#[test]
fn a_problem_names_the_source_of_its_variable() {
    let mut config = disabled(&[("LOCK_TTL", "20")]).expect("a lease of 20 s");
    config.lock.ttl = Duration::from_secs(600);
    config.lock.retry_interval = Duration::ZERO;
    let error = config.check().expect_err("two problems");
    let sources = error.problems().iter();
    let mut sources: Vec<String> = sources
        .map(|problem| format!("{}: {}", problem.variable(), problem.source()))
        .collect();
    sources.sort();
    assert_eq!(
        sources,
        ["LOCK_RETRY_INTERVAL: default", "LOCK_TTL: given variables"]
    );
}

#[test]
fn the_name_of_a_master_is_checked() {
    let check = |name| problems(SentinelTopology::new([Endpoint::new("s", 1)], name));
    assert_eq!(check("m"), [""; 0]);
    assert_eq!(check(""), ["REDIS_SENTINEL_SERVICE is empty"]);
    assert_eq!(
        check("my master"),
        ["REDIS_SENTINEL_SERVICE has a blank or a control character"]
    );
}

#[test]
fn typed_values_are_shown_as_the_variables_are_written() {
    let build = |renewal, safety| {
        let config = Config::builder()
            .vars([("IS_LOCKING_DISABLED", "true")])
            .renewal(renewal)
            .safety(safety)
            .max_clock_skew(Duration::from_millis(1_500))
            .allow_mixed_safety(true)
            .build();
        config.expect("all of it fits")
    };
    let every = build(Renewal::Every(Duration::from_secs(7)), Safety::Relaxed);
    let off = build(Renewal::Off, Safety::Strict);
    for (config, name, value) in [
        (&every, "LOCK_RENEW_INTERVAL", "7s"),
        (&every, "LOCK_SAFETY", "relaxed"),
        (&off, "LOCK_RENEW_INTERVAL", "off"),
        (&off, "LOCK_SAFETY", "strict"),
        (&off, "LOCK_MAX_CLOCK_SKEW", "1.5s"),
        (&off, "LOCK_ALLOW_MIXED_SAFETY", "true"),
    ] {
        assert_eq!(setting(config, name), (Some(value), "builder".to_owned()));
    }
    assert_eq!(off.lock.max_clock_skew, Duration::from_millis(1_500));
    assert!(off.lock.allow_mixed_safety);
}

#[test]
fn servers_set_in_code_take_their_variables_alone() {
    let config = Config::builder()
        .vars([
            ("LOCK_REDLOCK_NODES", "a,b,c"),
            ("LOCK_TTL", "20"),
            ("REDIS_CLIENT_NAME", "orders"),
        ])
        .locking(StandaloneTopology::new(Endpoint::new("h", 6379)))
        .build()
        .expect("a server");
    let given = |value| (Some(value), "given variables".to_owned());
    assert_eq!(setting(&config, "LOCK_TTL"), given("20"));
    assert_eq!(setting(&config, "REDIS_CLIENT_NAME"), given("orders"));
    let builder = || "builder".to_owned();
    assert_eq!(setting(&config, "LOCK_REDLOCK_NODES"), (None, builder()));
    assert_eq!(
        setting(&config, "IS_LOCKING_DISABLED"),
        (Some("false"), builder())
    );
}

#[test]
fn an_empty_prefix_that_code_sets_by_name_is_meant() {
    let prefix = |variables: &[(&str, &str)], name: &str| {
        let config = Config::builder()
            .vars([("IS_LOCKING_DISABLED", "true")])
            .vars(variables.iter().copied())
            .set(name, "")
            .build();
        let lock = config.expect("a configuration").lock;
        assert!(!lock.owner.is_empty());
        lock.key_prefix
    };
    assert_eq!(prefix(&[("LOCK_KEY_PREFIX", "a:")], "LOCK_KEY_PREFIX"), "");
    assert_eq!(prefix(&[("LOCK_KEY_PREFIX", "a:")], "LOCK_OWNER"), "a:");
}

#[test]
fn address_maps_are_made_of_pairs_and_of_texts() {
    let [announced, reachable] = [Endpoint::new("10.0.0.1", 1), Endpoint::new("h", 2)];
    let map: AddressMap = [(announced.clone(), reachable.clone())]
        .into_iter()
        .collect();
    assert_eq!(map.map(&announced), reachable);
    let twice: AddressMap = "10.0.0.1:1=h:2,10.0.0.1:1=h:2".parse().expect("the same");
    assert_eq!(twice, map);
}

#[test]
fn secrets_are_compared_and_never_shown() {
    let credentials = Credentials::password("hunter2");
    assert_eq!(credentials.username, "default");
    let secret = credentials.password.expect("a password");
    assert_eq!(secret, Secret::new("hunter2"));
    assert_ne!(secret, Secret::new("hunter3"));
    assert_eq!(secret.file(), None);
    assert!(!secret.to_string().is_empty() && !secret.to_string().contains("hunter2"));
}

#[test]
fn defaults_intervals_and_durations_of_a_program_are_taken_and_checked() {
    let config = Config::builder()
        .vars([("IS_LOCKING_DISABLED", "true"), ("LOCK_SAFETY", "Strict")])
        .set_default("LOCK_SAFETY", "relaxed")
        .set_default("LOCK_OWNER", "me")
        .build()
        .expect("defaults");
    assert_eq!(
        (config.lock.safety, &*config.lock.owner),
        (Safety::Strict, "me")
    );
    let ms = Duration::from_millis(1);
    assert!(Renewal::Off.check().is_ok() && Renewal::Every(ms).check().is_ok());
    assert!(Renewal::Every(ms / 2).check().is_err());
    let parse = leasehold_config::parse_duration;
    assert_eq!(parse("1.5s").ok(), Some(Duration::from_millis(1_500)));
    assert!(parse("soon").is_err());
}
