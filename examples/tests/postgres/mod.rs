//! A PostgreSQL server of the test's own: in a temporary directory, reached by a socket in it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use leasehold_testkit::{ChildProcess, wait_until};
use leasehold_tests::PATIENCE;
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

/// Without TCP there is no port to choose; this only names the socket.
const PORT: u16 = 5432;

pub(crate) struct Postgres {
    server: ChildProcess,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    directory: TempDir,
}

impl Postgres {
    /// Starts one, or says that PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            // Past the test harness, which shows nothing of tests that pass.
            let _ = writeln!(
                std::io::stderr(),
                "NOT TESTED: PostgreSQL is not installed (apt-get install postgresql)"
            );
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory");
        let user = user(directory.path());
        let data = directory.path().join("data");
        let mut command = Command::new(programs.join("initdb"));
        command
            .args(["--auth=trust", "--username=test", "--no-sync", "--pgdata"])
            .arg(&data);
        let output = run_as(user, &mut command).output().expect("initdb");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );

        let log = fs::File::create(directory.path().join("log")).expect("a log");
        let mut command = ChildProcess::command(programs.join("postgres"));
        command
            .args(["-F", "-h", "", "-p", &PORT.to_string(), "-D"])
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .stdout(Stdio::null())
            .stderr(log);
        run_as(user, &mut command);
        let server = ChildProcess::spawn(command).expect("a server");
        let postgres = Self {
            server,
            programs: programs.clone(),
            user,
            directory,
        };
        let is_ready = || {
            let mut command = Command::new(programs.join("pg_isready"));
            command.arg("--quiet").arg("-p").arg(PORT.to_string());
            let host = command.arg("-h").arg(postgres.directory.path()).status();
            host.is_ok_and(|status| status.success())
        };
        if wait_until("PostgreSQL", PATIENCE, is_ready).is_err() {
            let log = fs::read_to_string(postgres.directory.path().join("log"));
            panic!("PostgreSQL does not answer: {}", log.unwrap_or_default());
        }
        Some(postgres)
    }

    pub(crate) async fn connect(&self) -> Client {
        let mut config = Config::new();
        config
            .host_path(self.directory.path())
            .port(PORT)
            .user("test")
            .dbname("postgres");
        let (client, connection) = config.connect(NoTls).await.expect("a connection");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Postgres {
    /// Killed outright, a server leaves a segment of shared memory behind.
    fn drop(&mut self) {
        let mut command = Command::new(self.programs.join("pg_ctl"));
        command
            .args(["stop", "--silent", "--mode=immediate", "--pgdata"])
            .arg(self.directory.path().join("data"));
        if !run_as(self.user, &mut command)
            .status()
            .is_ok_and(|status| status.success())
        {
            self.server.kill();
        }
    }
}

/// Where the server's programs are: in `PATH`, or where Debian keeps each version's.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let is_whole = |place: &PathBuf| {
        ["initdb", "postgres", "pg_isready"]
            .iter()
            .all(|program| place.join(program).is_file())
    };
    places.into_iter().find(is_whole)
}

/// PostgreSQL refuses to run as root, so there its own user runs it, who is given the directory.
fn user(directory: &Path) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the users");
    let ids = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_wanted = fields.first() == Some(&"postgres");
        is_wanted.then(|| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))?
    });
    let (user, group) = ids.expect("the package makes a user `postgres`");
    chown(directory, Some(user), Some(group)).expect("the directory's owner");
    Some((user, group))
}

fn run_as(user: Option<(u32, u32)>, command: &mut Command) -> &mut Command {
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}
