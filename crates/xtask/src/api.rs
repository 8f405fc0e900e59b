//! `cargo xtask api`: the public interface of the SDK, one item a line, so that a change of it shows in a diff.
//!
//! It is read from rustdoc's JSON. That format changes with the compiler, so the crate `public-api` has the version that
//! belongs to the compiler of `rust-toolchain.toml`; raise both together.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cargo;
use crate::outcome::Outcome;

/// A package, its features, and the file with its interface.
const PACKAGES: [(&str, &str, &str); 2] = [
    ("leasehold", "tls,metrics,probe", "crates/lock/api.txt"),
    ("leasehold-config", "", "crates/config/api.txt"),
];

const JSON: [&str; 4] = ["-Z", "unstable-options", "--output-format", "json"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Compare with the files instead of writing them
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let rustdoc = unstable_rustdoc()?;
    let mut is_same = true;
    for (package, features, file) in PACKAGES {
        let found = interface(&rustdoc, package, features)?;
        let path = cargo::root().join(file);
        if arguments.check {
            let known = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
            let changes = changes(&known, &found);
            print!("{changes}");
            is_same &= changes.is_empty();
        } else {
            fs::write(&path, found).map_err(|error| format!("{file}: {error}"))?;
        }
    }
    if !is_same {
        println!(
            "The public interface changed. If that is meant: cargo xtask api, and a line in CHANGELOG.md."
        );
    }
    Ok(is_same)
}

/// A rustdoc that takes unstable options. For the compiler they stay off: what is built is used by other commands too.
fn unstable_rustdoc() -> Result<PathBuf, Box<dyn Error>> {
    let directory = cargo::target_directory().join("xtask");
    fs::create_dir_all(&directory)?;
    let path = directory.join("unstable-rustdoc");
    fs::write(&path, "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn interface(rustdoc: &Path, package: &str, features: &str) -> Result<String, Box<dyn Error>> {
    let mut command = cargo::cargo();
    command
        .env("RUSTDOC", rustdoc)
        .args([
            "rustdoc",
            "--quiet",
            "--locked",
            "--lib",
            "--package",
            package,
        ])
        .args(["--features", features, "--"])
        .args(JSON);
    if !command.status()?.success() {
        return Err(format!("rustdoc could not describe {package}; see above").into());
    }
    let file = format!("doc/{}.json", package.replace('-', "_"));
    let json = cargo::target_directory().join(file);
    let interface = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(format!("{interface}"))
}

/// The lines that only one of the two has.
fn changes(known: &str, found: &str) -> String {
    let lines = |text: &str, other: &str, mark: &str| -> String {
        let kept: Vec<&str> = other.lines().collect();
        let lines = text.lines().filter(|line| !kept.contains(line));
        lines.map(|line| format!("{mark}{line}\n")).collect()
    };
    lines(known, found, "-") + &lines(found, known, "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_shows_what_went_and_what_came() {
        assert_eq!(
            changes("pub fn a()\npub fn b()\n", "pub fn b()\npub fn c()\n"),
            "-pub fn a()\n+pub fn c()\n"
        );
        assert_eq!(changes("pub fn a()\n", "pub fn a()\n"), "");
    }
}
