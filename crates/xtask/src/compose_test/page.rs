//! Every command of `docs/docker.md`, as a reader runs it who copies block after block. Only names,
//! ports and addresses are others, so that no cluster of the developer is touched.

use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::cluster::free_ports;
use super::engine::{Engine, docker, output};
use super::images::Images;
use super::say;
use super::subnets;
use crate::cargo;

const PAGE: &str = "docs/docker.md";
/// The page's projects, and what they are called here.
const PROJECTS: [(&str, &str); 6] = [
    ("leasehold", "leasehold-book"),
    ("leasehold-ip", "leasehold-book-ip"),
    ("leasehold-name", "leasehold-book-name"),
    ("leasehold-tls", "leasehold-book-tls"),
    ("leasehold-cluster", "leasehold-book-cluster"),
    ("leasehold-quorum", "leasehold-book-quorum"),
];
/// The images that the page makes, likewise.
const IMAGES: [(&str, &str); 2] = [
    ("leasehold-redis:local", "leasehold-redis:book"),
    ("leasehold:local", "leasehold:book"),
];
/// How long one block may take, in seconds.
const PATIENCE: &str = "240";

/// Removes every container, network and volume of the projects in its words.
const TAKE_DOWN: &str = r#"
for project in "$@"; do
  label=label=com.docker.compose.project=$project
  docker ps -aq --filter "$label" | xargs -r docker rm -f
  docker network ls -q --filter "$label" | xargs -r docker network rm
  docker volume ls -q --filter "$label" | xargs -r docker volume rm
done"#;

type Failure = Box<dyn Error + Send + Sync>;

/// A copy of the repository's files for people, and what takes its clusters away.
struct Copy {
    directory: PathBuf,
    variables: Vec<(String, String)>,
    replacements: Vec<(String, String)>,
    guardian: Child,
}

/// Runs all of it; the first block that fails ends it.
pub(super) fn run(
    engine: &Engine,
    images: &Images,
    source: &Path,
    directory: &Path,
) -> Result<usize, Failure> {
    let copy = Copy::make(engine, images, source, &directory.join("book"))?;
    let page = fs::read_to_string(source.join(PAGE))?;
    let blocks = blocks(&page);
    for (line, block) in &blocks {
        let began = Instant::now();
        copy.run(block)
            .map_err(|error| format!("{PAGE}:{line}: {error}\n{block}"))?;
        say(&format!(
            "{PAGE}:{line}: {:.1} s",
            began.elapsed().as_secs_f64()
        ));
    }
    Ok(blocks.len())
}

/// The page's blocks for a shell, each with its line, but for those that say that they are not run and
/// those that only call cargo: this very command.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line == "```sh" {
            let block: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| *line != "```")
                .collect();
            let is_cargo = block.iter().all(|line| line.starts_with("cargo "));
            if !before.starts_with("<!-- not run: ") && !is_cargo {
                blocks.push((number + 1, block.join("\n")));
            }
        }
        before = line;
    }
    blocks
}

impl Copy {
    fn make(
        engine: &Engine,
        images: &Images,
        source: &Path,
        directory: &Path,
    ) -> Result<Self, Failure> {
        for part in ["docker", "config"] {
            copy_files(&source.join(part), &directory.join(part))?;
        }
        let command = cargo::build("--bin", "leasehold").map_err(|error| error.to_string())?;
        let [data, sentinels, [journal, ..]] = free_ports()?;
        let variables = vec![
            ("SERVER_IMAGE".to_owned(), images.redis.clone()),
            ("WORKER_IMAGE".to_owned(), images.worker.clone()),
            ("JOURNAL_PORT".to_owned(), journal.to_string()),
            ("SUBNET".to_owned(), subnets::BOOK.to_owned()),
            ("COMPOSE_COMPATIBILITY".to_owned(), "true".to_owned()),
            ("PATH".to_owned(), path(engine, &command, directory)?),
        ];
        let projects = PROJECTS.map(|(_, here)| here);
        // One that was killed may have left something.
        take_down(&projects, Stdio::null())?.wait()?;
        let copy = Self {
            directory: directory.to_owned(),
            variables,
            replacements: replacements(data, sentinels),
            // Waits for its input to close, so that it comes to pass however this process ends.
            guardian: take_down(&projects, Stdio::piped())?,
        };
        for file in [
            "example.env",
            "example.tls.env",
            "compose.yml",
            "build-local-image.sh",
        ] {
            let file = directory.join("docker").join(file);
            fs::write(&file, copy.adapted(&fs::read_to_string(&file)?))?;
        }
        Ok(copy)
    }

    fn adapted(&self, text: &str) -> String {
        let replace = |text: String, (from, to): &(String, String)| text.replace(from, to);
        self.replacements.iter().fold(text.to_owned(), replace)
    }

    fn run(&self, block: &str) -> Result<(), String> {
        let mut command = Command::new("timeout");
        command
            .args([PATIENCE, "bash", "-euo", "pipefail", "-c"])
            .arg(self.adapted(block))
            .current_dir(&self.directory)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        output(&mut command).map(drop)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Waiting closes its input.
        if let Err(error) = self.guardian.wait() {
            say(&format!("taking the containers down: {error}"));
        }
        // They are there only if the page came that far.
        for (_, image) in IMAGES {
            let _ = docker(["image", "rm", image]);
        }
    }
}

/// What stands in the page and in the files, and what is written there in its place.
fn replacements(data: [u16; 3], sentinels: [u16; 3]) -> Vec<(String, String)> {
    let mut replacements = vec![(subnets::DOCUMENTED.to_owned(), subnets::BOOK.to_owned())];
    replacements.extend(IMAGES.map(|(image, here)| (image.to_owned(), here.to_owned())));
    for (project, here) in PROJECTS {
        replacements.push((format!("-p {project} "), format!("-p {here} ")));
        replacements.push((format!(" {project}_"), format!(" {here}_")));
    }
    for index in 0..3 {
        let number = index + 1;
        for (kind, port, documented) in [
            ("REDIS", data[index], 6379 + index),
            ("SENTINEL", sentinels[index], 26379 + index),
        ] {
            // In the files: a variable of this name would make the doctor wonder.
            let default = |port: &dyn std::fmt::Display| format!("{kind}_{number}_PORT:-{port}}}");
            replacements.push((default(&documented), default(&port)));
            let at = |port: &dyn std::fmt::Display| format!("127.0.0.1:{port}");
            replacements.push((at(&documented), at(&port)));
        }
    }
    replacements
}

/// `leasehold` and `docker-compose` by their names.
fn path(engine: &Engine, command: &Path, directory: &Path) -> Result<String, Failure> {
    let programs = command.parent().ok_or("the command is nowhere")?;
    let links = directory.join("bin");
    fs::create_dir_all(&links)?;
    let link = links.join("docker-compose");
    fs::write(
        &link,
        format!("#!/bin/sh\nexec {} \"$@\"\n", engine.compose_absolute()?),
    )?;
    fs::set_permissions(&link, fs::Permissions::from_mode(0o755))?;
    let rest = std::env::var("PATH")?;
    Ok(format!("{}:{}:{rest}", links.display(), programs.display()))
}

fn take_down(projects: &[&str], input: Stdio) -> io::Result<Child> {
    Command::new("sh")
        .args(["-c", &format!("cat >/dev/null\n{TAKE_DOWN}"), "sh"])
        .args(projects)
        .stdin(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // So that Ctrl-C does not reach it.
        .process_group(0)
        .spawn()
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // Not what was made there: certificates.
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
