//! From single values to a whole configuration.

mod connection;
mod leases;
mod servers;

use crate::check;
use crate::config::Config;
use crate::error::{ConfigError, ProblemKind};
use crate::lock_options::{Safety, default_safety};
use crate::notes::{Notes, Rejection};
use crate::parse;
use crate::raw::Raw;
use crate::reader::Reader;
use crate::resolve::Resolved;
use crate::topology::Locking;
use crate::variables::{self, VARIABLES};
use crate::warning::Warning;

/// Puts a configuration together; `locking` is what code decided, if it did.
pub(crate) fn assemble(
    resolved: Resolved,
    notes: Notes,
    locking: Option<Locking>,
) -> Result<Config, ConfigError> {
    let mut reader = Reader::new(resolved, notes);
    let raw = reader.raw();
    let mut lock = leases::read(&mut reader, &raw);
    let client_name = reader.read(
        "REDIS_CLIENT_NAME",
        raw.redis_client_name.as_deref(),
        |name, text| parse::word(name, text, "orders"),
    );
    let locking = match locking {
        Some(locking) => overridden(&mut reader, locking),
        None => read_locking(&mut reader, &raw, lock.ttl),
    };
    let safety = reader.read("LOCK_SAFETY", raw.lock_safety.as_deref(), parse::safety);
    lock.safety = safety.unwrap_or_else(|| default_safety(&locking));
    let safety_name = match lock.safety {
        Safety::Strict => "strict",
        Safety::Relaxed => "relaxed",
    };
    reader.default("LOCK_SAFETY", safety_name);

    let mut config = Config::new(locking);
    config.lock = lock;
    config.client_name = client_name;
    for misfit in check::misfits(&config) {
        if !misfit.involved.iter().any(|name| reader.was_rejected(name)) {
            reader.reject(misfit.variable, misfit.rejection);
        }
    }
    finish(reader, config)
}

fn finish(mut reader: Reader, mut config: Config) -> Result<Config, ConfigError> {
    let position = |name: &str| {
        let known = variables::find(name);
        known.and_then(|known| VARIABLES.iter().position(|v| v.name == known.variable.name))
    };
    let mut problems = std::mem::take(&mut reader.notes.problems);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| position(problem.variable()));
        return Err(ConfigError { problems });
    }
    config.settings = reader.settings();
    config.warnings = reader.notes.warnings;
    Ok(config)
}

fn read_locking(reader: &mut Reader, raw: &Raw, ttl: std::time::Duration) -> Locking {
    let disabled = reader.read(
        "IS_LOCKING_DISABLED",
        raw.is_locking_disabled.as_deref(),
        parse::strict_boolean,
    );
    reader.default("IS_LOCKING_DISABLED", "true");
    let is_undecided = disabled.is_none() && reader.is_set("IS_LOCKING_DISABLED");
    let is_disabled = disabled.unwrap_or(!is_undecided);

    let problems_before = reader.notes.problems.len();
    let connection = connection::read(reader, raw, ttl);
    let topology = servers::read(reader, raw, &connection);
    if is_disabled {
        problems_to_warnings(reader, problems_before);
        if topology.is_some() {
            let message = "is true, so that locks exclude nobody, although servers are configured; set IS_LOCKING_DISABLED=false to take locks";
            reader.warn("IS_LOCKING_DISABLED", message);
        }
        return Locking::Disabled;
    }
    match topology {
        Some(topology) => {
            connection::warn_of_tls(reader, &topology);
            Locking::Enabled(topology)
        }
        None => {
            if !is_undecided && !servers::is_any_set(reader) {
                reader.reject("IS_LOCKING_DISABLED", no_servers());
            }
            Locking::Disabled
        }
    }
}

/// What is wrong with connections that are never opened is only odd.
fn problems_to_warnings(reader: &mut Reader, from: usize) {
    let problems = reader.notes.problems.split_off(from);
    let warnings = problems.into_iter().map(|problem| Warning {
        message: format!("{} (locking is disabled)", problem.message()),
        variable: problem.variable,
        place: problem.place,
    });
    reader.notes.warnings.extend(warnings);
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
