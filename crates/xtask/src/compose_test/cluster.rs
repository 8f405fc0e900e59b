//! A running project of compose: its containers, and what its nodes say of themselves.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::engine::{Engine, docker, output};
use super::images::Images;
use super::say;
use super::subnets;

/// How long anything may take before the run is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const WORKERS: usize = 4;
/// What the workers lease.
pub(super) const RESOURCE: &str = "journal";
const NODES: [&str; 3] = ["redis-1", "redis-2", "redis-3"];
const SENTINELS: [&str; 3] = ["sentinel-1", "sentinel-2", "sentinel-3"];
/// Which the workers and the cluster have in common.
const PASSWORD: &str = "leasehold-development";

const DOWN: [&str; 5] = ["down", "--volumes", "--remove-orphans", "--timeout", "1"];

/// Which of the clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `compose.yml`: all in one network, on ports of the host.
    Shared,
    /// `compose.fixed-ip.yml`: each with an address of its own, so that it can be cut off.
    Parted,
    /// `compose.yml` with `compose.tls.yml` on top.
    Tls,
    /// `compose.one-name.yml` with `compose.service.yml` on top: nodes that move, and one address in front of
    /// the Sentinels.
    Service,
}

impl Layout {
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Shared => "compose.yml",
            Self::Parted => "compose.fixed-ip.yml",
            Self::Tls => "compose.tls.yml",
            Self::Service => "compose.service.yml",
        }
    }

    /// All its files, in the order in which they lie on top of each other.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Shared => &["compose.yml", "compose.workers.yml"],
            Self::Parted => &["compose.fixed-ip.yml", "compose.workers.yml"],
            Self::Tls => &[
                "compose.yml",
                "compose.tls.yml",
                "compose.workers.yml",
                "compose.tls.workers.yml",
            ],
            Self::Service => &[
                "compose.one-name.yml",
                "compose.service.yml",
                "compose.workers.yml",
            ],
        }
    }

    fn project(self) -> &'static str {
        match self {
            Self::Shared => "leasehold-test-shared",
            Self::Parted => "leasehold-test-parted",
            Self::Tls => "leasehold-test-tls",
            Self::Service => "leasehold-test-service",
        }
    }
}

/// The label of containers that only keep an address.
const PLACEHOLDER: &str = "leasehold-placeholder";

/// Waits for the end of the input, removes what keeps addresses, which is given as a filter, and runs the rest.
const TAKE_DOWN: &str = r#"
cat >/dev/null
exec >/dev/null 2>&1
docker ps -aq --filter "$1" | xargs -r docker rm -f
shift
exec "$@""#;

/// A cluster with workers, that is taken down when this is dropped.
pub(super) struct Cluster<'a> {
    engine: &'a Engine,
    guardian: Option<Child>,
    /// Of the nodes.
    image: String,
    pub(super) layout: Layout,
    files: Vec<PathBuf>,
    variables: Vec<(String, String)>,
    /// Of the data nodes and then the Sentinels, as host:port.
    addresses: Vec<String>,
    pub(super) journal: SocketAddr,
}

impl<'a> Cluster<'a> {
    /// Starts it all, and waits until the workers run.
    pub(super) fn start(
        engine: &'a Engine,
        images: &Images,
        source: &Path,
        directory: &Path,
        layout: Layout,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let ports = free_ports()?;
        let [_, _, [journal, ..]] = ports;
        let subnet = std::env::var("SUBNET").unwrap_or_else(|_| subnets::CLUSTER.to_owned());
        let addresses = addresses(layout, ports, &subnet);
        let env_file = directory.join(format!("{}.env", layout.project()));
        std::fs::write(&env_file, worker_env(&addresses[3..], layout))?;
        let certificates = directory.join("tls");
        if layout == Layout::Tls {
            output(Command::new(source.join("docker/make-certificates.sh")).arg(&certificates))?;
        }
        let mut variables = port_variables(ports);
        variables.extend([
            ("SERVER_IMAGE".to_owned(), images.redis.clone()),
            ("WORKER_IMAGE".to_owned(), images.worker.clone()),
            ("LEASEHOLD_ENV".to_owned(), env_file.display().to_string()),
            ("REDIS_PASSWORD".to_owned(), PASSWORD.to_owned()),
            ("SUBNET".to_owned(), subnet),
            (
                "TLS_DIRECTORY".to_owned(),
                certificates.display().to_string(),
            ),
            // Short, for the sake of the test's length.
            ("DOWN_AFTER".to_owned(), "1500".to_owned()),
            ("FAILOVER_TIMEOUT".to_owned(), "3000".to_owned()),
        ]);
        let files = layout.files().iter();
        let files = files.map(|name| source.join("docker").join(name));
        let mut cluster = Self {
            engine,
            guardian: None,
            image: images.redis.clone(),
            layout,
            files: files.collect(),
            variables,
            addresses,
            journal: SocketAddr::from(([127, 0, 0, 1], journal)),
        };
        // A run that was interrupted while it began may have left something.
        cluster.compose(&DOWN)?;
        cluster.guardian = Some(cluster.guardian()?);
        say(&format!("{}: starting the cluster", layout.file()));
        cluster.compose(&["up", "-d"])?;
        Ok(cluster)
    }

    fn compose(&self, words: &[&str]) -> Result<String, String> {
        let mut command = self.compose_command();
        output(command.args(words))
    }

    fn compose_command(&self) -> Command {
        let mut command = self.engine.compose_command();
        command.args(["-p", self.layout.project()]);
        for file in &self.files {
            command.arg("-f").arg(file);
        }
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.envs(variables);
        command
    }

    /// Takes everything down when this process ends, however it ends: the guardian waits for its
    /// input to close. It is in a group of its own, so that Ctrl-C does not reach it.
    fn guardian(&self) -> Result<Child, std::io::Error> {
        let compose = self.compose_command();
        let variables = compose.get_envs();
        let variables = variables.filter_map(|(name, value)| Some((name, value?)));
        Command::new("sh")
            .args(["-c", TAKE_DOWN, "sh"])
            .arg(format!("label={PLACEHOLDER}={}", self.layout.project()))
            .arg(compose.get_program())
            .args(compose.get_args())
            .args(DOWN)
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
    }

    /// The container of a service.
    pub(super) fn container(&self, service: &str) -> Result<String, String> {
        let label = |name: &str, value: &str| format!("label=com.docker.compose.{name}={value}");
        let project = label("project", self.layout.project());
        let service_label = label("service", service);
        let words = [
            "ps",
            "-aq",
            "--filter",
            &project,
            "--filter",
            &service_label,
        ];
        let found = docker(words)?;
        let first = found.lines().next();
        Ok(first
            .ok_or(format!("{service} has no container"))?
            .to_owned())
    }

    /// Makes the container of a node anew, with another address: a container that does nothing takes the old one,
    /// and keeps it until the end, so that no other node is given it. A master asks for a failover before.
    pub(super) fn move_on(&self, service: &str) -> Result<(), String> {
        self.entry(service, "leave")?;
        let container = self.container(service)?;
        docker(["rm", "-f", &container])?;
        let network = self.network();
        let label = format!("{PLACEHOLDER}={}", self.layout.project());
        let words = [
            "run",
            "-d",
            "--rm",
            "--label",
            &label,
            "--network",
            &network,
        ];
        docker(words.into_iter().chain([&*self.image, "sleep", "600"]))?;
        self.compose(&["up", "-d", "--no-deps", service]).map(drop)
    }

    /// The network whose members can be cut off.
    pub(super) fn network(&self) -> String {
        format!("{}_nodes", self.layout.project())
    }

    /// The IP address of a service.
    pub(super) fn ip(&self, service: &str) -> Option<&str> {
        let all = NODES.iter().chain(&SENTINELS);
        let (_, address) = all
            .zip(&self.addresses)
            .find(|(name, _)| **name == service)?;
        address.split(':').next()
    }

    fn entry(&self, service: &str, word: &str) -> Result<String, String> {
        let container = self.container(service)?;
        docker(["exec", &container, "sh", "/leasehold/entry.sh", word])
    }

    /// Whether the master has this key.
    pub(super) fn is_held(&self, key: &str) -> Result<bool, String> {
        let container = self.container(self.master()?)?;
        let words = ["exec", &container, "sh", "/leasehold/entry.sh", "held", key];
        match docker(words)?.as_str() {
            "1" => Ok(true),
            "0" => Ok(false),
            other => Err(format!("EXISTS {key} was answered {other:?}")),
        }
    }

    /// The data node that most of the Sentinels name.
    pub(super) fn master(&self) -> Result<&'static str, String> {
        let answers: Vec<String> = SENTINELS
            .iter()
            .filter_map(|sentinel| self.entry(sentinel, "master").ok())
            .collect();
        let votes = |address: &String| answers.iter().filter(|answer| *answer == address).count();
        let mut nodes = NODES.iter().zip(&self.addresses);
        let (node, _) = nodes
            .find(|(_, address)| votes(address) >= 2)
            .ok_or(format!("the Sentinels name {answers:?} as the master"))?;
        Ok(node)
    }

    /// Waits until the Sentinels' master is the only one, everything is healthy, and gives the master.
    pub(super) fn settle(&self) -> Result<&'static str, String> {
        wait("the cluster to settle", || {
            let master = self.master()?;
            for node in NODES {
                let role = self.entry(node, "role")?;
                if (role == "master") != (node == master) {
                    return Err(format!("{node} takes itself for {role}"));
                }
            }
            for service in NODES.iter().chain(&SENTINELS) {
                self.entry(service, "health")
                    .map_err(|_| format!("{service} is not healthy"))?;
            }
            Ok(master)
        })
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        let Some(guardian) = &mut self.guardian else {
            return;
        };
        // Waiting closes its input.
        match guardian.wait() {
            Ok(status) if status.success() => {}
            Ok(status) => say(&format!("taking the containers down: {status}")),
            Err(error) => say(&format!("taking the containers down: {error}")),
        }
    }
}

/// Tries again until it works, for as long as [`PATIENCE`].
pub(super) fn wait<T>(
    what: &str,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > give_up => {
                return Err(format!("waited {PATIENCE:?} for {what}: {error}"));
            }
            Err(_) => sleep(Duration::from_millis(50)),
        }
    }
}

/// Of the data nodes and then the Sentinels, as they announce themselves.
fn addresses(layout: Layout, [data, sentinels, _]: [[u16; 3]; 3], subnet: &str) -> Vec<String> {
    let address = |index: usize| match layout {
        Layout::Shared | Layout::Tls => {
            format!("127.0.0.1:{}", [data, sentinels].concat()[index])
        }
        Layout::Parted if index < 3 => format!("{subnet}.{}:6379", 11 + index),
        Layout::Parted => format!("{subnet}.{}:26379", 18 + index),
        Layout::Service if index < 3 => format!("{}:6379", NODES[index]),
        Layout::Service => format!("{}:26379", SENTINELS[index - 3]),
    };
    (0..6).map(address).collect()
}

/// The variables of the compose files for these ports.
fn port_variables([data, sentinels, [journal, ..]]: [[u16; 3]; 3]) -> Vec<(String, String)> {
    let mut variables = vec![("JOURNAL_PORT".to_owned(), journal.to_string())];
    for (kind, ports) in [("REDIS", data), ("SENTINEL", sentinels)] {
        for (index, port) in ports.into_iter().enumerate() {
            variables.push((format!("{kind}_{}_PORT", index + 1), port.to_string()));
        }
    }
    variables
}

/// The documented variables, nothing else.
fn worker_env(sentinels: &[String], layout: Layout) -> String {
    let hosts = match layout {
        Layout::Service => "sentinel:26379".to_owned(),
        Layout::Shared | Layout::Parted | Layout::Tls => sentinels.join(","),
    };
    let mut lines = vec![
        "IS_LOCKING_DISABLED=false".to_owned(),
        format!("REDIS_SENTINEL_HOSTS={hosts}"),
        "REDIS_SENTINEL_SERVICE=mymaster".to_owned(),
        "REDIS_USERNAME=leasehold".to_owned(),
        format!("REDIS_PASSWORD={PASSWORD}"),
        "LOCK_TTL=2s".to_owned(),
        "LOCK_MAX_TTL=2s".to_owned(),
    ];
    if layout == Layout::Tls {
        lines.push("REDIS_TLS_ENABLED=true".to_owned());
        lines.push("REDIS_TLS_CA_FILE=docker/tls/ca.crt".to_owned());
    }
    lines.join("\n") + "\n"
}

/// Ports that nobody listens at; all are held at once so that they differ.
pub(super) fn free_ports() -> Result<[[u16; 3]; 3], Box<dyn Error + Send + Sync>> {
    let mut held = Vec::new();
    let mut ports = [[0; 3]; 3];
    for port in ports.iter_mut().flatten() {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}
