//! What tools leave in values, what shows that somebody configures locking, and what of a value is shown.

mod common;

use common::{disabled, enabled, from_file, from_vars, problem, warnings};

#[test]
fn one_quote_is_part_of_the_value() {
    for owner in ["\"", "'", "\"me", "me'", "\"me'"] {
        let config = disabled(&[("LOCK_OWNER", owner)]).expect(owner);
        assert_eq!(config.lock.owner, owner);
    }
    let quoted = problem(disabled(&[("LOCK_OWNER", "'me'")]));
    assert!(
        quoted.starts_with("LOCK_OWNER begins and ends with a quote"),
        "{quoted}"
    );
    let file = from_file("IS_LOCKING_DISABLED=true\nLOCK_OWNER=\"'me'\"\n");
    assert_eq!(file.expect("quotes in quotes").lock.owner, "'me'");
}

#[test]
fn a_reference_in_a_secret_is_sent_as_it_stands() {
    for password in ["a$(b", "a${b"] {
        let variables = [("REDIS_HOST", "h"), ("REDIS_PASSWORD", password)];
        assert_eq!(
            warnings(&enabled(&variables).expect("a password")),
            [
                "REDIS_PASSWORD contains ${ or $(, which is not expanded and is sent as part of the secret"
            ]
        );
    }
}

#[test]
fn without_the_switch_whatever_configures_locking_is_listed() {
    let listed = |variables: &[(&str, &str)]| {
        let problem = problem(from_vars(variables));
        let (_, list) = problem.split_once("this is configured: ").expect("a list");
        list.replace(" (given variables)", "")
    };
    let [ttl, owner, host] = [("LOCK_TTL", "9"), ("LOCK_OWNER", "o"), ("REDIS_HOST", "h")];
    assert_eq!(listed(&[ttl]), "LOCK_TTL");
    assert!(listed(&[ttl, host]).starts_with("REDIS_HOST and "));
    let three = listed(&[ttl, owner, host]);
    assert!(
        three.starts_with("REDIS_HOST, ") && !three.contains("more"),
        "{three}"
    );
    let four = listed(&[ttl, owner, ("LOCK_SAFETY", "relaxed"), host]);
    assert!(
        four.starts_with("REDIS_HOST, ") && four.ends_with(" and 1 more"),
        "{four}"
    );
    assert_eq!(listed(&[("REDIS_PORT", "6379")]), "REDIS_PORT");
    assert_eq!(listed(&[("LOCK_ENV_FILE", "app.env")]), "LOCK_ENV_FILE");
    for (name, value) in [
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("LOCK_ENV_FILE", ""),
        ("LOCK_ENV_FILE", "none"),
    ] {
        assert!(from_vars(&[(name, value)]).is_ok(), "{name}={value}");
    }
}

#[test]
fn a_problem_shows_its_value_unless_that_may_hold_a_secret() {
    let got = |value: &str| {
        let error = disabled(&[("LOCK_TTL", value)]).expect_err("no duration");
        error.problems()[0].got().map(str::to_owned)
    };
    assert_eq!(got("five").as_deref(), Some("\"five\""));
    let hundred = "x".repeat(100);
    assert_eq!(got(&hundred), Some(format!("\"{hundred}\"")));
    assert_eq!(got(&format!("{hundred}y")), Some(format!("\"{hundred}…\"")));
    for secret in [
        "redis://h",
        "-----BEGIN KEY-----",
        "LS0tLS1CRUdJTg",
        "me@h",
        "a=b",
    ] {
        assert_eq!(got(secret), None, "{secret}");
    }
}

#[test]
fn a_service_link_in_a_file_is_none_of_our_business() {
    let file = "IS_LOCKING_DISABLED=true\nREDIS_SENTINEL_PORT=tcp://10.0.0.1:26379\n";
    assert_eq!(warnings(&from_file(file).expect("a file")), [""; 0]);
}

#[test]
fn a_directory_is_no_certificate() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().display().to_string();
    let tls = [
        ("REDIS_HOST", "h"),
        ("REDIS_TLS_ENABLED", "true"),
        ("REDIS_TLS_CA_FILE", &*path),
    ];
    assert_eq!(
        problem(enabled(&tls)),
        "REDIS_TLS_CA_FILE names a file that is not a regular file"
    );
}

#[test]
fn entries_are_counted_from_one() {
    for (nodes, number) in [("a:x,b,c", 1), ("a,b:x,c", 2)] {
        let problem = problem(enabled(&[("LOCK_REDLOCK_NODES", nodes)]));
        assert!(problem.contains(&format!("number {number} ")), "{problem}");
    }
}
