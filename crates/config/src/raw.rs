//! The variables as a struct of texts.

use serde::Deserialize;

/// One field for each canonical name, filled by `envy`; `LOCK_ENV_FILE` is read before there are any.
///
/// Every field is an optional text, and there are no serde attributes: `envy` lower-cases the keys before
/// it matches them, so a renamed field would be left empty in silence, and what it does with numbers,
/// lists and aliases is not what people write into `.env` files.
#[derive(Default, Deserialize)]
pub(crate) struct Raw {
    pub(crate) is_locking_disabled: Option<String>,
    pub(crate) redis_sentinel_hosts: Option<String>,
    pub(crate) redis_sentinel_service: Option<String>,
    pub(crate) redis_sentinel_username: Option<String>,
    pub(crate) redis_sentinel_password: Option<String>,
    pub(crate) redis_host: Option<String>,
    pub(crate) redis_port: Option<String>,
    pub(crate) redis_url: Option<String>,
    pub(crate) redis_cluster_nodes: Option<String>,
    pub(crate) lock_redlock_nodes: Option<String>,
    pub(crate) redis_username: Option<String>,
    pub(crate) redis_password: Option<String>,
    pub(crate) redis_db: Option<String>,
    pub(crate) redis_address_map: Option<String>,
    pub(crate) redis_tls_enabled: Option<String>,
    pub(crate) redis_sentinel_tls_enabled: Option<String>,
    pub(crate) redis_tls_ca_file: Option<String>,
    pub(crate) redis_tls_cert_file: Option<String>,
    pub(crate) redis_tls_key_file: Option<String>,
    pub(crate) redis_tls_server_name: Option<String>,
    pub(crate) redis_tls_insecure: Option<String>,
    pub(crate) redis_connect_timeout: Option<String>,
    pub(crate) redis_command_timeout: Option<String>,
    pub(crate) redis_client_name: Option<String>,
    pub(crate) lock_ttl: Option<String>,
    pub(crate) lock_max_ttl: Option<String>,
    pub(crate) lock_renew_interval: Option<String>,
    pub(crate) lock_acquire_timeout: Option<String>,
    pub(crate) lock_retry_interval: Option<String>,
    pub(crate) lock_max_clock_skew: Option<String>,
    pub(crate) lock_allow_mixed_safety: Option<String>,
    pub(crate) lock_safety: Option<String>,
    pub(crate) lock_key_prefix: Option<String>,
    pub(crate) lock_owner: Option<String>,
}

impl Raw {
    /// Maps canonical names and values to the fields.
    pub(crate) fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Self {
        // An optional text takes any value, so there is no error to report: a test walks through every name.
        envy::from_iter(pairs).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Raw;
    use crate::variables::VARIABLES;

    /// The value put in under each name must come out of exactly one field.
    #[test]
    fn every_variable_reaches_a_field() {
        let pairs = |only: Option<&str>| {
            names()
                .filter(|name| only.is_none_or(|wanted| wanted == *name))
                .map(|name| (name.to_owned(), format!("value of {name}")))
                .collect::<Vec<_>>()
        };
        let all = fields(&Raw::from_pairs(pairs(None).into_iter()));
        assert_eq!(all.len(), names().count());
        let distinct: BTreeSet<_> = all.iter().flatten().collect();
        assert_eq!(distinct.len(), names().count());
        for name in names() {
            let one = fields(&Raw::from_pairs(pairs(Some(name)).into_iter()));
            let set: Vec<_> = one.into_iter().flatten().collect();
            assert_eq!(set, [format!("value of {name}")]);
        }
    }

    fn names() -> impl Iterator<Item = &'static str> {
        let names = VARIABLES.iter().map(|variable| variable.name);
        names.filter(|name| *name != "LOCK_ENV_FILE")
    }

    #[expect(clippy::too_many_lines, reason = "a table of fields")]
    fn fields(raw: &Raw) -> Vec<Option<String>> {
        // Destructured so that a new field cannot be forgotten here.
        let Raw {
            is_locking_disabled,
            redis_sentinel_hosts,
            redis_sentinel_service,
            redis_sentinel_username,
            redis_sentinel_password,
            redis_host,
            redis_port,
            redis_url,
            redis_cluster_nodes,
            lock_redlock_nodes,
            redis_username,
            redis_password,
            redis_db,
            redis_address_map,
            redis_tls_enabled,
            redis_sentinel_tls_enabled,
            redis_tls_ca_file,
            redis_tls_cert_file,
            redis_tls_key_file,
            redis_tls_server_name,
            redis_tls_insecure,
            redis_connect_timeout,
            redis_command_timeout,
            redis_client_name,
            lock_ttl,
            lock_max_ttl,
            lock_renew_interval,
            lock_acquire_timeout,
            lock_retry_interval,
            lock_max_clock_skew,
            lock_allow_mixed_safety,
            lock_safety,
            lock_key_prefix,
            lock_owner,
        } = raw;
        [
            is_locking_disabled,
            redis_sentinel_hosts,
            redis_sentinel_service,
            redis_sentinel_username,
            redis_sentinel_password,
            redis_host,
            redis_port,
            redis_url,
            redis_cluster_nodes,
            lock_redlock_nodes,
            redis_username,
            redis_password,
            redis_db,
            redis_address_map,
            redis_tls_enabled,
            redis_sentinel_tls_enabled,
            redis_tls_ca_file,
            redis_tls_cert_file,
            redis_tls_key_file,
            redis_tls_server_name,
            redis_tls_insecure,
            redis_connect_timeout,
            redis_command_timeout,
            redis_client_name,
            lock_ttl,
            lock_max_ttl,
            lock_renew_interval,
            lock_acquire_timeout,
            lock_retry_interval,
            lock_max_clock_skew,
            lock_allow_mixed_safety,
            lock_safety,
            lock_key_prefix,
            lock_owner,
        ]
        .into_iter()
        .cloned()
        .collect()
    }
}
