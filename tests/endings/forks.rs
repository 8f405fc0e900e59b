//! A process that forks: the child has no threads but the one that forked, and shares the sockets.

use std::time::Duration;

use fork::Fork;
use leasehold::{Config, Error, LostReason, blocking};
use leasehold_testkit::RedisServer;
use leasehold_tests::standalone_env;

/// Runs `child` in a forked process and returns whether it ended well, which must be soon.
fn in_a_child(child: impl FnOnce() -> bool) -> bool {
    match fork::fork().expect("a fork") {
        Fork::Child => {
            let went_well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            std::process::exit(i32::from(!went_well.unwrap_or(false)));
        }
        Fork::Parent(child) => {
            let give_up = std::time::Instant::now() + Duration::from_secs(20);
            loop {
                if let Some(status) = fork::waitpid_nohang(child).expect("a child") {
                    return fork::WIFEXITED(status) && fork::WEXITSTATUS(status) == 0;
                }
                if std::time::Instant::now() > give_up {
                    let child = child.to_string();
                    let _ = std::process::Command::new("kill")
                        .args(["-9", &child])
                        .status();
                    return false;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

#[test]
fn a_forked_child_is_told_and_leaves_its_parent_alone() {
    let redis = RedisServer::start().expect("redis-server");
    let config = Config::from_vars(standalone_env(&redis)).expect("a configuration");
    let locker = blocking::Locker::connect(config).expect("connect");
    let lease = locker.acquire("report").wait().expect("a lease");
    let dropped_in_child = locker.clone();
    assert!(in_a_child(|| {
        let refused = locker.try_acquire("other").wait();
        let is_refused = matches!(refused, Err(Error::Forked));
        let is_lost = lease.lost_within(Duration::from_secs(1)) == Some(LostReason::Forked);
        is_refused && is_lost && !lease.is_valid() && lease.renew().is_err()
    }));
    let mut held = Some((lease, locker, dropped_in_child));
    assert!(in_a_child(|| {
        drop(held.take());
        true
    }));
    let (lease, locker, _) = held.expect("the parent's");
    assert!(lease.is_valid());
    lease.renew().expect("the parent still holds it");
    lease.release().expect("a release");
    locker
        .acquire("report")
        .wait()
        .expect("a lease")
        .release()
        .expect("a release");
}
