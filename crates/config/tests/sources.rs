//! Where values come from, and which source beats which. The environment is that of child processes.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::setting;
use leasehold_config::{Config, Renewal, Safety};

/// Not a test: what the children run. It prints the configuration, or what is wrong with it.
#[test]
#[ignore = "run by the other tests, in an environment of their making"]
fn child() {
    let read = match std::env::var("CHILD_READS").as_deref() {
        Ok("process") => Config::from_process_env,
        _ => Config::from_env,
    };
    match read() {
        Ok(config) => {
            for setting in config.settings() {
                println!(
                    "{}={} [{}]",
                    setting.name(),
                    setting.value().unwrap_or("-"),
                    setting.source()
                );
            }
            config
                .warnings()
                .iter()
                .for_each(|warning| println!("warning: {warning}"));
        }
        Err(error) => println!("{error}"),
    }
}

fn run(directory: &Path, variables: &[(&str, &OsStr)]) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args([
            "--exact",
            "child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env_clear()
        .current_dir(directory)
        .envs(variables.iter().copied());
    let output = command.output().expect("a child process");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn directory_with(file: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join(".env"), file).expect("a file");
    directory
}

const FILE: &str = "IS_LOCKING_DISABLED=false\nREDIS_HOST=from-file\nLOCK_RETRY_INTERVAL=7\n";

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

#[test]
fn the_environment_beats_the_file() {
    let directory = directory_with(FILE);
    let printed = run(
        directory.path(),
        &[
            ("LOCK_RETRY_INTERVAL_SECONDS", os("3")),
            ("REDIS_HOST", os("")),
        ],
    );
    assert!(
        printed.contains("LOCK_RETRY_INTERVAL=3 [environment]"),
        "{printed}"
    );
    assert!(
        printed.contains("REDIS_HOST=from-file [.env:2]"),
        "{printed}"
    );
    assert!(printed.contains("LOCK_TTL=30s [default]"), "{printed}");
    assert!(!printed.contains("warning"), "{printed}");
}

#[test]
fn the_process_environment_alone() {
    let directory = directory_with(FILE);
    let printed = run(
        directory.path(),
        &[
            ("CHILD_READS", os("process")),
            ("IS_LOCKING_DISABLED", os("true")),
            ("LOCK_TTL", os("9")),
        ],
    );
    assert!(printed.contains("REDIS_HOST=- [default]"), "{printed}");
    assert!(printed.contains("LOCK_TTL=9 [environment]"), "{printed}");
}

#[test]
fn the_file_is_found_by_name_and_only_in_this_directory() {
    let directory = directory_with(FILE);
    let other = directory.path().join("other");
    fs::create_dir(&other).expect("a directory");
    let none = run(&other, &[]);
    assert!(
        none.contains("IS_LOCKING_DISABLED=true [default]"),
        "{none}"
    );
    let named = run(&other, &[("LOCK_ENV_FILE", os("../.env"))]);
    assert!(
        named.contains("REDIS_HOST=from-file [../.env:2]"),
        "{named}"
    );
    let off = run(directory.path(), &[("LOCK_ENV_FILE", os("none"))]);
    assert!(off.contains("REDIS_HOST=- [default]"), "{off}");
    let missing = run(&other, &[("LOCK_ENV_FILE", os("nowhere.env"))]);
    let expected = "1. LOCK_ENV_FILE names a file that does not exist\n     got:      \"nowhere.env\"\n     from:     environment\n";
    assert!(missing.contains(expected), "{missing}");
}

#[test]
fn a_directory_in_the_files_place_is_not_read() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join(".env")).expect("a virtual environment");
    let printed = run(directory.path(), &[]);
    assert!(
        printed.contains(
            "1. IS_LOCKING_DISABLED is not set, although this is configured: the unreadable .env\n"
        ),
        "{printed}"
    );
    assert!(
        printed.contains("   - LOCK_ENV_FILE (.env): is a directory or a pipe and is not read"),
        "{printed}"
    );
    let decided = run(directory.path(), &[("IS_LOCKING_DISABLED", os("true"))]);
    assert!(
        decided.contains("warning: LOCK_ENV_FILE (.env): is a directory or a pipe"),
        "{decided}"
    );
}

#[cfg(unix)]
#[test]
fn variables_that_are_not_unicode() {
    use std::os::unix::ffi::OsStrExt;

    let latin = OsStr::from_bytes(b"caf\xe9");
    let directory = directory_with(FILE);
    let foreign = run(directory.path(), &[("CAFE", latin)]);
    assert!(foreign.contains("REDIS_HOST=from-file"), "{foreign}");
    let ours = run(directory.path(), &[("REDIS_PASSWORD", latin)]);
    assert!(
        ours.contains("1. REDIS_PASSWORD is not UTF-8\n     from:     environment\n"),
        "{ours}"
    );
}

#[test]
fn quotes_that_docker_leaves_are_warned_about() {
    let directory = directory_with(FILE);
    let printed = run(
        directory.path(),
        &[
            ("REDIS_PASSWORD", os("\"hunter2\"")),
            ("LOCK_OWNER", os("me\r")),
        ],
    );
    assert!(
        printed.contains("warning: REDIS_PASSWORD (environment): begins and ends with a quote"),
        "{printed}"
    );
    assert!(
        printed.contains("warning: LOCK_OWNER (environment): ends with a carriage return"),
        "{printed}"
    );
    assert!(printed.contains("LOCK_OWNER=me [environment]"), "{printed}");
}

#[test]
fn code_beats_everything() {
    let config = Config::builder()
        .vars([
            ("IS_LOCKING_DISABLED", "true"),
            ("LOCK_TTL", "10"),
            ("LOCK_KEY_PREFIX", "a:"),
            ("LOCK_OWNER", "a"),
            ("LOCK_WAIT_TIMEOUT", "9"),
        ])
        .ttl(Duration::from_millis(20_500))
        .max_ttl(Duration::from_secs(40))
        .renewal(Renewal::Off)
        .acquire_timeout(None)
        .retry_interval(Duration::from_nanos(1_000_001))
        .safety(Safety::Strict)
        .key_prefix("")
        .owner("me")
        .client_name("orders")
        .set("REDIS_DB", "1")
        .build()
        .expect("all of it fits");
    assert_eq!(config.lock.ttl, Duration::from_millis(20_500));
    assert_eq!(config.lock.max_ttl, Duration::from_secs(40));
    assert_eq!(config.lock.renewal, Renewal::Off);
    assert_eq!(config.lock.acquire_timeout, None);
    assert_eq!(config.lock.retry_interval, Duration::from_nanos(1_000_001));
    assert_eq!(config.lock.safety, Safety::Strict);
    assert_eq!(
        (config.lock.key_prefix.as_str(), config.lock.owner.as_str()),
        ("", "me")
    );
    assert_eq!(config.client_name.as_deref(), Some("orders"));
    assert_eq!(
        setting(&config, "LOCK_TTL"),
        (Some("20.5s"), "builder".to_owned())
    );
}

#[test]
fn an_alias_in_a_higher_source_beats_the_canonical_name() {
    let config = Config::builder()
        .vars([
            ("IS_LOCKING_DISABLED", "true"),
            ("LOCK_RETRY_INTERVAL", "1"),
        ])
        .set("LOCK_RETRY_INTERVAL_SECONDS", "2")
        .build()
        .expect("two sources");
    assert_eq!(config.lock.retry_interval, Duration::from_secs(2));
    assert!(config.warnings().is_empty());
}

#[test]
fn defaults() {
    let config = Config::from_vars::<_, String, String>([]).expect("nothing set");
    let lock = &config.lock;
    assert_eq!(
        (lock.ttl, lock.max_ttl),
        (Duration::from_secs(30), Duration::from_secs(30))
    );
    assert_eq!(lock.renewal, Renewal::Every(Duration::from_secs(10)));
    assert_eq!(
        (lock.acquire_timeout, lock.retry_interval),
        (None, Duration::from_secs(5))
    );
    assert_eq!(lock.safety, Safety::Relaxed);
    assert!(
        lock.owner.ends_with(&format!(":{}", std::process::id())),
        "{}",
        lock.owner
    );
    let longer = common::disabled(&[("LOCK_TTL", "1m")]).expect("a long lease");
    assert_eq!(longer.lock.max_ttl, Duration::from_secs(60));
    assert_eq!(longer.lock.renewal, Renewal::Every(Duration::from_secs(20)));
}
