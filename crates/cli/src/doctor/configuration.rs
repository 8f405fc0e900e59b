//! The configuration by itself: no server is asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use leasehold::Config;
use leasehold::config::{self, Locking, Safety};

use super::report::{Check, Level, Report};
use crate::connect::Source;
use crate::duration::shown;

const READABLE: Check = ("LH0001", "configuration");
const ODDITIES: Check = ("LH0002", "oddities in the configuration");
const ENABLED: Check = ("LH0003", "locking");
const SECRET: Check = ("LH0004", ".env kept from others");
const TIMES: Check = ("LH0005", "lease and timeouts");

pub(super) fn examine(source: &Source, report: &mut Report) -> Option<Config> {
    let config = match source.load(|builder| builder) {
        Ok(config) => config,
        Err(error) => {
            let file = source.missing_file();
            for problem in error.problems() {
                let seen = format!(
                    "{} {} ({})",
                    problem.variable(),
                    problem.message(),
                    problem.source()
                );
                let mut fix = format!("{}, for example {}", problem.accepted(), problem.example());
                if let Some(file) = &file {
                    fix.push_str(&format!("; {file}"));
                }
                report.fail(READABLE, seen, fix);
            }
            for warning in error.warnings() {
                report.warn(ODDITIES, warning.to_string(), "see docs/configuration.md");
            }
            return None;
        }
    };
    let set = config
        .settings()
        .iter()
        .filter(|setting| *setting.source() != config::Source::Default);
    report.pass(READABLE, format!("{} variables set", set.count()));
    match config.warnings() {
        [] => report.pass(ODDITIES, "none"),
        warnings => {
            for warning in warnings {
                report.warn(ODDITIES, warning.to_string(), "see `leasehold env`");
            }
        }
    }
    examine_file(&config, report);
    examine_times(&config, report);
    match &config.locking {
        Locking::Enabled(_) => {
            let safety = match config.lock.safety {
                Safety::Strict => "strict: one holder also across failovers",
                Safety::Relaxed => "relaxed: a failover can leave two holders for one lease length",
            };
            report.pass(ENABLED, safety);
        }
        Locking::Disabled => report.warn(
            ENABLED,
            "disabled: every lock is granted at once and excludes nobody",
            "set IS_LOCKING_DISABLED=false",
        ),
    }
    Some(config)
}

fn examine_file(config: &Config, report: &mut Report) {
    let secrets = config
        .settings()
        .iter()
        .filter(|setting| setting.value() == Some("[hidden]"));
    let file = secrets.filter_map(|setting| match setting.source() {
        config::Source::EnvFile { file, .. } => Some(file.clone()),
        _ => None,
    });
    let Some(file) = file.into_iter().next() else {
        return report.pass(SECRET, "no secret in a file");
    };
    let mode = fs::metadata(&file).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    let level = if mode & 0o077 == 0 {
        Level::Pass
    } else {
        Level::Warn
    };
    let fix = format!("chmod 600 {file}");
    report.judge(SECRET, level, format!("{file} has mode {mode:o}"), &fix);
}

fn examine_times(config: &Config, report: &mut Report) {
    let ttl = config.lock.ttl;
    let level = if ttl.as_secs() < 5 {
        Level::Warn
    } else {
        Level::Pass
    };
    report.judge(
        TIMES,
        level,
        format!("leases of {}", shown(ttl)),
        "a lease below 5s does not outlast a failover: raise LOCK_TTL to 30s",
    );
}
