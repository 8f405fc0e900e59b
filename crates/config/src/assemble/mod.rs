//! From single values to a whole configuration.

mod connection;
mod leases;
mod servers;

use crate::check;
use crate::config::Config;
use crate::diagnostics::{Diagnostics, Rejection};
use crate::error::{ConfigError, ProblemKind};
use crate::lock_options::default_safety;
use crate::mention;
use crate::overrides::Overrides;
use crate::parse;
use crate::raw::Raw;
use crate::reader::Reader;
use crate::resolve::Resolved;
use crate::topology::Locking;
use crate::variables::{self, VARIABLES};
use crate::warning::Warning;

const SWITCH: &str = "IS_LOCKING_DISABLED";
const ENV_FILE: &str = "LOCK_ENV_FILE";

/// Puts a configuration together; `overrides` is what code decided.
pub(crate) fn assemble(
    resolved: Resolved,
    diagnostics: Diagnostics,
    overrides: Overrides,
) -> Result<Config, ConfigError> {
    let mut reader = Reader::new(resolved, diagnostics);
    for (name, value) in overrides.shown() {
        reader.overridden(name, Some(&value));
    }
    let raw = reader.raw();
    let mut lock = leases::read(&mut reader, &raw, &overrides);
    let client_name = reader.read(
        "REDIS_CLIENT_NAME",
        raw.redis_client_name.as_deref(),
        |name, text| parse::word(name, text, "orders"),
    );
    let locking = match overrides.locking {
        Some(locking) => overridden(&mut reader, locking),
        None => read_locking(&mut reader, &raw, lock.ttl),
    };
    let safety = reader.read("LOCK_SAFETY", raw.lock_safety.as_deref(), parse::safety);
    let safety = overrides.safety.or(safety);
    lock.safety = safety.unwrap_or_else(|| default_safety(&locking));
    reader.default("LOCK_SAFETY", lock.safety.word());

    let mut config = Config::new(locking);
    config.lock = lock;
    config.client_name = overrides.client_name.or(client_name);
    for found in check::inconsistencies(&config) {
        if !found.involved.iter().any(|name| reader.was_rejected(name)) {
            reader.reject(found.variable, found.rejection);
        }
    }
    finish(reader, config)
}

fn finish(mut reader: Reader, mut config: Config) -> Result<Config, ConfigError> {
    let position = |name: &str| {
        let known = variables::find(name);
        known.and_then(|known| VARIABLES.iter().position(|v| v.name == known.variable.name))
    };
    let mut problems = std::mem::take(&mut reader.diagnostics.problems);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| position(problem.variable()));
        let warnings = reader.diagnostics.warnings;
        return Err(ConfigError { problems, warnings });
    }
    config.settings = reader.settings();
    config.warnings = reader.diagnostics.warnings;
    Ok(config)
}

/// Locking is disabled only if the switch says so, or if nothing at all is configured.
fn read_locking(reader: &mut Reader, raw: &Raw, ttl: std::time::Duration) -> Locking {
    let switch = reader.read(
        SWITCH,
        raw.is_locking_disabled.as_deref(),
        parse::strict_boolean,
    );
    let problems_before = reader.diagnostics.problems.len();
    let connection = connection::read(reader, raw, ttl);
    let topology = servers::read(reader, raw, &connection);
    let locking = match (switch, topology) {
        (Some(true), topology) => {
            problems_to_warnings(reader, problems_before);
            if topology.is_some() {
                let message = "is true, so that locks exclude nobody, although servers are configured; set IS_LOCKING_DISABLED=false to take locks";
                reader.warn(SWITCH, message);
            }
            Locking::Disabled
        }
        (Some(false), None) => {
            // Servers that are named but not understood are a problem already.
            if !servers::is_any_set(reader) && !reader.was_rejected(ENV_FILE) {
                reader.reject(SWITCH, no_servers());
            }
            Locking::Disabled
        }
        (Some(false), Some(topology)) => {
            connection::warn_of_tls(reader, &topology);
            Locking::Enabled(topology)
        }
        (None, topology) => {
            // It may stand in a file that could not be read.
            if !reader.was_rejected(SWITCH) && !reader.was_rejected(ENV_FILE) {
                reject_unset_switch(reader);
            }
            topology.map_or(Locking::Disabled, Locking::Enabled)
        }
    };
    reader.default(SWITCH, "true");
    locking
}

/// Without the switch nothing may run if anything at all is configured: a slip would run without locks.
fn reject_unset_switch(reader: &mut Reader) {
    if let Some(mentions) = mention::listed(&reader.diagnostics.mentions) {
        let rejection = Rejection::value(
            format!("is not set, although this is configured: {mentions}"),
            "false, to take locks; or true, to run without them",
            "IS_LOCKING_DISABLED=false",
        );
        reader.reject(SWITCH, rejection.of_kind(ProblemKind::Missing));
    }
}

/// What is wrong with connections that are never opened is only odd.
fn problems_to_warnings(reader: &mut Reader, from: usize) {
    let problems = reader.diagnostics.problems.split_off(from);
    let warnings = problems.into_iter().map(|problem| Warning {
        message: format!("{} (locking is disabled)", problem.message()),
        variable: problem.variable,
        source: problem.source,
    });
    reader.diagnostics.warnings.extend(warnings);
}

fn overridden(reader: &mut Reader, locking: Locking) -> Locking {
    for variable in VARIABLES {
        let is_lease_variable =
            variable.name.starts_with("LOCK_") && variable.name != "LOCK_REDLOCK_NODES";
        if !is_lease_variable && variable.name != "REDIS_CLIENT_NAME" {
            reader.overridden(variable.name, None);
        }
    }
    let is_disabled = locking == Locking::Disabled;
    reader.overridden("IS_LOCKING_DISABLED", Some(&is_disabled.to_string()));
    locking
}

fn no_servers() -> Rejection {
    Rejection::value(
        "is false, but no variable says which servers keep the locks",
        "REDIS_SENTINEL_HOSTS (Sentinels), REDIS_HOST or REDIS_URL (one server), REDIS_CLUSTER_NODES (a cluster) or LOCK_REDLOCK_NODES (independent masters) beside it; or true, to take no locks",
        "REDIS_HOST=localhost",
    )
    .of_kind(ProblemKind::Missing)
}
