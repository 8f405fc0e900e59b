//! Which variables choose which servers.

mod common;

use common::{enabled, password, problem, sentinel, standalone, warnings};
use leasehold_config::{
    AddressMap, Config, Endpoint, Locking, ProblemKind, Safety, SentinelTopology, Topology,
};

#[test]
fn defaults_of_sentinel() {
    let config = enabled(&[("REDIS_SENTINEL_HOSTS", "a,b,[2001:db8:0::1]:7")]).expect("Sentinel");
    let topology = sentinel(&config);
    assert_eq!(topology.sentinels[2].to_string(), "[2001:db8::1]:7");
    assert_eq!(topology.service, "mymaster");
    assert_eq!(topology.credentials.password, None);
    assert_eq!(config.lock.safety, Safety::Strict);
}

#[test]
fn sentinels_have_credentials_of_their_own() {
    let config = enabled(&[
        ("REDIS_SENTINEL_HOSTS", "a,b,c"),
        ("REDIS_USER", "app"),
        ("REDIS_PASSWORD", "one"),
        ("REDIS_SENTINEL_USERNAME", "watch"),
        ("REDIS_SENTINEL_PASSWORD", "two"),
    ])
    .expect("two passwords");
    let topology = sentinel(&config);
    assert_eq!(topology.nodes.credentials.username, "app");
    assert_eq!(password(&config), Some("one"));
    assert_eq!(topology.credentials.username, "watch");
    let own = topology
        .credentials
        .password
        .as_ref()
        .map(leasehold_config::Secret::reveal);
    assert_eq!(own, Some("two"));
}

#[test]
fn few_or_repeated_sentinels_are_warned_about() {
    let hosts = "10.0.0.1,localhost,10.0.0.1:26379";
    let config = enabled(&[("REDIS_SENTINEL_HOSTS", hosts)]).expect("two Sentinels");
    assert_eq!(sentinel(&config).sentinels.len(), 2);
    assert_eq!(
        warnings(&config),
        [
            "REDIS_SENTINEL_HOSTS names the same address more than once",
            "REDIS_SENTINEL_HOSTS names 2 Sentinels; with fewer than three no majority survives the loss of one",
        ]
    );
}

/// A name may be that of a Service with all the Sentinels behind it: nothing is wrong with that.
#[test]
fn one_name_of_sentinels_is_not_warned_about() {
    for hosts in ["sentinels:26379", "redis-sentinel.cache.svc,10.0.0.1"] {
        let config = enabled(&[("REDIS_SENTINEL_HOSTS", hosts)]).expect("Sentinels");
        assert_eq!(warnings(&config), Vec::<String>::new(), "{hosts}");
    }
}

#[test]
fn sentinel_beside_a_host_is_sentinel() {
    let config = enabled(&[
        ("REDIS_SENTINEL_HOSTS", "a,b,c"),
        ("REDIS_HOST", "h"),
        ("REDIS_PORT", "6379"),
        ("REDIS_URL", "redis://h"),
    ])
    .expect("Sentinel");
    assert_eq!(sentinel(&config).sentinels.len(), 3);
    assert_eq!(
        warnings(&config),
        [
            "REDIS_HOST is ignored beside REDIS_SENTINEL_HOSTS (given variables), which names the master",
            "REDIS_URL is ignored beside REDIS_SENTINEL_HOSTS (given variables)",
        ]
    );
}

#[test]
fn any_other_two_collide() {
    let choices = [
        ("REDIS_SENTINEL_HOSTS", "a"),
        ("REDIS_CLUSTER_NODES", "b"),
        ("LOCK_REDLOCK_NODES", "c"),
        ("REDIS_HOST", "d"),
    ];
    for (index, first) in choices.iter().enumerate() {
        for second in &choices[index + 1..] {
            if (first.0, second.0) == ("REDIS_SENTINEL_HOSTS", "REDIS_HOST") {
                continue;
            }
            let result = enabled(&[*first, *second]);
            let kind = result.clone().expect_err("a collision").problems()[0].kind();
            assert_eq!(kind, ProblemKind::Collision);
            assert_eq!(
                problem(result),
                format!(
                    "{} is set beside {} (given variables), and each of them says which servers keep the locks",
                    first.0, second.0
                )
            );
        }
    }
}

#[test]
fn urls() {
    let config = enabled(&[
        ("REDIS_URL", "rediss://app:p%40%2F%23@[::1]:7000/3"),
        ("REDIS_TLS_SERVER_NAME", "redis.internal"),
    ])
    .expect("a URL");
    let topology = standalone(&config);
    assert_eq!(topology.endpoint, Endpoint::new("::1", 7000));
    assert_eq!(topology.nodes.credentials.username, "app");
    assert_eq!(password(&config), Some("p@/#"));
    assert_eq!(topology.nodes.database, 3);
    let tls = topology.nodes.tls.as_ref().expect("rediss is TLS");
    assert_eq!(tls.server_name.as_deref(), Some("redis.internal"));
}

#[test]
fn what_a_url_leaves_open_comes_from_the_variables() {
    let config = enabled(&[
        ("REDIS_URL", "redis://h"),
        ("REDIS_PASSWORD", "p"),
        ("REDIS_DB", "2"),
    ]);
    let config = config.expect("a URL");
    assert_eq!(standalone(&config).endpoint, Endpoint::new("h", 6379));
    assert_eq!(
        (password(&config), standalone(&config).nodes.database),
        (Some("p"), 2)
    );
}

#[test]
fn urls_that_are_refused() {
    for (url, expected) in [
        ("h:6379", "is not a URL"),
        ("http://h", "has a scheme that is neither redis nor rediss"),
        (
            "unix:///run/redis.sock",
            "names a unix socket, which is not supported",
        ),
        (
            "redis://:pa/ss@h",
            "has a / or ? in its user or password, which are written %2F and %3F in a URL",
        ),
        (
            "redis://:pa?ss@h",
            "has a / or ? in its user or password, which are written %2F and %3F in a URL",
        ),
        (
            "redis://:pa%zz@h",
            "has a % that is not followed by two hexadecimal digits",
        ),
        ("redis://", "has no host name"),
    ] {
        let result = enabled(&[("REDIS_URL", url)]);
        assert_eq!(problem(result), format!("REDIS_URL {expected}"), "{url}");
    }
}

#[test]
fn the_database_of_a_url_stands_in_its_path_or_behind_a_question_mark() {
    for url in [
        "redis://h/3",
        "redis://h?db=3",
        "redis://h/?db=3",
        "redis://h/3?db=3",
        "redis://h?DB=3&db=3",
    ] {
        let config = enabled(&[("REDIS_URL", url)]).expect(url);
        assert_eq!(standalone(&config).nodes.database, 3, "{url}");
        assert_eq!(warnings(&config), [""; 0], "{url}");
    }
    let members = enabled(&[("LOCK_REDLOCK_NODES", "redis://a?db=3,redis://b/3,c")]);
    let Locking::Enabled(Topology::Quorum(quorum)) = members.expect("three masters").locking else {
        panic!("not a quorum");
    };
    let databases: Vec<u32> = quorum.members.iter().map(|m| m.nodes.database).collect();
    assert_eq!(databases, [3, 3, 0]);
    for (url, expected) in [
        ("redis://h?db=2&db=3", "names two databases"),
        (
            "redis://h?db=x",
            "has a ?db= that is not the number of a database",
        ),
        (
            "redis://h?db=+3",
            "has a ?db= that is not the number of a database",
        ),
    ] {
        let result = enabled(&[("REDIS_URL", url)]);
        assert_eq!(problem(result), format!("REDIS_URL {expected}"), "{url}");
    }
    let config = enabled(&[("REDIS_URL", "redis://h?ssl=true&hunter2&password=hunter2")]);
    assert_eq!(
        warnings(&config.expect("options nobody knows")),
        [
            "REDIS_URL has options behind a ? that are ignored: ssl, one without =, password; only db is read"
        ]
    );
}

#[test]
fn independent_masters() {
    let config = enabled(&[
        ("REDLOCK_NODES", "redis://:one@a,b:7000,rediss://c/1"),
        ("REDIS_PASSWORD", "common"),
    ])
    .expect("three masters");
    let Locking::Enabled(Topology::Quorum(quorum)) = &config.locking else {
        panic!("not a quorum");
    };
    let shown: Vec<_> = quorum
        .members
        .iter()
        .map(|member| {
            let secret = member
                .nodes
                .credentials
                .password
                .as_ref()
                .map(|s| s.reveal().to_owned());
            (
                member.endpoint.to_string(),
                secret,
                member.nodes.tls.is_some(),
            )
        })
        .collect();
    let common = Some("common".to_owned());
    assert_eq!(
        shown,
        [
            ("a:6379".to_owned(), Some("one".to_owned()), false),
            ("b:7000".to_owned(), common.clone(), false),
            ("c:6379".to_owned(), common, true),
        ]
    );
    let twice = enabled(&[("LOCK_REDLOCK_NODES", "a,b,redis://a:6379")]);
    assert_eq!(
        problem(twice),
        "LOCK_REDLOCK_NODES names one server twice, which would give it two votes"
    );
    let even = enabled(&[("LOCK_REDLOCK_NODES", "a,b")]).expect("two masters");
    assert_eq!(
        warnings(&even),
        ["LOCK_REDLOCK_NODES names 2 masters; an odd number from three on bears the most losses"]
    );
}

#[test]
fn tls_of_nodes_and_sentinels() {
    let sentinels = ("REDIS_SENTINEL_HOSTS", "a,b,c");
    let both = enabled(&[sentinels, ("REDIS_USE_SSL", "True")]).expect("TLS");
    assert!(sentinel(&both).tls.is_some() && sentinel(&both).nodes.tls.is_some());
    let nodes = [
        sentinels,
        ("REDIS_TLS_ENABLED", "1"),
        ("REDIS_SENTINEL_USE_SSL", "no"),
    ];
    let nodes = enabled(&nodes).expect("TLS");
    assert!(sentinel(&nodes).tls.is_none() && sentinel(&nodes).nodes.tls.is_some());
    let insecure = [
        sentinels,
        ("REDIS_TLS", "on"),
        ("REDIS_TLS_INSECURE", "true"),
    ];
    assert_eq!(
        warnings(&enabled(&insecure).expect("TLS")),
        [
            "REDIS_TLS_INSECURE accepts any certificate: anybody on the network path can read and change everything"
        ]
    );
    let missing = [
        sentinels,
        ("REDIS_SSL", "on"),
        ("REDIS_SSL_CA_CERTS", "/nowhere/ca.pem"),
    ];
    assert_eq!(
        problem(enabled(&missing)),
        "REDIS_SSL_CA_CERTS names a file that cannot be read (entity not found)"
    );
}

#[test]
fn announced_addresses_are_mapped() {
    let map: AddressMap = "10.0.0.1=127.0.0.1, 10.0.0.1:6380=127.0.0.1:7000,[::2]=[::1]:9"
        .parse()
        .expect("a map");
    let mapped = |host: &str, port| map.map(&Endpoint::new(host, port)).to_string();
    assert_eq!(mapped("10.0.0.1", 6379), "127.0.0.1:6379");
    assert_eq!(mapped("10.0.0.1", 6380), "127.0.0.1:7000");
    assert_eq!(mapped("0:0::2", 6380), "[::1]:9");
    assert_eq!(mapped("10.0.0.2", 6380), "10.0.0.2:6380");
    assert!(!map.is_empty() && AddressMap::default().is_empty());
}

#[test]
fn disabled_locking_needs_no_valid_connection() {
    let config = Config::from_vars([
        ("IS_LOCKING_DISABLED", "true"),
        ("REDIS_PORT", "x"),
        ("REDIS_HOST", "h"),
    ]);
    let config = config.expect("nothing is connected to");
    assert_eq!(config.locking, Locking::Disabled);
    assert_eq!(
        warnings(&config),
        [
            "REDIS_PORT is not a port (locking is disabled)",
            "IS_LOCKING_DISABLED is true, so that locks exclude nobody, although servers are configured; set IS_LOCKING_DISABLED=false to take locks",
        ]
    );
}

#[test]
fn kubernetes_service_links_are_ignored() {
    let config = enabled(&[
        ("REDIS_HOST", "redis"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
    ]);
    let config = config.expect("the injected variable is no port");
    assert_eq!(standalone(&config).endpoint.port(), 6379);
    assert!(warnings(&config)[0].contains("Kubernetes"));
}

#[test]
fn code_decides_about_servers() {
    let topology = SentinelTopology::new([Endpoint::new("s", 1)], "m");
    let config = Config::builder()
        .vars([
            ("IS_LOCKING_DISABLED", "true"),
            ("REDIS_HOST", "h"),
            ("REDIS_DB", "x"),
        ])
        .locking(topology.clone())
        .build()
        .expect("what the variables say does not matter");
    assert_eq!(sentinel(&config), &topology);
    assert_eq!(config.lock.safety, Safety::Strict);
    assert_eq!(
        common::setting(&config, "REDIS_HOST"),
        (None, "builder".to_owned())
    );
}
