//! Directives that the environment gives to every data node.

use std::env;

/// The environment variable with directives of `redis.conf` for every data node, separated by semicolons.
pub const SETTINGS_VARIABLE: &str = "LEASEHOLD_REDIS_SETTINGS";

/// The directives of the environment, as names and values.
pub(crate) fn of_environment() -> Vec<(String, String)> {
    env::var(SETTINGS_VARIABLE).map_or_else(|_| Vec::new(), |text| parse(&text))
}

fn parse(text: &str) -> Vec<(String, String)> {
    let lines = text.split(';').map(str::trim);
    lines
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_separated_by_semicolons() {
        let parsed = parse(" repl-rdb-channel yes; save  3600 1 ;");
        let pairs: Vec<(&str, &str)> = parsed
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(pairs, [("repl-rdb-channel", "yes"), ("save", "3600 1")]);
        assert!(parse("").is_empty());
    }
}
