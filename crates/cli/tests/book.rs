//! Every block of code in the README and in `docs/` is run, or says why it is not.
//!
//! | language | what runs it |
//! | --- | --- |
//! | `rust` | the doctests of the package `leasehold-tests`, which must list the page |
//! | `sh` | this test, against a Sentinel cluster whose ports take the place of the documented ones; in `docs/docker.md` `cargo xtask compose-test` does; lines that begin with `cargo` must stand in `.ci/run` |
//! | `console` | `documentation.rs` beside this file: the commands, and what they print |
//! | `dotenv` | this test: `leasehold env` reads it |
//! | `toml`, `json` | this test: it names what exists, and parses |
//! | `sql` | `examples/tests/ledger.rs`, on PostgreSQL |
//! | `text` | is what a program printed |
//! | `mermaid` | is a picture |
//!
//! A block that cannot be run has a line `<!-- not run: REASON -->` before it. One that needs the shell
//! of the block before it has `<!-- goes on from the block above -->`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use leasehold_testkit::SentinelCluster;

const DOCKER: &str = "docs/docker.md";

struct Block {
    page: String,
    line: usize,
    language: String,
    is_ignored: bool,
    text: String,
    note: Option<String>,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }

    /// Why it is not run.
    fn excuse(&self) -> Option<&str> {
        let reason = self.note.as_deref()?.strip_prefix("not run: ")?;
        assert!(reason.len() > 15, "{}: that is no reason", self.place());
        Some(reason)
    }

    fn goes_on(&self) -> bool {
        self.note.as_deref() == Some("goes on from the block above")
    }

    fn is_cargo(&self) -> bool {
        self.text.lines().all(|line| line.starts_with("cargo "))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn pages(directory: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(directory)).expect("a directory") {
        let entry = entry.expect("an entry");
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            pages(&path, found);
        } else if path.ends_with(".md") {
            found.push(path);
        }
    }
}

fn blocks() -> Vec<Block> {
    let mut found = vec!["README.md".to_owned()];
    pages("docs", &mut found);
    found.sort();
    found.iter().flat_map(|page| blocks_of(page)).collect()
}

fn blocks_of(page: &str) -> Vec<Block> {
    let text = read(page);
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    let mut before = "";
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(words)) => {
                let note = before
                    .strip_prefix("<!-- ")
                    .and_then(|rest| rest.strip_suffix(" -->"));
                open = Some(Block {
                    page: page.to_owned(),
                    line: index + 1,
                    language: words.split(',').next().unwrap_or_default().to_owned(),
                    is_ignored: words.contains("ignore"),
                    text: String::new(),
                    note: note.map(str::to_owned),
                });
            }
            (Some(block), None) => block.text += &format!("{line}\n"),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, None) => {}
        }
        if !line.is_empty() {
            before = line;
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    blocks
}

#[test]
fn no_block_is_left_out() {
    let (ci, doctests, sql, compose, sessions) = (
        read(".ci/run"),
        read("tests/support/lib.rs"),
        read("examples/tests/ledger.rs"),
        read("crates/xtask/src/compose_test/page.rs"),
        read("crates/cli/tests/documentation.rs"),
    );
    let mut problems = Vec::new();
    for block in blocks() {
        if block.excuse().is_some() {
            continue;
        }
        let is_run = match block.language.as_str() {
            "rust" => !block.is_ignored && doctests.contains(&format!("../../{}\"", block.page)),
            "sh" if block.page == DOCKER && !block.is_cargo() => compose.contains(DOCKER),
            "sh" if block.is_cargo() => block.text.lines().all(|line| ci.contains(line)),
            "console" => sessions.contains(&format!("../../{}\"", block.page)),
            "sql" => sql.contains(&format!("../../{}\"", block.page)),
            "sh" | "dotenv" | "toml" | "json" | "text" | "mermaid" => true,
            _ => false,
        };
        if !is_run {
            problems.push(format!("{} ({})", block.place(), block.language));
        }
    }
    assert!(
        problems.is_empty(),
        "nothing runs these blocks, and none says why: {problems:#?}"
    );
}

#[test]
fn the_parsers_find_every_block() {
    let all = blocks();
    let of = |language: &str| {
        all.iter()
            .filter(|block| block.language == language)
            .count()
    };
    assert!(
        of("rust") >= 15 && of("sh") >= 12 && of("dotenv") >= 3,
        "{}",
        all.len()
    );
}

#[test]
fn variables_are_those_that_the_sdk_reads() {
    for block in blocks() {
        if block.language != "dotenv" || block.excuse().is_some() {
            continue;
        }
        let directory = tempfile::tempdir().expect("a directory");
        // Some show only what differs.
        let text = format!("IS_LOCKING_DISABLED=false\n{}", block.text);
        fs::write(directory.path().join(".env"), text).expect("a file");
        let output = Command::new(env!("CARGO_BIN_EXE_leasehold"))
            .args(["env", "--set", "--json"])
            .env_clear()
            .current_dir(directory.path())
            .output()
            .expect("the command");
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {complaint}", block.place());
        for line in block.text.lines().filter(|line| !line.starts_with('#')) {
            let (name, _) = line.split_once('=').expect("NAME=value");
            assert!(
                said.contains(name),
                "{}: {name} is not read: {said}",
                block.place()
            );
        }
    }
}

/// What a reader is told to export stays in his shell, where the SDK and the doctor must not take it for a
/// misspelt variable of theirs.
#[test]
fn what_is_exported_is_not_warned_about() {
    let all = blocks();
    let lines = all.iter().filter(|block| block.language == "sh");
    let lines = lines.flat_map(|block| block.text.lines());
    let exported: Vec<(&str, &str)> = lines
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .collect();
    assert!(exported.len() >= 2, "{exported:?}");
    let output = Command::new(env!("CARGO_BIN_EXE_leasehold"))
        .args(["env", "--set", "--json"])
        .env_clear()
        .env("IS_LOCKING_DISABLED", "false")
        .env("REDIS_HOST", "localhost")
        .envs(exported.iter().copied())
        .output()
        .expect("the command");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\"warnings\":[]"), "{exported:?}: {said}");
}

#[test]
fn manifests_name_features_and_versions_that_exist() {
    let (sdk, workspace, examples) = (
        read("crates/lock/Cargo.toml"),
        read("Cargo.toml"),
        read("examples/Cargo.toml"),
    );
    for block in blocks().iter().filter(|block| block.language == "toml") {
        for line in block.text.lines().filter(|line| !line.starts_with('[')) {
            let (name, rest) = line.split_once(" = ").expect("a dependency");
            let mut quoted = rest.split('"').skip(1).step_by(2);
            let version = quoted.next().expect("a version or a path");
            if let Some(path) = version.strip_prefix("../leasehold/") {
                let manifest = read(&format!("{path}/Cargo.toml"));
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{line}");
            } else if name == "leasehold" {
                assert!(
                    workspace.contains(&format!("version = \"{version}.")),
                    "{line}"
                );
                for feature in quoted {
                    assert!(sdk.contains(&format!("\n{feature} = [")), "{line}");
                }
            } else {
                let known = format!("{name} = {{ version = \"{version}");
                assert!(
                    examples.contains(&format!("{known}\"")) || workspace.contains(&known),
                    "{}: {line}",
                    block.place()
                );
            }
        }
    }
}

/// A reader of the first page can build a program, and has the command.
#[test]
fn the_readme_says_how_to_depend_on_the_crate_and_how_to_install_the_command() {
    let manifests = blocks_of("README.md").into_iter();
    let mut manifests = manifests.filter(|block| block.language == "toml");
    assert!(
        manifests.any(|block| block.text.contains("\nleasehold = {")),
        "README.md has no lines for Cargo.toml"
    );
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once("`cargo install --path ")
        .expect("how to install the command");
    let (path, _) = rest.split_once('`').expect("a path");
    let manifest = read(&format!("{path}/Cargo.toml"));
    assert!(manifest.contains("[[bin]]\nname = \"leasehold\""), "{path}");
}

#[test]
fn json_is_json() {
    for block in blocks() {
        if block.language == "json" && block.excuse().is_none() {
            for value in serde_json::Deserializer::from_str(&block.text).into_iter() {
                let value: Result<serde_json::Value, _> = value;
                assert!(value.is_ok(), "{}: {value:?}", block.place());
            }
        }
    }
}

/// All scripts of a page, each as it is to be run: with what goes on from it.
fn scripts() -> Vec<(String, String)> {
    let mut scripts: Vec<(String, String)> = Vec::new();
    for block in blocks() {
        let is_ours = block.language == "sh"
            && block.excuse().is_none()
            && !block.is_cargo()
            && block.page != DOCKER;
        match scripts.last_mut() {
            Some((_, script)) if is_ours && block.goes_on() => *script += &block.text,
            _ if is_ours => scripts.push((block.place(), block.text)),
            _ => {}
        }
    }
    scripts
}

#[test]
fn commands_do_what_the_page_says() {
    let cluster = SentinelCluster::builder()
        // What strict mode demands of a data node without an append-only file.
        .node_config("rdb-del-sync-files", "yes")
        .down_after(Duration::from_secs(20))
        .start()
        .expect("a cluster");
    cluster.wait_until_stable().expect("a cluster in agreement");
    for (place, script) in scripts() {
        let output = run(&cluster, &script);
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{place}:\n{script}\n{said}\n{complaint}"
        );
        cluster.wait_until_stable().expect("a cluster in agreement");
    }
}

/// Runs a script as somebody would who has copied it, with the cluster's ports for the documented.
fn run(cluster: &SentinelCluster, script: &str) -> std::process::Output {
    let directory = tempfile::tempdir().expect("a directory");
    let mut variables = cluster.env();
    variables.extend([
        ("IS_LOCKING_DISABLED".to_owned(), "false".to_owned()),
        ("LOCK_TTL".to_owned(), "3s".to_owned()),
        ("LOCK_MAX_TTL".to_owned(), "3s".to_owned()),
        ("LOCK_RETRY_INTERVAL".to_owned(), "200ms".to_owned()),
    ]);
    let file: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    fs::write(directory.path().join(".env"), file.concat()).expect("a file");

    let mut script = script.to_owned();
    for index in 0..3 {
        for (documented, real) in [
            (26379 + index, cluster.sentinel(index).port()),
            (6379 + index, cluster.node(index).port()),
        ] {
            let documented = format!("-p {documented}");
            script = script.replace(&documented, &format!("-p {real}"));
        }
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_leasehold"))
        .parent()
        .expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    // What it left running in the background ends with it.
    let script = format!("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    Command::new("timeout")
        .args(["60", "bash", "-euo", "pipefail", "-c", &script])
        .env("PATH", format!("{}:{path}", programs.display()))
        .current_dir(directory.path())
        .output()
        .expect("a shell")
}
