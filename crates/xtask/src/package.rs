//! `cargo xtask package`: each package that is published, built from what it contains alone, and a new project that
//! depends on them.
//!
//! The project's program is the first one of the README, as it stands there. It must take a lease.

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
    fs::create_dir_all(project.join("src"))?;
    for package in packages {
        let mut command = Command::new("tar");
        command.arg("-xzf").arg(package).arg("-C").arg(&project);
        process::finish(&mut command, "tar")?;
    }
    fs::copy(cargo::root().join("Cargo.lock"), project.join("Cargo.lock"))?;
    let profiles = profiles(&fs::read_to_string(cargo::root().join("Cargo.toml"))?);
    fs::write(project.join("Cargo.toml"), manifest() + &profiles)?;
    let readme = fs::read_to_string(cargo::root().join("README.md"))?;
    let program = first_program(&readme).ok_or("README.md has no program in Rust")?;
    fs::write(project.join("src/main.rs"), program)?;
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

/// The first program of a page: its first Rust block with a `main`.
fn first_program(page: &str) -> Option<&str> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.split_once('\n'))
        .find(|(language, text)| language.starts_with("rust") && text.contains("fn main()"))
        .map(|(_, text)| text)
}

/// Runs the project's program against a server of its own.
fn take_a_lease(project: &Path) -> Result<(), Box<dyn Error>> {
    let server = RedisServer::start()?;
    let program = cargo::target_directory().join("debug/first-lease");
    let mut command = Command::new(program);
    command
        .current_dir(project)
        .env("IS_LOCKING_DISABLED", "false")
        .env("REDIS_HOST", server.host())
        .env("REDIS_PORT", server.port().to_string());
    process::finish(&mut command, "the program of the README")?;
    // A released lease leaves the fence of its resource behind.
    if server.cli(&["DBSIZE"])? == "0" {
        return Err("the program of the README ended well, but took no lease".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_is_the_first_block_with_a_main() {
        let page = "# A\n\n```dotenv\nA=1\n```\n\n```rust\nlet x = 1;\n```\n\n```rust,no_run\nfn main() {}\n```\n";
        assert_eq!(first_program(page), Some("fn main() {}"));
        assert_eq!(first_program("no block"), None);
    }

    #[test]
    fn only_the_profile_of_the_workspace_is_taken_over() {
        let manifest = "[workspace]\na = 1\n\n[profile.dev]\ndebug = 1\n\n[profile.dev.package.x]\nopt-level = 3\n";
        assert_eq!(profiles(manifest).trim(), "[profile.dev]\ndebug = 1");
    }
}
