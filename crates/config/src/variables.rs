//! Every variable there is: one canonical name each, and the names that other programs use for it.

/// What may be shown of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it.
    Value,
    /// Nothing: it is a secret.
    Nothing,
    /// Nothing before it was understood, then the address without its credentials.
    Address,
}

#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    /// Lower precedence from left to right.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) shown: Shown,
}

impl Variable {
    /// Whether the value may be kept in a file that `<name>_FILE` names.
    pub(crate) fn is_secret(&self) -> bool {
        self.shown != Shown::Value
    }

    /// The canonical name, then the aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// What a name stands for.
pub(crate) struct Known {
    pub(crate) variable: &'static Variable,
    /// 0 for the canonical name, then 1 and up for the aliases.
    pub(crate) rank: usize,
    /// Whether the value is the path of a file that holds the secret.
    pub(crate) is_file: bool,
}

/// Looks a name up among the canonical names, the aliases, and the `…_FILE` names of the secrets.
pub(crate) fn find(name: &str) -> Option<Known> {
    let direct = |name: &str| {
        VARIABLES.iter().find_map(|variable| {
            let rank = variable.names().position(|known| known == name)?;
            Some((variable, rank))
        })
    };
    if let Some((variable, rank)) = direct(name) {
        return Some(Known {
            variable,
            rank,
            is_file: false,
        });
    }
    let (variable, rank) = direct(name.strip_suffix("_FILE")?)?;
    variable.is_secret().then_some(Known {
        variable,
        rank,
        is_file: true,
    })
}

const fn plain(name: &'static str, aliases: &'static [&'static str]) -> Variable {
    Variable {
        name,
        aliases,
        shown: Shown::Value,
    }
}

const fn secret(name: &'static str, aliases: &'static [&'static str]) -> Variable {
    Variable {
        name,
        aliases,
        shown: Shown::Nothing,
    }
}

const fn url(name: &'static str, aliases: &'static [&'static str]) -> Variable {
    Variable {
        name,
        aliases,
        shown: Shown::Address,
    }
}

/// In the order in which settings and problems are told.
pub(crate) const VARIABLES: &[Variable] = &[
    plain("IS_LOCKING_DISABLED", &[]),
    plain(
        "REDIS_SENTINEL_HOSTS",
        &["REDIS_SENTINELS", "REDIS_SENTINEL_NODES"],
    ),
    plain(
        "REDIS_SENTINEL_SERVICE",
        &[
            "REDIS_SENTINEL_SERVICE_NAME",
            "REDIS_SENTINEL_MASTER_NAME",
            "REDIS_SENTINEL_MASTER",
        ],
    ),
    plain("REDIS_SENTINEL_USERNAME", &[]),
    secret("REDIS_SENTINEL_PASSWORD", &[]),
    plain("REDIS_HOST", &[]),
    plain("REDIS_PORT", &[]),
    url("REDIS_URL", &[]),
    plain("REDIS_CLUSTER_NODES", &[]),
    url("LOCK_REDLOCK_NODES", &["REDLOCK_NODES"]),
    plain("REDIS_USERNAME", &["REDIS_USER"]),
    secret("REDIS_PASSWORD", &["REDIS_AUTH"]),
    plain("REDIS_DB", &["REDIS_DATABASE"]),
    plain("REDIS_ADDRESS_MAP", &[]),
    plain(
        "REDIS_TLS_ENABLED",
        &["REDIS_TLS", "REDIS_USE_SSL", "REDIS_SSL"],
    ),
    plain("REDIS_SENTINEL_TLS_ENABLED", &["REDIS_SENTINEL_USE_SSL"]),
    plain(
        "REDIS_TLS_CA_FILE",
        &["REDIS_TLS_CA_PATH", "REDIS_SSL_CA_CERTS"],
    ),
    plain("REDIS_TLS_CERT_FILE", &["REDIS_TLS_CERT_PATH"]),
    plain("REDIS_TLS_KEY_FILE", &["REDIS_TLS_KEY_PATH"]),
    plain("REDIS_TLS_SERVER_NAME", &["REDIS_TLS_SERVERNAME"]),
    plain("REDIS_TLS_INSECURE", &[]),
    plain("REDIS_CONNECT_TIMEOUT", &["REDIS_SOCKET_CONNECT_TIMEOUT"]),
    plain("REDIS_COMMAND_TIMEOUT", &["REDIS_SOCKET_TIMEOUT"]),
    plain("REDIS_CLIENT_NAME", &[]),
    plain("LOCK_TTL", &[]),
    plain("LOCK_MAX_TTL", &[]),
    plain("LOCK_RENEW_INTERVAL", &[]),
    plain("LOCK_ACQUIRE_TIMEOUT", &["LOCK_WAIT_TIMEOUT"]),
    plain("LOCK_RETRY_INTERVAL", &["LOCK_RETRY_INTERVAL_SECONDS"]),
    plain("LOCK_SAFETY", &[]),
    plain("LOCK_MAX_CLOCK_SKEW", &[]),
    plain("LOCK_ALLOW_MIXED_SAFETY", &[]),
    plain("LOCK_KEY_PREFIX", &["REDIS_KEY_PREFIX"]),
    plain("LOCK_OWNER", &[]),
    plain("LOCK_ENV_FILE", &[]),
];
