//! Metrics, as a recorder of the `metrics` facade gets them.

use std::collections::BTreeSet;
use std::time::Duration;

use leasehold::{AcquireOptions, Locker, LostReason, MemoryStore, config::Renewal};
use leasehold_testkit::RedisServer;
use leasehold_tests::{connect, eventually, soon, standalone_env};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// What a test reads: the sum of a counter, the value of a gauge, or the number of measurements.
struct Seen(Vec<(String, Labels, DebugValue)>);

type Labels = BTreeSet<(String, String)>;

impl Seen {
    fn of(snapshotter: &Snapshotter) -> Self {
        let snapshot = snapshotter.snapshot().into_vec();
        let seen = snapshot.into_iter().map(|(key, _, _, value)| {
            let labels = key.key().labels();
            let labels = labels.map(|label| (label.key().to_owned(), label.value().to_owned()));
            (key.key().name().to_owned(), labels.collect(), value)
        });
        Self(seen.collect())
    }

    fn get(&self, name: &str, label: (&str, &str)) -> f64 {
        let label = (label.0.to_owned(), label.1.to_owned());
        let found = self.0.iter().filter(|(found, labels, _)| {
            found == name && (label.0.is_empty() || labels.contains(&label))
        });
        found
            .map(|(_, _, value)| match value {
                DebugValue::Counter(count) => *count as f64,
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(values) => values.len() as f64,
            })
            .sum()
    }

    fn all(&self, name: &str) -> f64 {
        self.get(name, ("", ""))
    }
}

/// Runs `test` on this thread alone, with a recorder of its own.
fn recorded(test: impl AsyncFnOnce(&Snapshotter)) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    metrics::with_local_recorder(&recorder, || runtime.block_on(test(&snapshotter)));
}

#[test]
fn leases_are_counted_and_measured() {
    recorded(async |snapshotter| {
        let locker = Locker::in_memory(&MemoryStore::new());
        let labelled = AcquireOptions::new().label("reports");
        let lease = locker
            .acquire("report:17")
            .options(&labelled)
            .await
            .expect("a lease");
        let seen = Seen::of(snapshotter);
        assert_eq!(seen.get("leasehold_held", ("lock", "reports")), 1.0);
        // A snapshot takes out what was recorded, so the next one has only what came after it.
        assert_eq!(
            seen.get("leasehold_acquire_total", ("outcome", "granted")),
            1.0
        );

        let brief = AcquireOptions::new().timeout(Duration::from_millis(50));
        locker
            .acquire("report:17")
            .options(&brief)
            .await
            .expect_err("held");
        locker.try_acquire("report:17").await.expect_err("held");
        let patient = locker.acquire("report:17");
        tokio::time::timeout(Duration::from_millis(20), patient)
            .await
            .expect_err("cancelled");
        lease.renew().await.expect("a renewal");
        lease.release().await.expect("a release");
        let seen = Seen::of(snapshotter);
        for outcome in ["timed_out", "held", "cancelled"] {
            let count = seen.get("leasehold_acquire_total", ("outcome", outcome));
            assert_eq!(count, 1.0, "{outcome}");
        }
        assert_eq!(seen.all("leasehold_contended_total"), 2.0);
        assert_eq!(seen.all("leasehold_held"), -1.0);
        assert_eq!(seen.all("leasehold_waiting"), 0.0);
        assert_eq!(
            seen.get("leasehold_release_total", ("outcome", "released")),
            1.0
        );
        assert_eq!(
            seen.get("leasehold_renew_total", ("outcome", "confirmed")),
            1.0
        );
    });
}

#[test]
fn histograms_have_what_was_measured() {
    recorded(async |snapshotter| {
        let locker = Locker::in_memory(&MemoryStore::new());
        let lease = locker.acquire("report").await.expect("a lease");
        tokio::time::sleep(Duration::from_millis(30)).await;
        lease.renew().await.expect("a renewal");
        lease.release().await.expect("a release");
        // A snapshot takes the measurements out, so there is one for all.
        let seen = Seen::of(snapshotter);
        assert_eq!(seen.all("leasehold_wait_seconds"), 1.0);
        assert_eq!(seen.all("leasehold_renewal_margin_seconds"), 1.0);
        let measured = |name: &str| {
            let found = seen.0.iter().find(|(found, _, _)| found == name);
            match found.map(|(_, _, value)| value) {
                Some(DebugValue::Histogram(values)) => values[0].into_inner(),
                other => panic!("{name}: {other:?}"),
            }
        };
        let held = measured("leasehold_hold_seconds");
        assert!((0.03..1.0).contains(&held), "{held}");
        let ratio = measured("leasehold_renewal_margin_ratio");
        assert!((0.9..1.0).contains(&ratio), "{ratio}");
    });
}

#[test]
fn losses_are_counted_by_cause_and_end_the_hold() {
    recorded(async |snapshotter| {
        let locker = Locker::in_memory(&MemoryStore::new());
        let short = AcquireOptions::new()
            .ttl(Duration::from_millis(100))
            .renewal(Renewal::Off);
        let lease = locker
            .acquire("report")
            .options(&short)
            .await
            .expect("a lease");
        let reason = soon("the loss", lease.lost()).await;
        assert!(matches!(reason, LostReason::Expired { .. }), "{reason}");
        let seen = Seen::of(snapshotter);
        assert_eq!(seen.get("leasehold_lost_total", ("cause", "expired")), 1.0);
        assert_eq!(seen.get("leasehold_hold_seconds", ("outcome", "lost")), 1.0);
        assert_eq!(seen.all("leasehold_held"), 0.0);
    });
}

#[test]
fn a_restarted_master_is_counted() {
    recorded(async |snapshotter| {
        let server = RedisServer::start().expect("a server");
        let locker = connect(standalone_env(&server), &[])
            .await
            .expect("a locker");
        let mut links = Seen::of(snapshotter).all("leasehold_connected");
        assert_eq!(links, 1.0);
        server.restart().expect("a restart");
        let mut failovers = 0.0;
        eventually("the other incarnation", async || {
            let seen = Seen::of(snapshotter);
            failovers += seen.all("leasehold_failovers_total");
            links += seen.all("leasehold_connected");
            failovers > 0.0
        })
        .await;
        assert_eq!((failovers, links), (1.0, 1.0));
        drop(locker);
        eventually("the end of the link", async || {
            links += Seen::of(snapshotter).all("leasehold_connected");
            links == 0.0
        })
        .await;
    });
}

#[test]
fn a_locker_that_excludes_nobody_is_told() {
    recorded(async |snapshotter| {
        let variables = [("IS_LOCKING_DISABLED".to_owned(), "true".to_owned())];
        let locker = connect(variables, &[]).await.expect("a locker");
        let _lease = locker.acquire("report").await.expect("a lease");
        assert_eq!(Seen::of(snapshotter).all("leasehold_locking_disabled"), 1.0);
    });
}

#[test]
fn a_thousand_resources_make_no_more_series_than_one() {
    recorded(async |snapshotter| {
        let locker = Locker::in_memory(&MemoryStore::new());
        for number in 0..1_000 {
            let lease = locker
                .acquire(format!("report:{number}"))
                .await
                .expect("a lease");
            lease.release().await.expect("a release");
        }
        let seen = Seen::of(snapshotter);
        assert!(seen.0.len() < 12, "{} series", seen.0.len());
        let known = BTreeSet::from(["lock", "outcome", "cause", "operation"]);
        for (name, labels, _) in &seen.0 {
            for (key, value) in labels {
                assert!(known.contains(key.as_str()), "{name} {key}");
                assert!(!value.contains("report"), "{name} {key}={value}");
            }
        }
    });
}
