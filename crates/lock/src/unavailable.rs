//! Why Redis or its Sentinels could not be used, one cause at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use leasehold_config::Endpoint;

/// An infrastructure failure: its cause, the node it happened on, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    node: Option<Endpoint>,
    part: Part,
    cause: Cause,
}

/// What part a node plays, which decides where its address and credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The configured server.
    Server,
    /// A configured or discovered Sentinel.
    Sentinel,
    /// The master that the Sentinels name.
    Master,
}

impl Unavailable {
    pub(crate) fn new(cause: Cause) -> Self {
        Self {
            node: None,
            part: Part::Server,
            cause,
        }
    }

    pub(crate) fn on(node: &Endpoint, cause: Cause) -> Self {
        Self {
            node: Some(node.clone()),
            part: Part::Server,
            cause,
        }
    }

    pub(crate) fn on_sentinel(sentinel: &Endpoint, cause: Cause) -> Self {
        Self {
            part: Part::Sentinel,
            ..Self::on(sentinel, cause)
        }
    }

    /// Tells that the node, unless it is a Sentinel, is the master that the Sentinels name.
    pub(crate) fn of_named_master(mut self) -> Self {
        if self.node.is_some() && self.part == Part::Server {
            self.part = Part::Master;
        }
        self
    }

    fn advice(&self) -> &'static str {
        match (self.part, &self.cause) {
            (Part::Sentinel, Cause::NoPassword) => {
                "set REDIS_SENTINEL_PASSWORD, and REDIS_SENTINEL_USERNAME unless the user is \
                 `default`"
            }
            (Part::Sentinel, Cause::WrongPassword) => {
                "correct REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD (default: \
                 REDIS_PASSWORD)"
            }
            (Part::Sentinel, Cause::NoPermission { .. }) => {
                "give the user of the Sentinels +sentinel|master, \
                 +sentinel|get-master-addr-by-name, +sentinel|sentinels, +sentinel|myid and \
                 +subscribe"
            }
            (
                Part::Master,
                Cause::Refused | Cause::Unreachable { .. } | Cause::ConnectTimeout { .. },
            ) => {
                "wait for the Sentinels to name another, or start it; if they name an address that \
                 cannot be reached from here, set REDIS_ADDRESS_MAP"
            }
            (_, cause) => cause.advice(),
        }
    }

    /// The node that failed, where the failure belongs to one.
    #[must_use]
    pub fn node(&self) -> Option<&Endpoint> {
        self.node.as_ref()
    }

    /// What failed.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Whether the same call may succeed later without anything being changed by hand.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.cause.is_retryable()
    }
}

impl std::error::Error for Unavailable {}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.node, self.part) {
            (None, _) => {}
            (Some(node), Part::Server) => write!(f, "{node}: ")?,
            (Some(node), Part::Sentinel) => write!(f, "Sentinel {node}: ")?,
            (Some(node), Part::Master) => write!(f, "master {node}: ")?,
        }
        write!(f, "{}; {}", self.cause, self.advice())
    }
}

/// One cause of an infrastructure failure.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing listens at the address.
    Refused,
    /// The host name could not be resolved, or the network refused the connection.
    Unreachable {
        /// What the operating system said.
        detail: String,
    },
    /// No connection came about in time.
    ConnectTimeout {
        /// The limit that passed.
        after: Duration,
    },
    /// A command was sent and no reply came in time.
    Timeout {
        /// The limit that passed.
        after: Duration,
    },
    /// The connection ended.
    Disconnected,
    /// It took the connection and closed it before it answered anything.
    ClosedUnanswered,
    /// It took the connection and left the TLS handshake unanswered.
    NoTlsAnswer {
        /// The limit that passed.
        after: Duration,
    },
    /// TLS could not be set up.
    Tls {
        /// What the TLS library said.
        detail: String,
    },
    /// The server wants a password and none was given (`NOAUTH`).
    NoPassword,
    /// The server refused the user name or password (`WRONGPASS`).
    WrongPassword,
    /// The user may not run a command or use a key or channel (`NOPERM`).
    NoPermission {
        /// What the server said.
        detail: String,
    },
    /// The node is a replica and takes no writes (`READONLY`).
    ReadOnly,
    /// The node refuses writes because it cannot save to disk (`MISCONF`).
    DiskError,
    /// The node has no memory left for writes (`OOM`).
    OutOfMemory,
    /// The node is still loading its data (`LOADING`).
    Loading,
    /// The node is blocked by a slow script (`BUSY`).
    Busy,
    /// The cluster cannot serve the slot (`CLUSTERDOWN`).
    ClusterDown,
    /// The node has fewer healthy replicas than `min-replicas-to-write` (`NOREPLICAS`).
    NoReplicas,
    /// The replica lost its master (`MASTERDOWN`).
    MasterDown,
    /// The server has no connection left (`maxclients`).
    TooManyClients,
    /// The key holds something other than a lock (`WRONGTYPE`).
    WrongType,
    /// The configured node is a replica.
    IsReplica {
        /// The master it follows.
        master: String,
    },
    /// The configured node is a Sentinel.
    IsSentinel,
    /// The configured Sentinel is a plain Redis.
    IsNotSentinel,
    /// The server does not have the configured database.
    NoDatabase {
        /// The number of the database.
        database: u32,
        /// What the server said.
        detail: String,
    },
    /// The server is older than 6.2 or lacks something that the SDK needs.
    TooOld {
        /// What is missing.
        detail: String,
    },
    /// None of the Sentinels could be asked.
    NoSentinelReachable {
        /// Each Sentinel and why it could not be asked.
        sentinels: Arc<[(Endpoint, Cause)]>,
    },
    /// Too few Sentinels answered to be sure of the master.
    NoSentinelMajority {
        /// Sentinels that named a master.
        answered: usize,
        /// A majority of the known Sentinels.
        needed: usize,
        /// The Sentinels that did not, and why.
        silent: Arc<[(Endpoint, Cause)]>,
    },
    /// The Sentinels know no master of that name.
    UnknownMaster {
        /// The name that was asked for.
        service: String,
    },
    /// The Sentinels name different masters, as they do for a moment during a failover.
    SentinelsDisagree {
        /// Which Sentinel names which master.
        views: String,
    },
    /// The node that the Sentinels name does not act as a master yet.
    NotMasterYet,
    /// The Sentinels name another master now.
    Superseded {
        /// The other master.
        by: Endpoint,
    },
    /// No majority of the Sentinels confirmed the master for so long that another may exist.
    MasterUnconfirmed {
        /// For how long.
        since: Duration,
    },
    /// The hash slot lives on another node of the cluster (`MOVED`).
    Moved {
        /// Where.
        to: Endpoint,
    },
    /// The key is on its way to another node of the cluster (`ASK`).
    Ask {
        /// Where to.
        to: Endpoint,
    },
    /// The keys of the operation are on their way and not all there yet (`TRYAGAIN`).
    TryAgain,
    /// The keys of one resource would live on different nodes of the cluster.
    CrossSlot,
    /// Too few of the independent masters can be asked.
    NoQuorum {
        /// Members that answered as hoped.
        answered: usize,
        /// A majority of the members.
        needed: usize,
        /// Members that did not answer, and why.
        silent: Arc<[(Endpoint, Cause)]>,
    },
    /// There is no connection yet.
    Connecting,
    /// The server answered something that Redis never answers.
    Protocol {
        /// What was expected and what came.
        detail: String,
    },
    /// Any other error of the server.
    Server {
        /// What the server said.
        detail: String,
    },
}

impl Cause {
    /// Whether waiting can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        !matches!(
            self,
            Self::NoPassword
                | Self::WrongPassword
                | Self::NoPermission { .. }
                | Self::Tls { .. }
                | Self::WrongType
                | Self::CrossSlot
                | Self::IsReplica { .. }
                | Self::IsSentinel
                | Self::IsNotSentinel
                | Self::NoDatabase { .. }
                | Self::TooOld { .. }
                | Self::UnknownMaster { .. }
                | Self::Protocol { .. }
                | Self::Server { .. }
        )
    }

    /// Whether another node may serve what this one could not.
    pub(crate) fn is_about_the_node(&self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::Unreachable { .. }
                | Self::ConnectTimeout { .. }
                | Self::Timeout { .. }
                | Self::Disconnected
                | Self::Connecting
                | Self::ReadOnly
                | Self::MasterDown
                | Self::ClusterDown
                | Self::IsReplica { .. }
                | Self::NotMasterYet
        )
    }

    /// What to do now.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Refused => "start the server there, or correct REDIS_HOST and REDIS_PORT",
            Self::Unreachable { .. } => "check the host name, DNS and the network",
            Self::ConnectTimeout { .. } => {
                "check that host and port are right, that no firewall drops the packets, and that \
                 the server is not stopped or overloaded"
            }
            Self::Timeout { .. } => "check whether the server is stopped, swapping or overloaded",
            Self::Disconnected => {
                "the SDK reconnects by itself; look into the server's log if it repeats"
            }
            Self::ClosedUnanswered => {
                "if it repeats: does this port want TLS (REDIS_TLS_ENABLED=true, \
                 REDIS_SENTINEL_TLS_ENABLED=true for a Sentinel)?"
            }
            Self::NoTlsAnswer { .. } => {
                "does this port speak TLS? If not, use its TLS port or unset REDIS_TLS_ENABLED \
                 (REDIS_SENTINEL_TLS_ENABLED=false for a Sentinel)"
            }
            Self::Tls { .. } => {
                "check REDIS_TLS_ENABLED, the CA file, the certificate's names and dates"
            }
            Self::NoPassword => {
                "set REDIS_PASSWORD, and REDIS_USERNAME unless the user is `default`"
            }
            Self::WrongPassword => "correct REDIS_USERNAME and REDIS_PASSWORD",
            Self::NoPermission { .. } => {
                "give the user the rules of config/users.acl (ACL SETUSER)"
            }
            Self::ReadOnly | Self::MasterDown | Self::NotMasterYet | Self::Superseded { .. } => {
                "the SDK looks for the master again by itself"
            }
            Self::DiskError => {
                "free the disk or mend its permissions; Redis refuses writes until a save succeeds"
            }
            Self::OutOfMemory => {
                "raise maxmemory or remove data, and keep maxmemory-policy noeviction"
            }
            Self::Loading => "wait until it has loaded its data",
            Self::Busy => "find the slow script in SLOWLOG; SCRIPT KILL ends it",
            Self::ClusterDown => {
                "bring the missing masters back; CLUSTER INFO tells which slots fail"
            }
            Self::NoReplicas => "bring its replicas back or lower min-replicas-to-write",
            Self::TooManyClients => "raise maxclients or find who leaks connections (CLIENT LIST)",
            Self::WrongType => "choose another resource name or LOCK_KEY_PREFIX: the key is in use",
            Self::IsReplica { .. } => {
                "point REDIS_HOST at the master, or set REDIS_SENTINEL_HOSTS and let the SDK find it"
            }
            Self::IsSentinel => "put this address into REDIS_SENTINEL_HOSTS instead of REDIS_HOST",
            Self::IsNotSentinel => {
                "put Sentinel addresses (port 26379 as a rule) into REDIS_SENTINEL_HOSTS"
            }
            Self::NoDatabase { .. } => {
                "set REDIS_DB to 0, or to one below its `databases` (16 by default)"
            }
            Self::TooOld { .. } => "use Redis 6.2 or newer, or Valkey",
            Self::NoSentinelReachable { .. } => {
                "start the Sentinels or correct REDIS_SENTINEL_HOSTS"
            }
            Self::NoSentinelMajority { .. } => {
                "bring the others back; if they are gone for good, SENTINEL RESET makes the rest \
                 forget them"
            }
            Self::UnknownMaster { .. } => {
                "correct REDIS_SENTINEL_SERVICE; SENTINEL MASTERS lists the known names"
            }
            Self::SentinelsDisagree { .. } => {
                "wait for the failover to end; if it lasts, compare SENTINEL MASTER on each of them"
            }
            Self::MasterUnconfirmed { .. } => {
                "bring a majority of the Sentinels back; held leases are still renewed"
            }
            Self::Moved { .. } | Self::Ask { .. } | Self::TryAgain => {
                "the SDK follows by itself; see CLUSTER SLOTS if it lasts"
            }
            Self::CrossSlot => "give the name a hash tag, as in {gpu}:render",
            Self::NoQuorum { .. } => "bring the missing nodes back",
            Self::Connecting => "wait for the connection",
            Self::Protocol { .. } => {
                "check that a Redis server listens there, that it does not want TLS, and that \
                 nothing rewrites its replies"
            }
            Self::Server { .. } => "see what the server said",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => write!(f, "the connection was refused"),
            Self::Unreachable { detail } => write!(f, "the address cannot be reached ({detail})"),
            Self::ConnectTimeout { after } => write!(f, "no connection within {after:?}"),
            Self::Timeout { after } => write!(f, "no reply within {after:?}"),
            Self::Disconnected => write!(f, "the connection ended"),
            Self::ClosedUnanswered => write!(f, "it closed the connection before it answered"),
            Self::NoTlsAnswer { after } => {
                write!(f, "it left the TLS handshake unanswered for {after:?}")
            }
            Self::Tls { detail } => write!(f, "TLS failed ({detail})"),
            Self::NoPassword => write!(f, "it wants a password and none is configured (NOAUTH)"),
            Self::WrongPassword => write!(f, "it refused the user name or password (WRONGPASS)"),
            Self::NoPermission { detail } => write!(f, "the user lacks a permission ({detail})"),
            Self::ReadOnly => write!(f, "it is a replica and takes no writes (READONLY)"),
            Self::DiskError => write!(
                f,
                "it refuses writes because it cannot save to disk (MISCONF)"
            ),
            Self::OutOfMemory => write!(f, "it has no memory left for writes (OOM)"),
            Self::Loading => write!(f, "it is still loading its data (LOADING)"),
            Self::Busy => write!(f, "it is blocked by a slow script (BUSY)"),
            Self::ClusterDown => write!(f, "the cluster cannot serve the key (CLUSTERDOWN)"),
            Self::NoReplicas => write!(
                f,
                "it has too few healthy replicas to take writes (NOREPLICAS)"
            ),
            Self::MasterDown => write!(f, "it is a replica that lost its master (MASTERDOWN)"),
            Self::TooManyClients => write!(f, "it has no connection left (maxclients)"),
            Self::WrongType => write!(f, "the key holds something other than a lock (WRONGTYPE)"),
            Self::IsReplica { master } => write!(f, "it is a replica of {master}"),
            Self::IsSentinel => write!(f, "it is a Sentinel and holds no data"),
            Self::IsNotSentinel => write!(f, "it is no Sentinel"),
            Self::NoDatabase { database, detail } => {
                write!(f, "it has no database {database} ({detail})")
            }
            Self::TooOld { detail } => write!(f, "the server is too old ({detail})"),
            Self::NoSentinelReachable { sentinels } => {
                write!(f, "no Sentinel can be reached ({})", each(sentinels))
            }
            Self::NoSentinelMajority {
                answered,
                needed,
                silent,
            } => {
                let name = if *answered == 1 {
                    "Sentinel names"
                } else {
                    "Sentinels name"
                };
                write!(f, "only {answered} {name} a master and {needed} are needed")?;
                match &**silent {
                    [] => Ok(()),
                    silent => write!(f, " ({})", each(silent)),
                }
            }
            Self::UnknownMaster { service } => {
                write!(
                    f,
                    "the Sentinels know no master named `{}`",
                    service.escape_debug()
                )
            }
            Self::SentinelsDisagree { views } => write!(f, "the Sentinels disagree ({views})"),
            Self::NotMasterYet => write!(f, "the Sentinels name it but it is no master yet"),
            Self::Superseded { by } => write!(f, "the Sentinels name {by} as the master now"),
            Self::MasterUnconfirmed { since } => write!(
                f,
                "no majority of the Sentinels confirmed the master for {since:.1?}, so another may exist"
            ),
            Self::Moved { to } => write!(f, "the hash slot lives on {to} (MOVED)"),
            Self::Ask { to } => write!(f, "the key is on its way to {to} (ASK)"),
            Self::TryAgain => write!(f, "the keys are on their way to another node (TRYAGAIN)"),
            Self::CrossSlot => {
                write!(
                    f,
                    "the slots of this resource would live on different nodes of the cluster"
                )
            }
            Self::NoQuorum {
                answered,
                needed,
                silent,
            } => write!(
                f,
                "only {answered} members answered and {needed} are needed ({})",
                each(silent)
            ),
            Self::Connecting => write!(f, "there is no connection yet"),
            Self::Protocol { detail } => {
                write!(f, "it answered what Redis never answers ({detail})")
            }
            Self::Server { detail } => write!(f, "the server refused ({detail})"),
        }
    }
}

fn each(sentinels: &[(Endpoint, Cause)]) -> String {
    let shown: Vec<String> = sentinels
        .iter()
        .map(|(endpoint, cause)| format!("{endpoint}: {cause}"))
        .collect();
    shown.join("; ")
}

/// Server text that is put into a message: one line, bounded, nothing that moves a cursor.
pub(crate) fn printable(text: &str) -> String {
    const SHOWN: usize = 200;
    let mut shown = String::new();
    for character in text.chars().take(SHOWN) {
        match character {
            // Harmless, and easier to read as the server wrote them.
            '\'' | '"' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
