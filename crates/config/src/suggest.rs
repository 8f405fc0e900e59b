//! Names that are almost those of our variables.

use crate::variables::{self, VARIABLES, Variable};

/// The variable that was probably meant by an unknown name, if any.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    if variables::find(name).is_some() {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    if let Some(known) = variables::find(&upper).filter(|known| !known.is_file) {
        return known.variable.names().nth(known.rank);
    }
    if upper.starts_with("IS_LOCKING") || upper.starts_with("LOCKING_") {
        return Some("IS_LOCKING_DISABLED");
    }
    // Numbered variables (`REDIS_DB2`) are somebody's second database, not a slip.
    let ours = upper.starts_with("REDIS_") || upper.starts_with("LOCK_");
    if !ours || name.ends_with(|character: char| character.is_ascii_digit()) {
        return None;
    }
    let tolerance = if name.len() < 12 { 1 } else { 2 };
    VARIABLES
        .iter()
        .flat_map(Variable::names)
        .map(|known| (distance(&upper, known), known))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many letters must be added, dropped or replaced to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, left) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, right) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, meant};

    #[test]
    fn slips_are_recognised() {
        assert_eq!(meant("REDIS_SENTINEL_HOST"), Some("REDIS_SENTINEL_HOSTS"));
        assert_eq!(meant("REDIS_PASWORD"), Some("REDIS_PASSWORD"));
        assert_eq!(meant("LOCK_RENEW_INTERVALL"), Some("LOCK_RENEW_INTERVAL"));
        assert_eq!(meant("redis_host"), Some("REDIS_HOST"));
        assert_eq!(meant("IS_LOCKING_ENABLED"), Some("IS_LOCKING_DISABLED"));
    }

    #[test]
    fn other_programs_variables_are_left_alone() {
        for name in [
            "REDIS_DSN",
            "REDIS_DB2",
            "REDIS_SENTINEL_PORT",
            "REDIS_SENTINEL_SERVICE_HOST",
            "REDIS_PORT_6379_TCP",
            "REDIS_MAX_CONNECTIONS",
            "LOCK_DIR",
            "PATH",
            "REDIS_HOST",
        ] {
            assert_eq!(meant(name), None, "{name}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
