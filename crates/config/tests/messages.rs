//! Values that are refused, with the exact words.

mod common;

use common::{disabled, enabled, from_file, from_vars, message, problem, warnings};
use leasehold_config::{ProblemKind, Source};

#[test]
fn all_problems_at_once() {
    let file = "export IS_LOCKING_DISABLED=maybe
LOCK_RETRY_INTERVAL_SECONDS=five

REDIS_SENTINELS=a:26379,b:70000,c
REDIS_DB=-1
";
    assert_eq!(
        message(from_file(file)),
        "4 problems in the lock configuration

  1. IS_LOCKING_DISABLED is neither true nor false
     got:      \"maybe\"
     from:     .env:1
     accepted: true, false (in any case)
     example:  IS_LOCKING_DISABLED=false

  2. REDIS_SENTINELS has an entry that is not host:port: number 2 has a port that is not a number from 1 to 65535
     got:      \"a:26379,b:70000,c\"
     from:     .env:4
     accepted: host or host:port (default port 26379), separated by commas; IPv6 addresses in brackets
     example:  REDIS_SENTINEL_HOSTS=host-1:26379,host-2:26379,[::1]:26379

  3. REDIS_DB is not the number of a database
     got:      \"-1\"
     from:     .env:5
     accepted: 0, 1, 2 and so on; a server has 16 databases unless told otherwise
     example:  REDIS_DB=0

  4. LOCK_RETRY_INTERVAL_SECONDS is not a duration
     got:      \"five\"
     from:     .env:2
     accepted: seconds (5, 0.5) or a number with a unit (500ms, 5s, 2m, 1h), from 1ms to 365 days
     example:  LOCK_RETRY_INTERVAL=5s"
    );
}

#[test]
fn enabled_without_servers_lists_the_ways_out() {
    assert_eq!(
        enabled(&[]).expect_err("no servers").to_string(),
        "1 problem in the lock configuration

  1. IS_LOCKING_DISABLED is false, but no variable says which servers keep the locks
     got:      \"false\"
     from:     given variables
     accepted: REDIS_SENTINEL_HOSTS (Sentinels), REDIS_HOST or REDIS_URL (one server), REDIS_CLUSTER_NODES (a cluster) or LOCK_REDLOCK_NODES (independent masters) beside it; or true, to take no locks
     example:  REDIS_HOST=localhost"
    );
}

#[test]
fn only_true_and_false_decide_about_locking() {
    for value in ["true", "True", "TRUE", " true ", ""] {
        assert!(
            from_vars(&[("IS_LOCKING_DISABLED", value)]).is_ok(),
            "{value}"
        );
    }
    for value in ["False", "FALSE", " false\t"] {
        let vars = [("IS_LOCKING_DISABLED", value), ("REDIS_HOST", "h")];
        assert!(from_vars(&vars).is_ok(), "{value}");
    }
    for value in ["1", "0", "yes", "no", "on", "off", "t", "wahr"] {
        let result = from_vars(&[("IS_LOCKING_DISABLED", value)]);
        assert_eq!(
            problem(result),
            "IS_LOCKING_DISABLED is neither true nor false"
        );
    }
}

#[test]
fn hosts_and_ports() {
    for (variables, expected) in [
        (
            vec![("REDIS_HOST", "h"), ("REDIS_PORT", "0")],
            "REDIS_PORT is not a port",
        ),
        (
            vec![("REDIS_HOST", "h"), ("REDIS_PORT", "65536")],
            "REDIS_PORT is not a port",
        ),
        (
            vec![("REDIS_HOST", "h"), ("REDIS_PORT", "+1")],
            "REDIS_PORT is not a port",
        ),
        (
            vec![("REDIS_SENTINEL_HOSTS", "[::1")],
            "REDIS_SENTINEL_HOSTS has an entry that is not host:port: number 1 has brackets that do not hold an IPv6 address",
        ),
        (
            vec![("REDIS_SENTINEL_HOSTS", ":26379")],
            "REDIS_SENTINEL_HOSTS has an entry that is not host:port: number 1 has no host name",
        ),
        (
            vec![
                ("REDIS_SENTINEL_HOSTS", "a"),
                ("REDIS_SENTINEL_SERVICE", "my master"),
            ],
            "REDIS_SENTINEL_SERVICE has a blank or a control character",
        ),
        (
            vec![("REDIS_SENTINEL_HOSTS", "a"), ("REDIS_ADDRESS_MAP", "a")],
            "REDIS_ADDRESS_MAP has an entry without =",
        ),
        (
            vec![
                ("REDIS_SENTINEL_HOSTS", "a"),
                ("REDIS_ADDRESS_MAP", "a=b,a=c"),
            ],
            "REDIS_ADDRESS_MAP maps one address twice",
        ),
        (
            vec![("REDIS_HOST", "h"), ("LOCK_OWNER", "a\nb")],
            "LOCK_OWNER has a control character",
        ),
    ] {
        assert_eq!(problem(enabled(&variables)), expected);
    }
}

/// Their words are held by `docs/configuration-inputs.md`.
#[test]
fn hosts_that_are_none() {
    for (name, value) in [
        ("REDIS_HOST", "h:6379"),
        ("REDIS_HOST", "redis://h"),
        ("REDIS_HOST", "a b"),
        ("REDIS_SENTINEL_HOSTS", "::1:26379"),
        ("REDIS_SENTINEL_HOSTS", ", ,"),
        ("REDIS_URL", "redis://:pa#ss@h"),
        ("REDIS_URL", "redis://h/orders"),
        ("REDIS_URL", "redis://h/2?db=3"),
    ] {
        let error = enabled(&[(name, value)]).expect_err(value);
        let [problem] = error.problems() else {
            panic!("{name}={value}: {error}");
        };
        let found = (problem.variable(), problem.kind());
        assert_eq!(found, (name, ProblemKind::InvalidValue), "{error}");
    }
}

#[test]
fn durations_in_range() {
    for (value, expected) in [
        ("0", "is shorter than a millisecond"),
        ("0.0001", "is shorter than a millisecond"),
        ("-5", "is not a duration"),
        ("NaN", "is not a duration"),
        ("5 days", "is not a duration"),
        ("9000h", "is longer than 365 days"),
    ] {
        let result = disabled(&[("LOCK_TTL", value)]);
        assert_eq!(problem(result), format!("LOCK_TTL {expected}"), "{value}");
    }
}

#[test]
fn the_habit_of_milliseconds_is_warned_about() {
    let config = disabled(&[("LOCK_TTL", "30000")]).expect("eight hours");
    assert_eq!(
        warnings(&config),
        [
            "LOCK_TTL is 30000 seconds, as a bare number means seconds; write 30000ms if milliseconds are meant"
        ]
    );
}

#[test]
fn values_that_do_not_fit_together() {
    let standalone = [("REDIS_HOST", "h")];
    for (more, expected) in [
        (
            vec![("LOCK_RENEW_INTERVAL", "30")],
            "LOCK_RENEW_INTERVAL is not shorter than LOCK_TTL (30s)",
        ),
        (
            vec![("REDIS_COMMAND_TIMEOUT", "10s")],
            "REDIS_COMMAND_TIMEOUT is not below a third of LOCK_TTL (30s), so that a lease could end before a failed renewal is noticed",
        ),
    ] {
        let variables: Vec<_> = standalone.into_iter().chain(more).collect();
        let result = enabled(&variables);
        let kind = result.clone().expect_err("a inconsistency").problems()[0].kind();
        assert_eq!(kind, ProblemKind::Inconsistent);
        assert_eq!(problem(result), expected);
    }
    let longer = [("LOCK_TTL", "60"), ("LOCK_MAX_TTL", "30")];
    assert_eq!(
        message(enabled(&[standalone[0], longer[0], longer[1]])),
        "1 problem in the lock configuration

  1. LOCK_TTL is longer than LOCK_MAX_TTL (30s)
     got:      \"60\"
     from:     given variables
     accepted: at most LOCK_MAX_TTL, which must be the same for all clients of this Redis
     example:  LOCK_MAX_TTL=60s"
    );
    let cluster = [("REDIS_CLUSTER_NODES", "a"), ("REDIS_DB", "1")];
    assert_eq!(
        problem(enabled(&cluster)),
        "REDIS_DB is not 0, but a Redis Cluster has no other database"
    );
    let certificate = env!("CARGO_MANIFEST_PATH");
    let tls = [
        ("REDIS_HOST", "h"),
        ("REDIS_TLS", "on"),
        ("REDIS_TLS_CERT_PATH", certificate),
    ];
    assert_eq!(
        problem(enabled(&tls)),
        "REDIS_TLS_CERT_PATH is set without REDIS_TLS_KEY_FILE"
    );
}

#[test]
fn a_value_that_was_not_understood_fits_with_everything() {
    let result = enabled(&[
        ("REDIS_HOST", "h"),
        ("LOCK_TTL", "soon"),
        ("LOCK_RENEW_INTERVAL", "40s"),
    ]);
    assert_eq!(problem(result), "LOCK_TTL is not a duration");
}

#[test]
fn a_short_lease_needs_no_second_variable() {
    let config = enabled(&[("REDIS_HOST", "h"), ("LOCK_TTL", "3s")]).expect("a short lease");
    let timeout = common::standalone(&config).nodes.command_timeout;
    assert_eq!(timeout, std::time::Duration::from_millis(750));
}

#[test]
fn problems_are_data_too() {
    let error =
        enabled(&[("REDIS_HOST", "h"), ("REDIS_SOCKET_TIMEOUT", "soon")]).expect_err("soon");
    let problem = &error.problems()[0];
    assert_eq!(problem.variable(), "REDIS_SOCKET_TIMEOUT");
    assert_eq!(problem.source(), &Source::Given);
    assert_eq!(problem.got(), Some("\"soon\""));
    assert_eq!(problem.example(), "REDIS_COMMAND_TIMEOUT=2s");
    assert!(problem.accepted().starts_with("seconds"));
}

#[test]
fn slips_are_recognised() {
    let config = disabled(&[
        ("REDIS_SENTINEL_HOST", "a"),
        ("LOCK_TLL", "1"),
        ("REDIS_MAX_CONNECTIONS", "9"),
    ]);
    assert_eq!(
        warnings(&config.expect("unknown variables")),
        [
            "REDIS_SENTINEL_HOST is not a variable that is read; did you mean REDIS_SENTINEL_HOSTS?",
            "LOCK_TLL is not a variable that is read; did you mean LOCK_TTL?",
            "REDIS_MAX_CONNECTIONS is not a variable that is read; docs/configuration.md lists those that are",
        ]
    );
}

/// A name that was misspelt is often the cause of the problem.
#[test]
fn problems_and_hints_are_told_together() {
    for (written, meant) in [
        ("REDIS_SENTINEL_HOST", "REDIS_SENTINEL_HOSTS"),
        ("REDIS_HSOT", "REDIS_HOST"),
        ("redis_host", "REDIS_HOST"),
    ] {
        for error in [
            from_vars(&[(written, "h")]).expect_err("no switch"),
            enabled(&[(written, "h")]).expect_err("no servers"),
        ] {
            assert_eq!(error.problems()[0].kind(), ProblemKind::Missing, "{error}");
            let [hint] = error.warnings() else {
                panic!("{written} is not told of: {error}");
            };
            assert_eq!(hint.variable(), written);
            assert!(hint.message().ends_with(&format!("did you mean {meant}?")));
            assert!(error.to_string().contains(&hint.to_string()), "{error}");
        }
    }
}

/// `fn main() -> Result<(), ConfigError>` prints `Debug`.
#[test]
fn a_program_that_ends_with_an_error_prints_its_message() {
    let error = enabled(&[("REDIS_HOST", "h"), ("LOCK_TTL", "soon")]).expect_err("soon");
    assert_eq!(format!("{error:?}"), error.to_string());
}

/// The words are held by `docs/configuration-inputs.md`; here it is what must be in them.
#[test]
fn the_advice_fits_the_mistake() {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB";
    let sentinels = "REDIS_SENTINEL_HOSTS";
    for (name, value, advice) in [
        (sentinels, "a:26379;b:26379", "separated by commas"),
        (sentinels, "a:26379|b:26379", "separated by commas"),
        (sentinels, "a:26379\nb:26379", "separated by commas"),
        (sentinels, "user:pw@a:26379", "REDIS_SENTINEL_PASSWORD"),
        ("REDIS_CLUSTER_NODES", "user:pw@a", "REDIS_PASSWORD"),
        ("REDIS_HOST", "user:pw@a", "REDIS_PASSWORD"),
        ("REDIS_URL", "redis-sentinel://a:26379/m", sentinels),
        ("REDIS_URL", "redis+sentinel://a:26379/m", sentinels),
        ("REDIS_URL", "rediss+sentinel://a:26379/m", sentinels),
        ("REDIS_URL", "sentinel://a:26379/m", sentinels),
        ("REDIS_TLS_CA_FILE", pem, "itself"),
        ("REDIS_TLS_CERT_FILE", "LS0tLS1CRUdJTiBDRVJU", "itself"),
        ("REDIS_PASSWORD_FILE", pem, "itself"),
        ("REDIS_HOST", "${BASE}", "not expanded"),
        ("REDIS_HOST", "redis-$(ZONE)", "not expanded"),
        ("REDIS_URL", "redis://${BASE}:6379", "not expanded"),
    ] {
        let server = ("REDIS_HOST", "h");
        let is_server = !name.ends_with("_FILE");
        let variables = [(name, value), server];
        let count = if is_server { 1 } else { 2 };
        let result = enabled(&variables[..count]);
        if advice == "itself" {
            let error = result.clone().expect_err("a certificate");
            assert_eq!(error.problems()[0].got(), None, "{name} is shown");
        }
        let told = problem(result);
        assert!(told.contains(advice), "{name}={value}: {told}");
    }
    for line in ["REDIS_HOST=${BASE}", "REDIS_URL=redis://${BASE}/1"] {
        let told = problem(from_file(format!("IS_LOCKING_DISABLED=false\n{line}\n")));
        assert!(told.contains("not expanded"), "{line}: {told}");
    }
    let odd = enabled(&[("REDIS_HOST", "h"), ("LOCK_TIMEOUT", "5s")]).expect("odd");
    assert!(warnings(&odd)[0].contains("LOCK_ACQUIRE_TIMEOUT or LOCK_TTL"));
}
