//! The gate's record in Redis: the longest lease that the clients agreed on, and whether grants are given.

use std::time::Duration;

use leasehold::config::Safety;
use leasehold::probe::Answer;

use super::Subject;
use super::report::{Check, Report};
use crate::duration::shown;
use crate::servers::field;

const LONGEST: Check = ("LH0222", "LOCK_MAX_TTL as on record");
const GATE: Check = ("LH0223", "gate open");

/// What the record says.
struct Record {
    incarnation: String,
    open_from_ms: Option<u64>,
    longest: Duration,
}

pub(super) async fn examine(subject: &Subject<'_>, report: &mut Report) {
    if subject.config.lock.safety != Safety::Strict {
        return;
    }
    let key = format!("{}leasehold:gate", subject.config.lock.key_prefix);
    let asked = ["HMGET", &key, "incarnation", "open_from", "longest"];
    let Ok(answer) = subject.probe.ask(&asked).await else {
        for check in [LONGEST, GATE] {
            report.skip(check, "this user may not read the gate's record");
        }
        return;
    };
    let Some(record) = read(&answer) else {
        for check in [LONGEST, GATE] {
            report.pass(check, "no record yet: the first locker writes it");
        }
        return;
    };
    examine_longest(subject, record.longest, report);
    examine_gate(subject, &record, report).await;
}

fn read(answer: &Answer) -> Option<Record> {
    let [incarnation, open_from, longest] = answer.items() else {
        return None;
    };
    let number = |answer: &Answer| answer.text()?.parse().ok();
    Some(Record {
        incarnation: incarnation.text()?,
        open_from_ms: number(open_from),
        longest: Duration::from_millis(number(longest)?),
    })
}

fn examine_longest(subject: &Subject<'_>, longest: Duration, report: &mut Report) {
    let lock = &subject.config.lock;
    let told = format!(
        "LOCK_MAX_TTL is {} here and {} in the gate's record",
        shown(lock.max_ttl),
        shown(longest)
    );
    if lock.ttl > longest {
        let fix = "leases of this client are refused: the same LOCK_MAX_TTL for all clients of this Redis";
        report.fail(LONGEST, told, fix);
    } else if lock.max_ttl != longest {
        let fix = "another client of this Redis has another LOCK_MAX_TTL, or it was changed: give all of them \
                   the same";
        report.warn(LONGEST, told, fix);
    } else {
        report.pass(LONGEST, shown(longest));
    }
}

async fn examine_gate(subject: &Subject<'_>, record: &Record, report: &mut Report) {
    let incarnation = field(&subject.info, "master_replid").unwrap_or_default();
    if record.incarnation != incarnation {
        let told = "the record is of an earlier master: the next locker claims the gate";
        return report.pass(GATE, told);
    }
    let Some(open_from) = record.open_from_ms else {
        let fix = "bring the replicas back; it goes on by itself";
        let told = "closed until a majority of the data nodes has its record";
        return report.warn(GATE, told, fix);
    };
    let time = subject.probe.ask(&["TIME"]).await.ok();
    let seconds = time.as_ref().and_then(|time| time.items().first()?.text());
    let Some(now) = seconds.and_then(|text| text.parse::<u64>().ok()) else {
        return report.skip(GATE, "this user may not run TIME");
    };
    let remaining = Duration::from_millis(open_from.saturating_sub(now * 1000));
    if remaining > Duration::from_secs(1) {
        let told = format!("closed for another {}", shown(remaining));
        let fix = "wait: leases from before the failover or restart may still run";
        return report.warn(GATE, told, fix);
    }
    report.pass(GATE, "yes");
}
