//! `cargo xtask package`: each package that is published, built from what it contains alone, and a new project that
//! depends on them.
//!
//! The project's programs are the first one of the README and that of the page on blocking, as they stand there, with
//! the README's `.env`. Each must take a lease.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use leasehold_testkit::RedisServer;

use crate::outcome::Outcome;
use crate::prepare::{self, Need};
use crate::{cargo, process};

/// What is published, in the order of their dependencies. `leasehold-temporal` has a workspace of its own and follows the SDK.
pub(crate) const PACKAGES: [&str; 4] = [
    "leasehold-config",
    "leasehold",
    "leasehold-testkit",
    "leasehold-cli",
];

/// The project's programs, and the pages that have them.
const PROGRAMS: [(&str, &str); 2] = [
    ("first-lease", "README.md"),
    ("first-blocking-lease", "docs/blocking.md"),
];

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run() -> Outcome {
    prepare::get(Need::REDIS)?;
    let directory = cargo::target_directory().join("package-check");
    let mut command = cargo::cargo();
    command.current_dir(cargo::root());
    // Work in progress can be checked, too.
    package(&mut command, &directory, &["--allow-dirty"])?;
    let packages = files(&directory, VERSION);
    let project = unpack(&directory, &packages)?;
    let mut build = cargo::cargo();
    build.current_dir(&project).args(["build", "--workspace"]);
    build.env("CARGO_TARGET_DIR", cargo::target_directory());
    process::finish(&mut build, "building the packages")?;
    take_a_lease(&project)?;
    println!(
        "{} packages build from what they contain, and a new project takes a lease",
        packages.len()
    );
    Ok(true)
}

/// Makes the packages below a directory, with a cargo that runs in their repository.
pub(crate) fn package(
    command: &mut Command,
    directory: &Path,
    more: &[&str],
) -> Result<(), Box<dyn Error>> {
    let package = [
        "package",
        "--quiet",
        "--locked",
        "--no-verify",
        "--target-dir",
    ];
    command.args(package).arg(directory);
    command
        .args(PACKAGES.iter().flat_map(|name| ["--package", name]))
        .args(more);
    process::finish(command, "cargo package")
}

/// The packages of a version that were made below a directory.
pub(crate) fn files(directory: &Path, version: &str) -> [PathBuf; 4] {
    PACKAGES.map(|name| {
        directory
            .join("package")
            .join(format!("{name}-{version}.crate"))
    })
}

/// The folder in the archive of a package, which all have the version of this one.
fn folder(package: &str) -> String {
    format!("{package}-{VERSION}")
}

/// A workspace of the unpacked packages and a project that depends on them.
fn unpack(directory: &Path, packages: &[PathBuf]) -> Result<PathBuf, Box<dyn Error>> {
    let project = directory.join("project");
    if project.exists() {
        fs::remove_dir_all(&project)?;
    }
    fs::create_dir_all(project.join("src/bin"))?;
    for package in packages {
        let mut command = Command::new("tar");
        command.arg("-xzf").arg(package).arg("-C").arg(&project);
        process::finish(&mut command, "tar")?;
    }
    fs::copy(cargo::root().join("Cargo.lock"), project.join("Cargo.lock"))?;
    let profiles = profiles(&fs::read_to_string(cargo::root().join("Cargo.toml"))?);
    fs::write(project.join("Cargo.toml"), manifest() + &profiles)?;
    for (name, page) in PROGRAMS {
        let text = fs::read_to_string(cargo::root().join(page))?;
        let program = first_block(&text, "rust", "fn main()");
        let program = program.ok_or_else(|| format!("{page} has no program in Rust"))?;
        fs::write(project.join("src/bin").join(format!("{name}.rs")), program)?;
    }
    let readme = fs::read_to_string(cargo::root().join("README.md"))?;
    let env = first_block(&readme, "dotenv", "REDIS_HOST").ok_or("README.md has no .env")?;
    fs::write(project.join(".env"), env)?;
    Ok(project)
}

fn manifest() -> String {
    let folders = PACKAGES.map(folder);
    let members = folders.join("\", \"");
    let patches = PACKAGES.map(|name| format!("{name} = {{ path = \"{}\" }}\n", folder(name)));
    format!(
        "[package]\nname = \"first-lease\"\nedition = \"2024\"\n\n\
         [workspace]\nresolver = \"3\"\nmembers = [\"{members}\"]\n\n\
         [dependencies]\nleasehold = \"{VERSION}\"\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n\n\
         [patch.crates-io]\n{}\n",
        patches.concat()
    )
}

/// The profiles of a manifest, without which everything would be built once more.
fn profiles(manifest: &str) -> String {
    let sections = manifest
        .split("\n[")
        .filter(|section| section.starts_with("profile.dev]"));
    sections.map(|section| format!("[{section}\n")).collect()
}

/// The first block of a page in this language that has these words in it.
fn first_block<'a>(page: &'a str, wanted: &str, words: &str) -> Option<&'a str> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.split_once('\n'))
        .find(|(language, text)| language.starts_with(wanted) && text.contains(words))
        .map(|(_, text)| text)
}

/// Runs each of the project's programs against a server of its own, whose port alone is not the README's.
fn take_a_lease(project: &Path) -> Result<(), Box<dyn Error>> {
    for (name, page) in PROGRAMS {
        let server = RedisServer::start()?;
        let mut command = Command::new(cargo::target_directory().join("debug").join(name));
        command
            .current_dir(project)
            .env("REDIS_PORT", server.port().to_string());
        process::finish(&mut command, &format!("the program of {page}"))?;
        // A released lease leaves the fence of its resource behind.
        if server.cli(&["DBSIZE"])? == "0" {
            return Err(format!("the program of {page} ended well, but took no lease").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_by_its_language_and_its_words() {
        let page = "# A\n\n```dotenv\nA=1\n```\n\n```rust\nlet x = 1;\n```\n\n```rust,no_run\nfn main() {}\n```\n";
        let program = |page| first_block(page, "rust", "fn main()");
        assert_eq!(program(page), Some("fn main() {}"));
        assert_eq!(first_block(page, "dotenv", ""), Some("A=1"));
        assert_eq!(program("no block"), None);
    }

    #[test]
    fn only_the_profile_of_the_workspace_is_taken_over() {
        let manifest = "[workspace]\na = 1\n\n[profile.dev]\ndebug = 1\n\n[profile.dev.package.x]\nopt-level = 3\n";
        assert_eq!(profiles(manifest).trim(), "[profile.dev]\ndebug = 1");
    }
}
