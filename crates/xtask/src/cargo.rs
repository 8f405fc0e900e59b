//! Running cargo from within cargo.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::outcome::Outcome;

/// The cargo that runs this program, as if a shell had started it.
///
/// What it told this program of its own package is taken back: `ring` is built once more, and all that depends on it,
/// when that differs.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Has tests started by this command run more at a time than there are processors: most of them wait for
/// servers. A number that is set already stays.
pub(crate) fn run_tests_together(command: &mut Command) {
    const VARIABLE: &str = "RUST_TEST_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        command.env(VARIABLE, (2 * processors + 1).to_string());
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    // `crates/xtask` lies two directories below it.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
}

/// Where cargo keeps what it builds.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// What cargo says of the packages of the workspace.
pub(crate) fn metadata() -> Result<serde_json::Value, Box<dyn Error>> {
    let mut command = cargo();
    command.args(["metadata", "--locked", "--no-deps", "--format-version=1"]);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("cargo metadata failed; see above".into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs cargo with these words, its output on ours; gives whether it succeeded.
pub(crate) fn run<'a>(words: impl IntoIterator<Item = &'a str>) -> Outcome {
    let mut command = cargo();
    command.args(words);
    let status = command.status();
    Ok(status
        .map_err(|error| format!("cargo did not start: {error}"))?
        .success())
}

/// Builds a program of the workspace for speed and runs it with these words.
pub(crate) fn run_program(package: &str, words: &[String]) -> Outcome {
    let program = ["run", "--quiet", "--release", "--package", package, "--"];
    run(program.into_iter().chain(words.iter().map(String::as_str)))
}

/// A program that cargo has built.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The name of its target.
    pub(crate) name: String,
    /// The directory of its package.
    pub(crate) package: PathBuf,
    pub(crate) path: PathBuf,
}

/// Builds one program of the workspace, `--bin` or `--example`, and says where it is.
///
/// Together with the workspace, and with an example, although it is one target: cargo builds the dependencies with
/// the features that all packages and their tests ask for, as the tests have them already. By itself it would have
/// others built.
pub(crate) fn build(kind: &str, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--locked", "--workspace", kind, name]);
    let programs = build_programs(command.args(["--example", "worker"]))?;
    path_of(&programs, name)
}

/// Builds tests of the package `leasehold-tests`; for the features, see [`build`].
pub(crate) fn build_tests<'a>(
    words: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<Program>, Box<dyn Error>> {
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--no-run"])
        .args(words);
    let mut programs = build_programs(&mut command)?;
    programs.retain(|built| built.package == root().join("tests"));
    Ok(programs)
}

/// Where one of these programs is.
pub(crate) fn path_of(programs: &[Program], name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let program = programs.iter().find(|built| built.name == name);
    let program = program.ok_or_else(|| format!("cargo built no {name}"))?;
    Ok(program.path.clone())
}

/// Has cargo build, and says what programs there are now.
pub(crate) fn build_programs(command: &mut Command) -> Result<Vec<Program>, Box<dyn Error>> {
    command
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit());
    let output = command.output();
    let output = output.map_err(|error| format!("cargo did not start: {error}"))?;
    if !output.status.success() {
        return Err("cargo could not build it; see above".into());
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(program).collect())
}

/// The program that a line of cargo's report is about.
fn program(line: &str) -> Option<Program> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    let name = message["target"]["name"].as_str()?.to_owned();
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(Program {
        name,
        package: manifest.parent()?.to_owned(),
        path,
    })
}
