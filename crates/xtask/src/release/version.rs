//! What a new version changes in texts: manifests and the list of changes.

use std::fmt;
use std::str::FromStr;

/// Major, minor and patch version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version([u32; 3]);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[major, minor, patch]) => Ok(Self([major, minor, patch])),
            _ => Err(format!("{text:?} is no version such as 1.2.3")),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// A manifest with a new version of the workspace and of its members as dependencies.
pub(super) fn manifest(text: &str, old: Version, new: Version) -> String {
    let (old, new) = (
        format!("version = \"{old}\""),
        format!("version = \"{new}\""),
    );
    let lines = text.lines().map(|line| {
        if line == old || line.starts_with("leasehold") {
            line.replace(&old, &new)
        } else {
            line.to_owned()
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// The list of changes with what is unreleased under the new version; none if nothing is.
pub(super) fn changes(text: &str, version: Version, date: &str) -> Option<String> {
    const UNRELEASED: &str = "## Unreleased\n";
    let (before, after) = text.split_once(UNRELEASED)?;
    let section = after.split("\n## ").next()?;
    if section.trim().is_empty() {
        return None;
    }
    Some(format!(
        "{before}{UNRELEASED}\n## {version} ({date})\n{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect("a version")
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("0.10.0") > version("0.9.12"));
        assert!("1.2".parse::<Version>().is_err() && "1.2.x".parse::<Version>().is_err());
    }

    #[test]
    fn only_the_projects_own_versions_are_raised() {
        let text = "version = \"0.1.0\"\nleasehold = { path = \"x\", version = \"0.1.0\" }\nother = { version = \"0.1.0\" }\n";
        let raised = manifest(text, version("0.1.0"), version("0.2.0"));
        let expected = "version = \"0.2.0\"\nleasehold = { path = \"x\", version = \"0.2.0\" }\nother = { version = \"0.1.0\" }\n";
        assert_eq!(raised, expected);
    }

    #[test]
    fn what_is_unreleased_gets_the_version_and_the_date() {
        let text = "# Changes\n\n## Unreleased\n\n- new\n\n## 0.1.0\n\n- old\n";
        let released = changes(text, version("0.2.0"), "2026-11-27").expect("changes");
        assert!(
            released.contains("## Unreleased\n\n## 0.2.0 (2026-11-27)\n\n- new\n\n## 0.1.0\n"),
            "{released}"
        );
        let nothing = "# Changes\n\n## Unreleased\n\n## 0.1.0\n\n- old\n";
        assert_eq!(changes(nothing, version("0.2.0"), "2026-11-27"), None);
    }
}
