//! Every duration that comes in, as text or in code, is within its bounds or an error.

mod common;

use std::time::Duration;

use common::disabled;
use leasehold_config::{
    Config, Endpoint, LockOptions, Locking, Renewal, StandaloneTopology, Topology,
};
use proptest::prelude::*;

const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// All lengths that a `Duration` can have, with the bounds and what lies beside them more often.
fn any_duration() -> impl Strategy<Value = Duration> {
    let beside = |duration: Duration| {
        let nanosecond = Duration::from_nanos(1);
        let below = duration.saturating_sub(nanosecond);
        prop::sample::select(vec![below, duration, duration.saturating_add(nanosecond)])
    };
    prop_oneof![
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
        (0..200_000_000_u64).prop_map(Duration::from_nanos),
        (0..60_000_u64).prop_map(Duration::from_millis),
        beside(Duration::ZERO),
        beside(Duration::from_millis(1)),
        beside(Duration::from_millis(100)),
        beside(LONGEST),
        Just(Duration::MAX),
    ]
}

fn any_options() -> impl Strategy<Value = LockOptions> {
    let renewal = prop::option::of(any_duration());
    let timeout = prop::option::of(any_duration());
    let lengths = (any_duration(), any_duration(), any_duration());
    (lengths, renewal, timeout).prop_map(|((ttl, max_ttl, retry), renewal, timeout)| {
        let mut options = LockOptions::default();
        options.ttl = ttl;
        options.max_ttl = max_ttl;
        options.retry_interval = retry;
        options.renewal = renewal.map_or(Renewal::Off, Renewal::Every);
        options.acquire_timeout = timeout;
        options
    })
}

fn is_within(duration: Duration, shortest: Duration) -> bool {
    (shortest..=LONGEST).contains(&duration)
}

/// The rules, written down a second time.
fn fits(options: &LockOptions) -> bool {
    let (lease, other) = (Duration::from_millis(100), Duration::from_millis(1));
    let renews = match options.renewal {
        Renewal::Every(interval) => is_within(interval, other) && interval < options.ttl,
        Renewal::Off => true,
    };
    is_within(options.ttl, lease)
        && is_within(options.max_ttl, lease)
        && options.ttl <= options.max_ttl
        && is_within(options.retry_interval, other)
        && options
            .acquire_timeout
            .is_none_or(|timeout| is_within(timeout, other))
        && renews
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_check_passes_just_what_is_within_the_bounds(options in any_options()) {
        prop_assert_eq!(options.check().is_ok(), fits(&options));
        let mut config = Config::new(Locking::Disabled);
        config.lock = options.clone();
        prop_assert_eq!(config.check().is_ok(), fits(&options));
    }

    #[test]
    fn a_builder_keeps_what_is_within_the_bounds_to_the_nanosecond(options in any_options()) {
        let built = Config::builder()
            .locking(Locking::Disabled)
            .ttl(options.ttl)
            .max_ttl(options.max_ttl)
            .renewal(options.renewal)
            .acquire_timeout(options.acquire_timeout)
            .retry_interval(options.retry_interval)
            .build();
        match built {
            Ok(config) => prop_assert_eq!(config.lock, options),
            Err(_) => prop_assert!(!fits(&options)),
        }
    }

    #[test]
    fn timeouts_of_connections_are_bounded(connect in any_duration(), command in any_duration()) {
        let mut standalone = StandaloneTopology::new(Endpoint::new("h", 1));
        standalone.nodes.connect_timeout = connect;
        standalone.nodes.command_timeout = command;
        let config = Config::new(Topology::from(standalone));
        let shortest = Duration::from_millis(1);
        let expected = is_within(connect, shortest)
            && is_within(command, shortest)
            && command < config.lock.ttl / 3;
        prop_assert_eq!(config.check().is_ok(), expected);
    }

    #[test]
    fn a_text_is_read_exactly_or_refused(duration in any_duration()) {
        let text = format!("{}.{:09}s", duration.as_secs(), duration.subsec_nanos());
        let read = disabled(&[("LOCK_RETRY_INTERVAL", &text)]);
        match read {
            Ok(config) => prop_assert_eq!(config.lock.retry_interval, duration),
            Err(_) => prop_assert!(!is_within(duration, Duration::from_millis(1))),
        }
    }

    #[test]
    fn no_text_panics_or_is_out_of_bounds(text in "\\PC{0,24}|[0-9.]{0,40}(ms|s|m|h|d|)") {
        if let Ok(config) = disabled(&[("LOCK_RETRY_INTERVAL", &text)]) {
            prop_assert!(is_within(config.lock.retry_interval, Duration::from_millis(1)));
        }
    }
}
