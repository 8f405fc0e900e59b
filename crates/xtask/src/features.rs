//! `cargo xtask features`: the published packages with every combination of their features.

use std::error::Error;

use serde_json::Value;

use crate::cargo;
use crate::outcome::Outcome;
use crate::package::PACKAGES;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// List the combinations, and check none
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let metadata = cargo::metadata()?;
    for package in PACKAGES {
        for features in combinations(&features(&metadata, package)?) {
            let features = features.join(",");
            if arguments.list {
                println!("{package} [{features}]");
                continue;
            }
            eprintln!("xtask: {package} with [{features}]");
            let check = ["check", "--quiet", "--locked", "--package", package];
            let chosen = ["--no-default-features", "--features", &features];
            if !cargo::run(check.into_iter().chain(chosen))? {
                println!("{package} does not compile with the features [{features}]");
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The features of a package. `default` is one of the combinations of the others, and `fuzzing` is for this repository.
fn features(metadata: &Value, package: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let packages = metadata["packages"].as_array();
    let found = packages
        .into_iter()
        .flatten()
        .find(|found| found["name"] == package)
        .and_then(|found| found["features"].as_object())
        .ok_or_else(|| format!("cargo metadata does not list {package}"))?;
    let names = found
        .keys()
        .filter(|name| !matches!(name.as_str(), "default" | "fuzzing"));
    Ok(names.cloned().collect())
}

/// Every subset, the empty one first.
fn combinations(features: &[String]) -> Vec<Vec<&str>> {
    features.iter().fold(vec![Vec::new()], |mut all, feature| {
        let with = all.iter().map(|subset: &Vec<&str>| {
            let mut subset = subset.clone();
            subset.push(feature);
            subset
        });
        let with: Vec<_> = with.collect();
        all.extend(with);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subset_is_a_combination() {
        let features = ["a", "b"].map(str::to_owned);
        let expected: [&[&str]; 4] = [&[], &["a"], &["b"], &["a", "b"]];
        assert_eq!(combinations(&features), expected);
        assert_eq!(combinations(&[]), [Vec::<&str>::new()]);
    }
}
