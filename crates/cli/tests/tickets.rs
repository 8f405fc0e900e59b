//! Leases for scripts: taken by one process, renewed and released by others.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use common::{Failure, code, leasehold, output, server_env, stderr, stdout};
use leasehold_testkit::RedisServer;

fn run(server: &RedisServer, words: &[&str]) -> Result<std::process::Output, Failure> {
    let mut command = leasehold(&server_env(server));
    command.env("LOCK_TTL", "20s").env("LOCK_MAX_TTL", "20s");
    command.args(words).stdin(Stdio::null());
    output(command)
}

#[test]
fn a_ticket_carries_a_lease_from_process_to_process() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("ticket");
    let ticket = &*file.to_string_lossy();
    let taken = run(&server, &["acquire", "order", "--ticket", ticket])?;
    assert_eq!(code(&taken), 0, "{}", stderr(&taken));
    let mode = std::fs::metadata(&file)?.permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let before = std::fs::read_to_string(&file)?;
    assert_eq!(code(&run(&server, &["acquire", "order", "-n"])?), 75);
    assert_eq!(code(&run(&server, &["renew", "--ticket", ticket])?), 0);
    assert_ne!(std::fs::read_to_string(&file)?, before);
    let released = run(&server, &["release", "--ticket", ticket])?;
    assert_eq!(code(&released), 0, "{}", stderr(&released));
    assert!(!file.exists());
    assert_eq!(server.cli(&["EXISTS", "order"])?, "0");
    // The old ticket is void, and says so.
    std::fs::write(&file, before)?;
    assert_eq!(code(&run(&server, &["renew", "--ticket", ticket])?), 76);
    assert_eq!(code(&run(&server, &["release"])?), 64);
    std::fs::write(&file, "{\"token\":\"secret\"}")?;
    let refused = run(&server, &["renew", "--ticket", ticket])?;
    assert_eq!(code(&refused), 64);
    assert!(!stderr(&refused).contains("secret"));
    Ok(())
}

#[test]
fn slots_are_held_by_so_many_and_no_more() -> Result<(), Failure> {
    let server = RedisServer::builder().start()?;
    for expected in [0, 0, 75] {
        let taken = run(&server, &["acquire", "pool", "--slots", "2", "--no-wait"])?;
        assert_eq!(code(&taken), expected, "{}", stderr(&taken));
        assert_eq!(stdout(&taken).is_empty(), expected != 0);
    }
    let ran = run(
        &server,
        &["run", "pool", "--slots", "3", "-n", "--", "true"],
    )?;
    assert_eq!(code(&ran), 0, "{}", stderr(&ran));
    Ok(())
}
