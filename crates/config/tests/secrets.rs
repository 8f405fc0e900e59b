//! No secret in anything that can be printed.

mod common;

use std::fs;

use common::{enabled, from_vars, password, problem, setting, standalone, warnings};
use leasehold_config::{Config, ConfigError, Locking, NodeOptions, Secret, Topology};

const SECRET: &str = "hunter2";

/// Everything that a result can print.
fn printed(result: &Result<Config, ConfigError>) -> String {
    match result {
        Ok(config) => {
            let settings = config.settings();
            let warnings: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
            format!("{config:?} {config:#?} {settings:?} {warnings:?}")
        }
        Err(error) => format!("{error} {error:?} {error:#?}"),
    }
}

#[test]
fn good_and_bad_configurations_hide_their_secrets() {
    let host = ("REDIS_HOST", "h");
    for variables in [
        vec![host, ("REDIS_PASSWORD", SECRET)],
        vec![host, ("REDIS_AUTH", SECRET), ("REDIS_PASSWORD", "other")],
        vec![host, ("REDIS_PASSWORD", " hunter2 ")],
        vec![host, ("REDIS_PASSWORD", "\"hunter2\"")],
        vec![host, ("REDIS_PASSWORD", SECRET), ("REDIS_PORT", "x")],
        vec![host, ("REDIS_PASSWORD_FILE", SECRET)],
        vec![host, ("REDIS_PASWORD", SECRET)],
        vec![
            ("REDIS_SENTINEL_HOSTS", "a"),
            ("REDIS_SENTINEL_PASSWORD", SECRET),
        ],
        vec![("REDIS_URL", "redis://:hunter2@h:6379/1")],
        vec![("REDIS_URL", "redis://:hunter2@h:x")],
        vec![("REDIS_URL", "redis://:hunter2#@h")],
        vec![("REDIS_URL", "redis://:hunter2/x@h")],
        vec![("REDIS_URL", "hunter2")],
        vec![("REDIS_URL", "redis://h?password=hunter2")],
        vec![(
            "LOCK_REDLOCK_NODES",
            "redis://:hunter2@a,redis://:hunter2@b",
        )],
        vec![("LOCK_REDLOCK_NODES", "redis://:hunter2,x@a")],
        vec![("REDIS_HOST", "redis://:hunter2@h")],
        vec![("REDIS_HOST", ":hunter2@h")],
        vec![("REDIS_SENTINEL_HOSTS", "redis://:hunter2@h")],
        vec![("REDIS_HOST", "h REDIS_PASSWORD=hunter2")],
        vec![("REDIS_CLUSTER_NODES", "default:hunter2@h:6379")],
        vec![host, ("REDIS_URL", "redis://:hunter2@other")],
    ] {
        let result = enabled(&variables);
        let printed = printed(&result);
        assert!(!printed.contains(SECRET), "{variables:?}: {printed}");
        let disabled = from_vars(&variables);
        assert!(!self::printed(&disabled).contains(SECRET), "{variables:?}");
    }
}

#[test]
fn lines_that_cannot_be_read_hide_their_secrets() {
    for line in [
        "REDIS_PASSWORD=hunter2$x",
        "REDIS_PASSWORD=#hunter2",
        "REDIS_PASSWORD='hunter2",
        "REDIS_PASSWORD='a'hunter2",
        "REDIS_PASSWORD=a'hunter2",
        "REDIS_PASSWORD: hunter2",
        "REDIS_PASSWORD hunter2",
        "REDIS_HOST=h REDIS_PASSWORD=hunter2",
        "FOO=x REDIS_PASSWORD=hunter2",
        "REDIS_PASWORD=hunter2",
    ] {
        let result = common::from_file(format!("{line}\n"));
        assert!(!printed(&result).contains(SECRET), "{line}");
    }
}

#[test]
fn builders_print_nothing() {
    let builder = Config::builder()
        .set("REDIS_PASSWORD", SECRET)
        .vars([("REDIS_AUTH", SECRET)]);
    assert_eq!(format!("{builder:?}"), "Builder { .. }");
    assert_eq!(format!("{:?}", Secret::new(SECRET)), "[hidden]");
}

#[test]
fn settings_show_urls_without_their_credentials() {
    let config = enabled(&[("REDIS_URL", "rediss://app:hunter2@h/2")]).expect("a URL");
    assert_eq!(setting(&config, "REDIS_URL").0, Some("rediss://h:6379/2"));
    let config = enabled(&[("LOCK_REDLOCK_NODES", "redis://:hunter2@a,b,c:1")]).expect("URLs");
    assert_eq!(
        setting(&config, "LOCK_REDLOCK_NODES").0,
        Some("redis://a:6379,redis://b:6379,redis://c:1")
    );
    let config = enabled(&[("REDIS_HOST", "h"), ("REDIS_PASSWORD", SECRET)]).expect("a password");
    assert_eq!(setting(&config, "REDIS_PASSWORD").0, Some("[hidden]"));
    assert_eq!(
        setting(&config, "REDIS_SENTINEL_PASSWORD").0,
        Some("[hidden]")
    );
}

#[test]
fn secrets_come_from_files_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let write = |name: &str, content: &[u8]| fs::write(path(name), content).expect("a file");
    write("plain", b"hunter2");
    write("newline", b"hunter2\n");
    write("windows", b"hunter2\r\n");
    write("empty", b"\n");
    write("latin", b"caf\xe9");
    write("large", &vec![b'x'; 64 * 1024 + 1]);
    write("largest", &vec![b'x'; 64 * 1024]);
    let largest = path("largest");
    let read = enabled(&[("REDIS_HOST", "h"), ("REDIS_PASSWORD_FILE", &*largest)]);
    assert!(read.is_ok(), "64 KiB may be read");
    for name in ["plain", "newline", "windows"] {
        for variable in ["REDIS_PASSWORD_FILE", "REDIS_AUTH_FILE"] {
            let path = path(name);
            let config = enabled(&[("REDIS_HOST", "h"), (variable, path.as_str())]).expect(name);
            assert_eq!(password(&config), Some(SECRET), "{name}");
        }
    }
    write("blanks", b" hunter2 \n");
    let blanks = path("blanks");
    let kept = enabled(&[("REDIS_HOST", "h"), ("REDIS_PASSWORD_FILE", &*blanks)]);
    let kept = kept.expect("a password with blanks");
    assert_eq!(password(&kept), Some(" hunter2 "));
    let secret = password_of(&common::standalone(&kept).nodes);
    assert_eq!(secret.file(), Some(std::path::Path::new(&blanks)));
    write("url", b" redis://:hunter2@h \n");
    let url = enabled(&[("REDIS_URL_FILE", &*path("url"))]).expect("a URL between blanks");
    assert_eq!(password(&url), Some(SECRET));
    for (name, expected) in [
        ("empty", "is empty"),
        ("latin", "is not UTF-8"),
        ("large", "is larger than 64 KiB"),
        ("missing", "cannot be read (entity not found)"),
        ("", "is not a regular file"),
    ] {
        let path = path(name);
        let result = enabled(&[("REDIS_HOST", "h"), ("REDIS_PASSWORD_FILE", path.as_str())]);
        assert_eq!(
            problem(result),
            format!("REDIS_PASSWORD_FILE names a file that {expected}")
        );
    }
    let file = path("plain");
    let both = [
        ("REDIS_HOST", "h"),
        ("REDIS_PASSWORD", "x"),
        ("REDIS_PASSWORD_FILE", file.as_str()),
    ];
    assert_eq!(
        problem(enabled(&both)),
        "REDIS_PASSWORD_FILE is set beside REDIS_PASSWORD, so that the secret has two sources"
    );
}

#[test]
fn blanks_and_quotes_in_secrets_are_warned_about() {
    let config = enabled(&[("REDIS_HOST", "h"), ("REDIS_PASSWORD", "hunter2 ")]).expect("a blank");
    assert_eq!(password(&config), Some("hunter2 "));
    assert_eq!(
        warnings(&config),
        ["REDIS_PASSWORD begins or ends with a blank, which is sent as part of the secret"]
    );
}

#[test]
fn a_password_in_a_file_that_holds_a_url_is_read_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("urls");
    let write = |text: &str| fs::write(&path, text).expect("a file");
    let name = path.to_string_lossy();

    write("redis://:first@h:6379\n");
    let config = enabled(&[("REDIS_URL_FILE", &*name)]).expect("a URL");
    let secret = password_of(&standalone(&config).nodes);
    for (text, expected) in [
        ("redis://:se%40cond@h:6379\n", "se@cond"),
        ("not a URL", "se@cond"),
        ("redis://h:6379", "se@cond"),
        ("redis://:third@h:6379/1", "third"),
    ] {
        write(text);
        assert_eq!(secret.read_again().reveal(), expected, "{text}");
    }

    write("redis://:a1@a,redis://:b1@b,redis://:c1@c");
    let config = enabled(&[("LOCK_REDLOCK_NODES_FILE", &*name)]).expect("URLs");
    let Locking::Enabled(Topology::Quorum(quorum)) = &config.locking else {
        panic!("no quorum: {config:?}");
    };
    // In another order, and one of them is gone: each has the password of its address.
    write("redis://:c2@c,redis://:a2@a,redis://:d2@d");
    let members = quorum.members.iter();
    let again = members.map(|member| password_of(&member.nodes).read_again());
    let again: Vec<Secret> = again.collect();
    assert_eq!(again, ["a2", "b1", "c2"].map(Secret::new));
}

fn password_of(nodes: &NodeOptions) -> &Secret {
    nodes.credentials.password.as_ref().expect("a password")
}
