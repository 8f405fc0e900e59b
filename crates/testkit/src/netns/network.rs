//! Hosts on a switch, and the faults between them.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{FEATURE, Host, INSTALL_IPTABLES, available, ip};
use crate::{
    binary,
    error::{Error, Result},
    port::{hold, random},
};

const MOST_HOSTS: usize = 200;

/// Several hosts on one switch; see the [module](super).
///
/// The hosts are removed when this is dropped; whatever still runs on them is then cut off. Those of a test process that
/// was killed are removed by the next one that makes a network.
#[derive(Debug)]
pub struct Network {
    /// Begins the name of each namespace; holds the process id, so that others can tell whether it is still in use.
    prefix: String,
    hosts: Vec<Host>,
    outside: String,
    _subnet: fs::File,
}

impl Network {
    /// Makes this many hosts and joins them.
    ///
    /// # Errors
    ///
    /// Those of [`available`], and [`Error::Program`] when a step of the set-up fails.
    pub fn start(hosts: usize) -> Result<Self> {
        static NETWORKS: AtomicUsize = AtomicUsize::new(0);
        if hosts > MOST_HOSTS {
            return Err(Error::Unavailable {
                feature: FEATURE,
                reason: format!("more than {MOST_HOSTS} hosts"),
            });
        }
        available()?;
        sweep();
        let (subnet, held) = free_subnet()?;
        let number = NETWORKS.fetch_add(1, Ordering::SeqCst);
        let prefix = format!("lh{}n{number}", std::process::id());
        let outside = format!("{subnet}.1");
        let mut network = Self {
            prefix,
            hosts: Vec::new(),
            outside,
            _subnet: held,
        };
        network.make_switch()?;
        for index in 0..hosts {
            network.add_host(index, &subnet)?;
        }
        Ok(network)
    }

    /// All hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// One host.
    ///
    /// # Panics
    ///
    /// When there are not that many.
    #[must_use]
    pub fn host(&self, index: usize) -> &Host {
        &self.hosts[index]
    }

    /// The address at which the hosts reach the test process.
    #[must_use]
    pub fn outside_address(&self) -> &str {
        &self.outside
    }

    /// Stops all packets between hosts of different groups. Hosts in no group, and the test process, reach everybody.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when a firewall rule cannot be set.
    pub fn partition(&self, groups: &[&[usize]]) -> Result<()> {
        for (number, group) in groups.iter().enumerate() {
            for (_, other) in groups
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != number)
            {
                for (from, to) in group
                    .iter()
                    .flat_map(|from| other.iter().map(move |to| (*from, *to)))
                {
                    self.cut(from, to)?;
                }
            }
        }
        Ok(())
    }

    /// Stops all packets in one direction; those in the other arrive.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when the firewall rule cannot be set.
    pub fn cut(&self, from: usize, to: usize) -> Result<()> {
        self.rule(
            to,
            &["INPUT", "-s", self.host(from).address(), "-j", "DROP"],
        )
    }

    /// Stops all packets between a host and the test process, in both directions.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when a firewall rule cannot be set.
    pub fn cut_off(&self, host: usize) -> Result<()> {
        self.rule(host, &["INPUT", "-s", &self.outside, "-j", "DROP"])?;
        self.rule(host, &["OUTPUT", "-d", &self.outside, "-j", "DROP"])
    }

    /// Loses packets at random in one direction; `share` is between 0 and 1.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when the firewall rule cannot be set.
    pub fn lose(&self, from: usize, to: usize, share: f64) -> Result<()> {
        let (source, share) = (self.host(from).address(), format!("{share:.4}"));
        let random = [
            "-m",
            "statistic",
            "--mode",
            "random",
            "--probability",
            &share,
        ];
        self.rule(
            to,
            &[&["INPUT", "-s", source], &random[..], &["-j", "DROP"]].concat(),
        )
    }

    /// Ends all faults.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when the firewall rules cannot be removed.
    pub fn heal(&self) -> Result<()> {
        (0..self.hosts.len()).try_for_each(|host| self.iptables(host, &["--flush"]))
    }

    /// The switch has a namespace of its own, where no firewall of the machine can interfere.
    fn make_switch(&self) -> Result<()> {
        let switch = format!("{}sw", self.prefix);
        ip(&["netns", "add", &switch])?;
        ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"])?;
        ip(&["-n", &switch, "link", "set", "switch", "up"])?;
        let own = &self.prefix;
        ip(&[
            "link", "add", own, "type", "veth", "peer", "name", "outside", "netns", &switch,
        ])?;
        ip(&[
            "-n", &switch, "link", "set", "outside", "master", "switch", "up",
        ])?;
        ip(&[
            "address",
            "add",
            &format!("{}/24", self.outside),
            "dev",
            own,
        ])?;
        ip(&["link", "set", own, "up"])
    }

    fn add_host(&mut self, index: usize, subnet: &str) -> Result<()> {
        let (switch, namespace) = (
            format!("{}sw", self.prefix),
            format!("{}h{index}", self.prefix),
        );
        let (address, port) = (format!("{subnet}.{}", index + 2), format!("port{index}"));
        ip(&["netns", "add", &namespace])?;
        self.hosts.push(Host {
            namespace: Some(namespace.clone()),
            address: address.clone(),
        });
        ip(&[
            "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns",
            &namespace,
        ])?;
        ip(&[
            "-n", &switch, "link", "set", &port, "master", "switch", "up",
        ])?;
        ip(&[
            "-n",
            &namespace,
            "address",
            "add",
            &format!("{address}/24"),
            "dev",
            "eth0",
        ])?;
        ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", &namespace, "link", "set", "lo", "up"])
    }

    fn rule(&self, host: usize, words: &[&str]) -> Result<()> {
        self.iptables(host, &[&["--append"], words].concat())
    }

    fn iptables(&self, host: usize, words: &[&str]) -> Result<()> {
        let iptables = binary::require("iptables", INSTALL_IPTABLES)?;
        let namespace = self.host(host).namespace.as_deref().unwrap_or_default();
        ip(&[
            &[
                "netns",
                "exec",
                namespace,
                &iptables.to_string_lossy(),
                "--wait",
            ],
            words,
        ]
        .concat())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&self.prefix);
    }
}

/// A network of addresses that no other test holds, in a range that few machines use.
fn free_subnet() -> Result<(String, fs::File)> {
    let start = random();
    for step in 0..256 {
        let subnet = format!("10.213.{}", start.wrapping_add(step) % 256);
        if let Some(held) = hold(&subnet)? {
            return Ok((subnet, held));
        }
    }
    Err(Error::Unavailable {
        feature: FEATURE,
        reason: "all its addresses are in use".to_owned(),
    })
}

/// Deletes the namespaces of one network, and its interfaces with them.
fn remove(prefix: &str) {
    for name in namespaces().filter(|name| name.strip_prefix(prefix).is_some_and(is_part)) {
        let _ = ip(&["netns", "delete", &name]);
    }
    // Gone with its other end by now, unless setting up broke off early.
    let _ = ip(&["link", "delete", prefix]);
}

/// Removes what killed test processes have left.
fn sweep() {
    for name in namespaces() {
        let Some(rest) = name.strip_prefix("lh") else {
            continue;
        };
        let owner: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if !owner.is_empty() && !Path::new("/proc").join(owner).exists() {
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

/// Whether this is what follows a network's prefix, and not further digits of another network's.
fn is_part(rest: &str) -> bool {
    rest == "sw" || rest.starts_with('h')
}

fn namespaces() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}
