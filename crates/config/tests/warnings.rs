//! What is odd but works is told of, and what is not odd is not.

mod common;

use std::time::Duration;

use common::{disabled, enabled, problem, warnings};

/// The warnings about one variable.
fn told(variables: &[(&str, &str)], about: &str) -> Vec<String> {
    let config = enabled(variables).expect("a configuration that works");
    let mut told = warnings(&config);
    told.retain(|warning| warning.split(' ').next() == Some(about));
    told
}

#[test]
fn a_renewal_that_comes_late() {
    let told = |interval| {
        let variables = [
            ("REDIS_HOST", "h"),
            ("LOCK_TTL", "30"),
            ("LOCK_RENEW_INTERVAL", interval),
        ];
        told(&variables, "LOCK_RENEW_INTERVAL")
    };
    assert_eq!(
        told("16"),
        [
            "LOCK_RENEW_INTERVAL is more than half of LOCK_TTL, so that one failed renewal loses the lease"
        ]
    );
    assert_eq!(told("15"), [""; 0]);
    let too_late = disabled(&[("LOCK_TTL", "30"), ("LOCK_RENEW_INTERVAL", "30")]);
    let error = too_late.expect_err("as long as the lease");
    assert!(error.warnings().is_empty(), "{error}");
}

#[test]
fn a_number_of_masters_that_bears_few_losses() {
    let told = |nodes| told(&[("LOCK_REDLOCK_NODES", nodes)], "LOCK_REDLOCK_NODES");
    for (nodes, number) in [("a", 1), ("a,b", 2), ("a,b,c,d", 4)] {
        let expected = format!(
            "LOCK_REDLOCK_NODES names {number} masters; an odd number from three on bears the most losses"
        );
        assert_eq!(told(nodes), [expected]);
    }
    assert_eq!(told("a,b,c"), [""; 0]);
    assert_eq!(told("a,b,c,d,e"), [""; 0]);
}

#[test]
fn variables_that_the_servers_make_no_use_of() {
    const NAMES: [&str; 5] = [
        "REDIS_SENTINEL_SERVICE",
        "REDIS_SENTINEL_USERNAME",
        "REDIS_SENTINEL_PASSWORD",
        "REDIS_SENTINEL_TLS_ENABLED",
        "REDIS_ADDRESS_MAP",
    ];
    let idle = |servers| {
        let variables = [
            (servers, "h"),
            ("REDIS_SENTINEL_SERVICE", "m"),
            ("REDIS_SENTINEL_USERNAME", "u"),
            ("REDIS_SENTINEL_PASSWORD", "p"),
            ("REDIS_SENTINEL_TLS_ENABLED", "true"),
            ("REDIS_ADDRESS_MAP", "a=b"),
        ];
        let told = warnings(&enabled(&variables).expect("servers"));
        let is_idle = |name: &&str| {
            let ignored = format!("{name} is ignored beside {servers}");
            told.iter().any(|warning| warning.starts_with(&ignored))
        };
        NAMES.into_iter().filter(is_idle).collect::<Vec<_>>()
    };
    assert_eq!(idle("REDIS_SENTINEL_HOSTS"), [""; 0]);
    assert_eq!(idle("REDIS_CLUSTER_NODES"), NAMES[..4]);
    assert_eq!(idle("REDIS_HOST"), NAMES);
}

#[test]
fn what_a_url_says_beats_its_variable() {
    let told = |url, name, value| told(&[("REDIS_URL", url), (name, value)], name);
    assert_eq!(
        told("redis://:a@h", "REDIS_PASSWORD", "b"),
        ["REDIS_PASSWORD is ignored, as REDIS_URL has a password"]
    );
    assert_eq!(told("redis://h", "REDIS_PASSWORD", "b"), [""; 0]);
    assert_eq!(
        told("redis://h/2", "REDIS_DB", "1"),
        ["REDIS_DB is ignored, as REDIS_URL names a database"]
    );
    assert_eq!(told("redis://h/1", "REDIS_DB", "1"), [""; 0]);
    let without_password = told("redis://h/2", "REDIS_PASSWORD_FILE", "");
    assert_eq!(without_password, [""; 0]);
}

#[test]
fn options_of_a_url_that_are_ignored() {
    assert_eq!(
        told(&[("REDIS_URL", "redis://h?a-b=1&c_d=2&e.f=3")], "REDIS_URL"),
        [
            "REDIS_URL has options behind a ? that are ignored: a-b, c_d, one that is no word; only db is read"
        ]
    );
}

#[test]
fn a_user_who_never_logs_in() {
    let told = |user| {
        told(
            &[("REDIS_HOST", "h"), ("REDIS_USERNAME", user)],
            "REDIS_USERNAME",
        )
    };
    assert_eq!(
        told("me"),
        ["REDIS_USERNAME is without effect, as there is no REDIS_PASSWORD"]
    );
    assert_eq!(told("default"), [""; 0]);
}

#[test]
fn an_address_with_credentials_names_the_variables_they_go_into() {
    let expected = |variable: &str, prefix: &str| {
        format!(
            "{variable} has an entry that is not host:port: number 1 has credentials before an @, which go into {prefix}USERNAME and {prefix}PASSWORD"
        )
    };
    for (variable, prefix) in [
        ("REDIS_SENTINEL_HOSTS", "REDIS_SENTINEL_"),
        ("REDIS_CLUSTER_NODES", "REDIS_"),
    ] {
        assert_eq!(
            problem(enabled(&[(variable, "me:x@h")])),
            expected(variable, prefix)
        );
    }
}

#[test]
fn a_timeout_of_waiting_and_the_command_timeout_of_a_short_lease() {
    let config = enabled(&[("REDIS_HOST", "h"), ("LOCK_ACQUIRE_TIMEOUT", "7")]);
    let config = config.expect("a timeout");
    assert_eq!(config.lock.acquire_timeout, Some(Duration::from_secs(7)));
    for (ttl, command) in [("6", 1_500), ("6.1", 2_000)] {
        let config = enabled(&[("REDIS_HOST", "h"), ("LOCK_TTL", ttl)]).expect("a lease");
        let timeout = common::standalone(&config).nodes.command_timeout;
        assert_eq!(timeout, Duration::from_millis(command), "{ttl}");
    }
}

#[test]
fn the_owner_names_this_machine() {
    let owner = disabled(&[]).expect("defaults").lock.owner;
    let name = std::process::Command::new("uname").arg("-n").output();
    if let Ok(name) = name {
        let name = String::from_utf8_lossy(&name.stdout).trim().to_owned();
        assert_eq!(owner, format!("{name}:{}", std::process::id()));
    }
}
