//! Time and room: latency, clocks, connections.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use leasehold::config::Endpoint;

use super::Subject;
use super::report::{Check, Level, Report};
use crate::duration::shown;
use crate::servers::number;

const LATENCY: Check = ("LH0214", "latency");
const CLOCK: Check = ("LH0215", "clock");
const CLIENTS: Check = ("LH0216", "connections left");
const IDLE: Check = ("LH0217", "idle connections kept");
const BACKLOG: Check = ("LH0218", "tcp-backlog");
const PROTECTED: Check = ("LH0219", "protection without a password");
const POWER: Check = ("LH0220", "rights of this user");

const QUESTIONS: usize = 50;

pub(super) async fn examine(subject: &Subject<'_>, endpoint: &Endpoint, report: &mut Report) {
    examine_latency(subject, report).await;
    examine_clock(subject, report).await;
    let info = &subject.info;
    let (used, most) = (
        number(info, "connected_clients"),
        number(info, "maxclients"),
    );
    if most > 0 {
        let level = if used * 10 > most * 8 {
            Level::Warn
        } else {
            Level::Pass
        };
        let told = format!("{used} of {most} used");
        report.judge(
            CLIENTS,
            level,
            told,
            "raise maxclients, or find who leaks (CLIENT LIST)",
        );
    }
    examine_settings(subject, endpoint, report).await;
}

async fn examine_latency(subject: &Subject<'_>, report: &mut Report) {
    let mut times = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        if subject.probe.ask(&["PING"]).await.is_err() {
            return report.skip(LATENCY, "PING was not answered");
        }
        times.push(asked.elapsed());
    }
    times.sort_unstable();
    let (median, most) = (times[QUESTIONS / 2], times[QUESTIONS - 1]);
    let ttl = subject.config.lock.ttl;
    let level = match most {
        _ if most > ttl / 6 => Level::Fail,
        _ if most > ttl / 20 => Level::Warn,
        _ => Level::Pass,
    };
    let told = format!("median {median:.1?}, slowest of {QUESTIONS} {most:.1?}");
    let fix = "too slow for this LOCK_TTL: look at SLOWLOG and the network, or raise LOCK_TTL";
    report.judge(LATENCY, level, told, fix);
}

/// The server's clock against this machine's, less half of the way there and back.
async fn examine_clock(subject: &Subject<'_>, report: &mut Report) {
    let asked = Instant::now();
    let Ok(answer) = subject.probe.ask(&["TIME"]).await else {
        return report.skip(CLOCK, "this user may not run TIME");
    };
    let here = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let here = here.saturating_sub(asked.elapsed() / 2);
    let part = |at: usize| -> u64 {
        let text = answer
            .items()
            .get(at)
            .and_then(leasehold::probe::Answer::text);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    let there = Duration::from_secs(part(0)) + Duration::from_micros(part(1));
    let (skew, direction) = if there > here {
        (there.saturating_sub(here), "ahead of")
    } else {
        (here.saturating_sub(there), "behind")
    };
    let level = match skew {
        _ if skew > subject.config.lock.max_ttl => Level::Fail,
        _ if skew > Duration::from_secs(1) => Level::Warn,
        _ => Level::Pass,
    };
    let told = format!("{} {direction} this machine's clock", shown(skew));
    let fix =
        "synchronise the clocks (chrony): fences are times, and nodes must agree to within a lease";
    report.judge(CLOCK, level, told, fix);
}

/// What only `CONFIG GET` and `ACL` tell; the user of the SDK may run neither.
async fn examine_settings(subject: &Subject<'_>, endpoint: &Endpoint, report: &mut Report) {
    let setting = async |name: &str| {
        let answer = subject.probe.ask(&["CONFIG", "GET", name]).await.ok()?;
        answer.field(name)
    };
    let Some(timeout) = setting("timeout").await else {
        for check in [IDLE, BACKLOG, PROTECTED] {
            report.skip(check, "this user may not run CONFIG GET, and need not");
        }
        return report.pass(POWER, "limited");
    };
    let seconds: u64 = timeout.parse().unwrap_or_default();
    let renewal = subject.config.lock.ttl / 3;
    let is_short = seconds > 0 && Duration::from_secs(seconds) < renewal;
    let level = if is_short { Level::Warn } else { Level::Pass };
    let fix = "the server closes the connection between two renewals: CONFIG SET timeout 0";
    report.judge(IDLE, level, format!("timeout {seconds}"), fix);

    let backlog: u64 = setting("tcp-backlog")
        .await
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let is_here = endpoint.host() == "localhost" || endpoint.host().starts_with("127.");
    let somaxconn = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    let somaxconn: u64 = somaxconn.trim().parse().unwrap_or(u64::MAX);
    let level = if is_here && backlog > somaxconn {
        Level::Warn
    } else {
        Level::Pass
    };
    report.judge(
        BACKLOG,
        level,
        backlog.to_string(),
        "raise net.core.somaxconn as well",
    );

    let protected = setting("protected-mode").await.unwrap_or_default();
    let level = if protected == "no" && !is_here {
        Level::Warn
    } else {
        Level::Pass
    };
    let fix = "CONFIG SET protected-mode yes, unless every user has a password";
    report.judge(PROTECTED, level, format!("protected-mode {protected}"), fix);
    report.warn(
        POWER,
        "this user may run CONFIG, and so could do anything",
        "use the user `leasehold` of config/users.acl",
    );
}
