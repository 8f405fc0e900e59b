//! Names that look like variables of ours but are not.

use crate::variables::{self, VARIABLES, Variable};

/// An unknown name that somebody may have written for one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lookalike {
    /// What to write instead, if that can be told: one name, or two with "or" between them.
    pub(crate) suggestion: Option<String>,
    /// Whether the name alone shows that somebody configures Redis or locking.
    pub(crate) is_configuration: bool,
}

/// Prefixes that only Redis or locks have.
const PREFIXES: [&str; 5] = ["REDIS", "VALKEY", "REDLOCK_", "LOCK_", "LOCKING_"];

/// Names that other programs and people use, and the variable that is read for the same.
const SYNONYMS: &[(&str, &str)] = &[
    ("LOCK_DURATION", "LOCK_TTL"),
    ("LOCK_EXPIRE", "LOCK_TTL"),
    ("LOCK_EXPIRY", "LOCK_TTL"),
    ("LOCK_LEASE", "LOCK_TTL"),
    ("LOCK_LEASE_TIME", "LOCK_TTL"),
    ("LOCK_LEASE_TTL", "LOCK_TTL"),
    ("LOCK_MODE", "LOCK_SAFETY"),
    ("LOCK_PREFIX", "LOCK_KEY_PREFIX"),
    ("LOCK_REFRESH_INTERVAL", "LOCK_RENEW_INTERVAL"),
    ("LOCK_RENEWAL", "LOCK_RENEW_INTERVAL"),
    ("LOCK_RENEWAL_INTERVAL", "LOCK_RENEW_INTERVAL"),
    ("LOCK_RETRY", "LOCK_RETRY_INTERVAL"),
    ("LOCK_RETRY_DELAY", "LOCK_RETRY_INTERVAL"),
    ("LOCK_TIMEOUT", "LOCK_ACQUIRE_TIMEOUT or LOCK_TTL"),
    ("REDISCLI_AUTH", "REDIS_PASSWORD"),
    ("REDIS_ADDR", "REDIS_HOST"),
    ("REDIS_ADDRESS", "REDIS_HOST"),
    ("REDIS_CLUSTER", "REDIS_CLUSTER_NODES"),
    ("REDIS_CLUSTER_HOSTS", "REDIS_CLUSTER_NODES"),
    ("REDIS_CONNECTION_STRING", "REDIS_URL"),
    ("REDIS_CONNECTION_URL", "REDIS_URL"),
    ("REDIS_DSN", "REDIS_URL"),
    ("REDIS_ENDPOINT", "REDIS_HOST"),
    ("REDIS_HOSTNAME", "REDIS_HOST"),
    ("REDIS_MASTER", "REDIS_SENTINEL_SERVICE or REDIS_HOST"),
    ("REDIS_MASTER_HOST", "REDIS_HOST"),
    ("REDIS_MASTER_NAME", "REDIS_SENTINEL_SERVICE"),
    ("REDIS_MASTER_SET", "REDIS_SENTINEL_SERVICE"),
    ("REDIS_NODES", "REDIS_CLUSTER_NODES"),
    ("REDIS_PASS", "REDIS_PASSWORD"),
    ("REDIS_PASSWD", "REDIS_PASSWORD"),
    ("REDIS_PWD", "REDIS_PASSWORD"),
    ("REDIS_SENTINEL", "REDIS_SENTINEL_HOSTS"),
    ("REDIS_SENTINEL_ADDRS", "REDIS_SENTINEL_HOSTS"),
    ("REDIS_SENTINEL_MASTER_SET", "REDIS_SENTINEL_SERVICE"),
    ("REDIS_SENTINEL_PORT", "REDIS_SENTINEL_HOSTS"),
    ("REDIS_SENTINEL_URL", "REDIS_SENTINEL_HOSTS"),
    ("REDIS_SERVER", "REDIS_HOST"),
    (
        "REDIS_TIMEOUT",
        "REDIS_COMMAND_TIMEOUT or REDIS_CONNECT_TIMEOUT",
    ),
    ("REDIS_URI", "REDIS_URL"),
    ("SENTINELS", "REDIS_SENTINEL_HOSTS"),
    ("SENTINEL_HOST", "REDIS_SENTINEL_HOSTS"),
    ("SENTINEL_HOSTS", "REDIS_SENTINEL_HOSTS"),
];

/// What an unknown name looks like; `None` for our own names and for those of other programs.
pub(crate) fn lookalike(name: &str, value: &str) -> Option<Lookalike> {
    if variables::find(name).is_some() || is_service_link(name, value) {
        return None;
    }
    // Tools that do not know `export NAME=value` take both words for the name.
    let word = name.split_whitespace().last().unwrap_or(name);
    let word = word.trim_matches(['"', '\'']);
    let upper = word.to_ascii_uppercase().replace(['-', '.'], "_");
    let suggestion = suggestion(&upper);
    let has_prefix = PREFIXES.iter().any(|prefix| upper.starts_with(prefix));
    if suggestion.is_none() && !has_prefix {
        return None;
    }
    // `LOCK_DIR` is usual for other programs; what has REDIS in it is about a Redis in any case.
    let is_about_redis = ["RED", "VALKEY"].iter().any(|word| upper.starts_with(word))
        || ["_REDIS", "_VALKEY", "_SENTINEL"]
            .iter()
            .any(|word| upper.contains(word));
    let is_configuration = suggestion.is_some() || is_about_redis;
    Some(Lookalike {
        suggestion,
        is_configuration,
    })
}

fn suggestion(upper: &str) -> Option<String> {
    if let Some(rest) = upper.strip_prefix("VALKEY") {
        return suggestion(&format!("REDIS{rest}"));
    }
    if variables::find(upper).is_some() {
        return Some(upper.to_owned());
    }
    if is_switch(upper) {
        return Some("IS_LOCKING_DISABLED".to_owned());
    }
    if let Some(known) = without_prefix(upper) {
        return Some(known);
    }
    let synonym = SYNONYMS.iter().find(|(unknown, _)| *unknown == upper);
    if let Some((_, known)) = synonym {
        return Some((*known).to_owned());
    }
    // `REDIS_DB2` is a second database of another program, not a slip.
    if upper.ends_with(|character: char| character.is_ascii_digit()) {
        return None;
    }
    let tolerance = if upper.len() < 12 { 1 } else { 2 };
    known_names()
        .filter(|known| known.len().abs_diff(upper.len()) <= tolerance)
        .map(|known| (strsim::osa_distance(upper, &known), known))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The variable behind `LEASEHOLD_REDIS_URL`, `LEASEHOLD_URL`, `LEASEHOLD_TTL` or `LOCK_REDIS_URL`.
fn without_prefix(upper: &str) -> Option<String> {
    let own = upper.strip_prefix("LEASEHOLD_");
    let own = own.into_iter().flat_map(|rest| {
        let prefixes = ["", "REDIS_", "LOCK_"];
        prefixes.map(|prefix| format!("{prefix}{rest}"))
    });
    let other = ["LOCK_", "LOCKING_"].map(|prefix| upper.strip_prefix(prefix));
    let mut names = own.chain(other.into_iter().flatten().map(str::to_owned));
    names.find(|name| variables::find(name).is_some())
}

/// Every name that is read, also the `…_FILE` names of the secrets.
fn known_names() -> impl Iterator<Item = String> {
    VARIABLES.iter().flat_map(|variable: &Variable| {
        let files = variable.names().filter(|_| variable.is_secret());
        let files = files.map(|name| format!("{name}_FILE"));
        variable.names().map(str::to_owned).chain(files)
    })
}

/// `IS_LOCKING_ENABLED`, `DISABLE_LOCKS`, `LOCK_DISABLED` and the like.
fn is_switch(upper: &str) -> bool {
    if upper.starts_with("IS_LOCKING") {
        return true;
    }
    let is_lock = |word: &str| matches!(word, "LOCK" | "LOCKS" | "LOCKING");
    let is_verb = |word: &str| {
        matches!(
            word,
            "DISABLE" | "DISABLED" | "ENABLE" | "ENABLED" | "OFF" | "ON"
        )
    };
    let is_filler = |word: &str| matches!(word, "IS" | "REDIS" | "DISTRIBUTED" | "LEASEHOLD");
    let words = || upper.split('_');
    words().any(is_lock)
        && words().any(is_verb)
        && words().all(|word| is_lock(word) || is_verb(word) || is_filler(word))
}

/// Variables that Kubernetes sets in every container for a service named `redis` or `lock`.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = value.starts_with("tcp://") || value.starts_with("udp://");
    let protocol = name.split_once("_PORT_").map(|(_, rest)| rest);
    let is_port_link = protocol.is_some_and(|rest| {
        let after = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        after.len() < rest.len() && (after.starts_with("_TCP") || after.starts_with("_UDP"))
    });
    is_port_link
        || name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address)
}

#[cfg(test)]
mod tests {
    use super::{SYNONYMS, lookalike};
    use crate::variables;

    fn suggested(name: &str) -> Option<String> {
        lookalike(name, "x")?.suggestion
    }

    #[test]
    fn slips_are_recognised() {
        for (name, known) in [
            ("REDIS_SENTINEL_HOST", "REDIS_SENTINEL_HOSTS"),
            ("REDIS_HSOT", "REDIS_HOST"),
            ("REDISHOST", "REDIS_HOST"),
            ("RDIS_HOST", "REDIS_HOST"),
            ("REDIS-HOST", "REDIS_HOST"),
            ("redis_host", "REDIS_HOST"),
            ("Redis_Password_File", "REDIS_PASSWORD_FILE"),
            ("REDIS_PASSWORD_FIEL", "REDIS_PASSWORD_FILE"),
            ("LOCK_SAFTEY", "LOCK_SAFETY"),
            ("LOCK_RENEW_INTERVALL", "LOCK_RENEW_INTERVAL"),
            ("IS_LOCKING_ENABLED", "IS_LOCKING_DISABLED"),
            ("IS_LOCKING_DISABLE", "IS_LOCKING_DISABLED"),
            ("LS_LOCKING_DISABLED", "IS_LOCKING_DISABLED"),
            ("DISABLE_LOCKING", "IS_LOCKING_DISABLED"),
            ("LOCK_DISABLED", "IS_LOCKING_DISABLED"),
            ("LEASEHOLD_REDIS_HOST", "REDIS_HOST"),
            ("LEASEHOLD_URL", "REDIS_URL"),
            ("VALKEY_HOST", "REDIS_HOST"),
            ("VALKEY_SENTINEL_HOST", "REDIS_SENTINEL_HOSTS"),
            ("VALKEY_URI", "REDIS_URL"),
            ("LEASEHOLD_OWNER", "LOCK_OWNER"),
            ("LOCK_REDIS_URL", "REDIS_URL"),
            ("export REDIS_HOST", "REDIS_HOST"),
            ("SET \"REDIS_HOST", "REDIS_HOST"),
        ] {
            assert_eq!(suggested(name).as_deref(), Some(known), "{name}");
        }
    }

    #[test]
    fn what_looks_like_ours_is_told_of_without_a_suggestion_too() {
        for (name, is_configuration) in [
            ("REDIS_MAX_CONNECTIONS", true),
            ("REDIS_DB2", true),
            ("LOCK_REDIS_NODE", true),
            ("VALKEY_MAX_CONNECTIONS", true),
            ("LOCK_VALKEY_NODE", true),
            ("LOCK_DIR", false),
        ] {
            let found = lookalike(name, "x").expect(name);
            assert_eq!(
                (found.suggestion, found.is_configuration),
                (None, is_configuration),
                "{name}"
            );
        }
    }

    #[test]
    fn other_programs_variables_are_left_alone() {
        for name in [
            "REDIS_SENTINEL_SERVICE_HOST",
            "REDIS_SENTINEL_SERVICE_PORT_HTTP",
            "REDIS_PORT_6379_TCP",
            "REDIS_PORT_6379_TCP_ADDR",
            "VALKEY_SERVICE_HOST",
            "PATH",
            "HOSTNAME",
            "BLOCK_SIZE",
            "DEBUG_ENABLED",
            "REDIS_HOST",
            "REDIS_PASSWORD_FILE",
            "LEASEHOLD_RESOURCE",
            "LEASEHOLD_FENCE",
            "LEASEHOLD_TOKEN",
            "LEASEHOLD_REDIS_SERVER",
            "LEASEHOLD_REDIS_SETTINGS",
            "LEASEHOLD_ENV",
        ] {
            assert_eq!(lookalike(name, "x"), None, "{name}");
        }
        assert_eq!(lookalike("REDIS_SENTINEL_PORT", "tcp://10.0.0.1:1"), None);
    }

    #[test]
    fn what_is_too_far_from_a_name_is_no_slip() {
        assert_eq!(suggested("REDIS_HXXT"), None, "two of ten letters");
        assert_eq!(suggested("LOCK_MAX_XXL").as_deref(), Some("LOCK_MAX_TTL"));
        for name in ["LOCK_ENABLED_HOURS", "REDIS_ENABLED", "REDIS_IS_LOCKS"] {
            assert_ne!(suggested(name).as_deref(), Some("IS_LOCKING_DISABLED"));
        }
    }

    #[test]
    fn service_links_are_told_by_their_form() {
        assert!(lookalike("REDIS_PORT__TCP", "x").is_some(), "no port");
        assert!(lookalike("REDIS_PORT_6379_X", "x").is_some());
        assert!(lookalike("REDIS_SENTINEL_PORT", "26379").is_some());
        assert!(lookalike("REDIS_SERVERS_AT", "tcp://10.0.0.1:1").is_some());
        assert_eq!(lookalike("REDIS_PORT_53_UDP", "x"), None);
    }

    #[test]
    fn suggestions_are_variables_and_synonyms_are_not() {
        for (unknown, known) in SYNONYMS {
            assert!(variables::find(unknown).is_none(), "{unknown}");
            for name in known.split(" or ") {
                assert!(variables::find(name).is_some(), "{name}");
            }
        }
    }
}
