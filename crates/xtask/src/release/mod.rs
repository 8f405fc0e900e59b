//! `cargo xtask release`: a version, its tag, and everything that is handed out with it. It publishes nothing.
//!
//! What is handed out lies in `target/release-VERSION`: the packages, the command with completions and manual page, a bill
//! of materials where cargo-cyclonedx is installed, and checksums of all of them.

mod version;

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outcome::Outcome;
use crate::{cargo, package, process};
use version::Version;

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The new version, such as 0.2.0
    version: Version,
    /// Make the release in a clone below `target`, with the command built without optimisation
    #[arg(long)]
    dry_run: bool,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One release, in a repository that may be a clone.
struct Release {
    version: Version,
    repository: PathBuf,
    /// Where cargo builds.
    target: PathBuf,
    /// What is handed out.
    output: PathBuf,
    profile: &'static str,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let target = cargo::target_directory();
    let repository = if arguments.dry_run {
        clone(&target.join("release-dry-run"))?
    } else {
        cargo::root().to_owned()
    };
    let release = Release {
        version: arguments.version,
        repository,
        output: target.join(format!("release-{}", arguments.version)),
        target,
        profile: if arguments.dry_run { "dev" } else { "release" },
    };
    release.make()?;
    println!(
        "release {} is in {}",
        release.version,
        release.output.display()
    );
    println!(
        "to publish it: git push --follow-tags, then cargo publish for {}",
        package::PACKAGES.join(", ")
    );
    Ok(true)
}

fn clone(directory: &Path) -> Result<PathBuf> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    let mut command = Command::new("git");
    command
        .args(["clone", "--quiet"])
        .arg(cargo::root())
        .arg(directory);
    process::finish(&mut command, "git clone")?;
    Ok(directory.to_owned())
}

impl Release {
    fn make(&self) -> Result<()> {
        self.begin()?;
        self.set_version()?;
        self.set_changes()?;
        self.cargo(&["update", "--workspace", "--quiet"])?;
        let temporal = "integrations/temporal/Cargo.toml";
        self.cargo(&[
            "update",
            "--workspace",
            "--quiet",
            "--manifest-path",
            temporal,
        ])?;
        self.tag()?;
        if self.output.exists() {
            fs::remove_dir_all(&self.output)?;
        }
        fs::create_dir_all(&self.output)?;
        self.packages()?;
        self.command()?;
        self.bill_of_materials()?;
        self.checksums()
    }

    /// Nothing uncommitted may get into a release, and no tag may be made twice.
    fn begin(&self) -> Result<()> {
        if !self.git(&["status", "--porcelain"])?.is_empty() {
            return Err("there are files that are not committed".into());
        }
        let tag = self.tag_name();
        if !self.git(&["tag", "--list", &tag])?.is_empty() {
            return Err(format!("there is a tag {tag} already").into());
        }
        Ok(())
    }

    fn set_version(&self) -> Result<()> {
        let old: Version = env!("CARGO_PKG_VERSION").parse()?;
        if self.version < old {
            return Err(format!("{} is older than the present version {old}", self.version).into());
        }
        let manifests = self.git(&["ls-files", "*Cargo.toml"])?;
        for file in manifests.lines() {
            let path = self.repository.join(file);
            let text = fs::read_to_string(&path)?;
            fs::write(&path, version::manifest(&text, old, self.version))?;
        }
        Ok(())
    }

    fn set_changes(&self) -> Result<()> {
        let path = self.repository.join("CHANGELOG.md");
        let date = process::output(Command::new("date").args(["-u", "+%Y-%m-%d"]), "date")?;
        let text = version::changes(&fs::read_to_string(&path)?, self.version, &date);
        let text = text.ok_or("CHANGELOG.md has nothing under \"Unreleased\"")?;
        Ok(fs::write(path, text)?)
    }

    fn tag(&self) -> Result<()> {
        let message = format!("Version {}", self.version);
        self.git(&["commit", "--quiet", "--all", "--message", &message])?;
        self.git(&["tag", "--annotate", &self.tag_name(), "--message", &message])?;
        Ok(())
    }

    fn tag_name(&self) -> String {
        format!("v{}", self.version)
    }

    fn packages(&self) -> Result<()> {
        let directory = self.target.join("release-packages");
        let mut command = self.command_of_cargo();
        package::package(&mut command, &directory, &[])?;
        for file in package::files(&directory, &self.version.to_string()) {
            let name = file.file_name().ok_or("a package without a name")?;
            fs::copy(&file, self.output.join(name))?;
        }
        Ok(())
    }

    /// The program `leasehold` with what belongs to it.
    fn command(&self) -> Result<()> {
        let profile = ["--profile", self.profile];
        self.cargo(
            &[
                ["build", "--locked", "--package", "leasehold-cli"].as_slice(),
                &profile,
            ]
            .concat(),
        )?;
        let folder = if self.profile == "dev" {
            "debug"
        } else {
            self.profile
        };
        let program = self.target.join(folder).join("leasehold");
        fs::copy(&program, self.output.join("leasehold"))?;
        for shell in SHELLS {
            self.write(
                &program,
                &["completions", shell],
                &format!("leasehold.{shell}"),
            )?;
        }
        self.write(&program, &["man"], "leasehold.1")
    }

    fn write(&self, program: &Path, words: &[&str], file: &str) -> Result<()> {
        let mut command = Command::new(program);
        command
            .args(words)
            .stdout(File::create(self.output.join(file))?);
        process::finish(&mut command, "leasehold")
    }

    fn bill_of_materials(&self) -> Result<()> {
        let mut asking = self.command_of_cargo();
        if !asking
            .args(["cyclonedx", "--version"])
            .output()?
            .status
            .success()
        {
            println!("no bill of materials: cargo-cyclonedx is not installed");
            return Ok(());
        }
        let manifest = "crates/cli/Cargo.toml";
        self.cargo(&["cyclonedx", "--format", "json", "--manifest-path", manifest])?;
        let made = self.repository.join("crates/cli/leasehold-cli.cdx.json");
        fs::copy(made, self.output.join("leasehold.cdx.json"))?;
        Ok(())
    }

    fn checksums(&self) -> Result<()> {
        let mut names: Vec<_> = fs::read_dir(&self.output)?
            .map(|entry| Ok(entry?.file_name()))
            .collect::<std::io::Result<_>>()?;
        names.sort();
        let mut command = Command::new("sha256sum");
        command.current_dir(&self.output).arg("--").args(&names);
        let sums = process::output(&mut command, "sha256sum")?;
        Ok(fs::write(self.output.join("SHA256SUMS"), sums + "\n")?)
    }

    fn git(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        process::output(command.current_dir(&self.repository).args(words), "git")
    }

    fn cargo(&self, words: &[&str]) -> Result<()> {
        process::finish(self.command_of_cargo().args(words), "cargo")
    }

    fn command_of_cargo(&self) -> Command {
        let mut command = cargo::cargo();
        command
            .current_dir(&self.repository)
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }
}
