//! The list of causes: the code, the kind, the message and the fix of each, in one entry.

use std::sync::Arc;
use std::time::Duration;

use leasehold_config::Endpoint;

use super::table::{CauseKind, causes};

causes! {
    /// Nothing listens at the address.
    Refused => "refused", Node, ["the connection was refused"],
        "start the server there, or correct its address (REDIS_HOST and REDIS_PORT, or REDIS_URL)";

    /// The host name could not be resolved, or the network refused the connection.
    Unreachable {
        /// What the operating system said.
        detail: String = "no route to host".into(),
    } => "unreachable", Node, ["the address cannot be reached ({detail})"],
        "check the host name, DNS and the network";

    /// No connection came about in time.
    ConnectTimeout {
        /// The limit that passed.
        after: Duration = Duration::from_secs(2),
    } => "connect-timeout", Node, ["no connection within {after:?}"],
        "check that host and port are right, that no firewall drops the packets, and that the \
         server is not stopped or overloaded";

    /// A command was sent and no reply came in time.
    Timeout {
        /// The limit that passed.
        after: Duration = Duration::from_secs(2),
    } => "timeout", Node, ["no reply within {after:?}"],
        "check whether the server is stopped, swapping or overloaded";

    /// The connection ended.
    Disconnected => "disconnected", Node, ["the connection ended"],
        "the SDK reconnects by itself; look into the server's log if it repeats";

    /// It took the connection and closed it before it answered anything.
    ClosedUnanswered => "closed-unanswered", Passing,
        ["it closed the connection before it answered"],
        "if it repeats: does this port want TLS (REDIS_TLS_ENABLED=true, \
         REDIS_SENTINEL_TLS_ENABLED=true for a Sentinel)?";

    /// It took the connection and left the TLS handshake unanswered.
    NoTlsAnswer {
        /// The limit that passed.
        after: Duration = Duration::from_secs(1),
    } => "no-tls-answer", Passing, ["it left the TLS handshake unanswered for {after:?}"],
        "does this port speak TLS? If not, use its TLS port or unset REDIS_TLS_ENABLED \
         (REDIS_SENTINEL_TLS_ENABLED=false for a Sentinel)";

    /// TLS could not be set up.
    Tls {
        /// What the TLS library said.
        detail: String = "the server's certificate has expired".into(),
    } => "tls", Setup, ["TLS failed ({detail})"],
        "check REDIS_TLS_ENABLED, the CA file, the certificate's names and dates";

    /// The server wants a password and none was given (`NOAUTH`).
    NoPassword => "no-password", Setup, ["it wants a password and none is configured (NOAUTH)"],
        "set REDIS_PASSWORD, and REDIS_USERNAME unless the user is `default`";

    /// The server refused the user name or password (`WRONGPASS`).
    WrongPassword => "wrong-password", Setup,
        ["it refused the user name or password (WRONGPASS)"],
        "correct REDIS_USERNAME and REDIS_PASSWORD";

    /// The user may not run a command or use a key or channel (`NOPERM`).
    NoPermission {
        /// What the server said.
        detail: String = "User worker has no permissions to run the 'evalsha' command".into(),
    } => "no-permission", Setup, ["the user lacks a permission ({detail})"],
        "give the user the rules of config/users.acl (ACL SETUSER)";

    /// The server does not know a command that every Redis has: it was renamed or disabled.
    CommandDisabled {
        /// The command, in capitals.
        command: String = "EVALSHA".into(),
    } => "command-disabled", Setup, ["it refuses the command {command} (unknown command)"],
        command_fix(command);

    /// The node is a replica and takes no writes (`READONLY`).
    ReadOnly => "read-only", Node, ["it is a replica and takes no writes (READONLY)"],
        LOOKS_AGAIN;

    /// The node refuses writes because it cannot save to disk (`MISCONF`).
    DiskError => "disk-error", Passing,
        ["it refuses writes because it cannot save to disk (MISCONF)"],
        "free the disk or fix its permissions; Redis refuses writes until a save succeeds";

    /// The node has no memory left for writes (`OOM`).
    OutOfMemory => "out-of-memory", Passing, ["it has no memory left for writes (OOM)"],
        "raise maxmemory or remove data, and keep maxmemory-policy noeviction";

    /// The node is still loading its data (`LOADING`).
    Loading => "loading", Passing, ["it is still loading its data (LOADING)"],
        "wait until it has loaded its data";

    /// The node is blocked by a slow script (`BUSY`).
    Busy => "busy", Passing, ["it is blocked by a slow script (BUSY)"],
        "find the slow script in SLOWLOG; SCRIPT KILL ends it";

    /// The cluster cannot serve the slot (`CLUSTERDOWN`).
    ClusterDown => "cluster-down", Node, ["the cluster cannot serve the key (CLUSTERDOWN)"],
        "bring the missing masters back; CLUSTER INFO tells which slots fail";

    /// The node has fewer healthy replicas than `min-replicas-to-write` (`NOREPLICAS`).
    NoReplicas => "no-replicas", Passing,
        ["it has too few healthy replicas to take writes (NOREPLICAS)"],
        "bring its replicas back or lower min-replicas-to-write";

    /// The replica lost its master (`MASTERDOWN`).
    MasterDown => "master-down", Node, ["it is a replica that lost its master (MASTERDOWN)"],
        LOOKS_AGAIN;

    /// The server has no connection left (`maxclients`).
    TooManyClients => "too-many-clients", Passing, ["it has no connection left (maxclients)"],
        "raise maxclients or find who leaks connections (CLIENT LIST)";

    /// The server serves nobody from another machine, because it has no password (`DENIED`).
    ProtectedMode => "protected-mode", Setup,
        ["it has no password and serves only its own machine (protected mode)"],
        "give the server users and passwords (config/users.acl, requirepass), then set REDIS_PASSWORD";

    /// Other clients of this Redis use strict mode, and this one does not.
    StrictClients {
        /// The record of strict mode's gate.
        key: String = "leasehold:gate".to_owned(),
    } => "strict-clients", Setup,
        ["other clients use strict mode here (the key {key} exists), and this one is relaxed"],
        "set LOCK_SAFETY=strict for all clients of this Redis; if none is strict any more, delete that key; \
         LOCK_ALLOW_MIXED_SAFETY=true accepts that a failover may leave a strict and a relaxed holder";

    /// The key holds something other than a lock (`WRONGTYPE`).
    WrongType => "wrong-type", Setup,
        ["the key holds something other than a lock (WRONGTYPE)"],
        "choose another resource name or LOCK_KEY_PREFIX: the key is in use";

    /// The configured node is a replica.
    IsReplica {
        /// The master it follows.
        master: String = "10.0.0.7:6379".into(),
    } => "is-replica", WrongNode, ["it is a replica of {master}"],
        "point REDIS_HOST at the master, or set REDIS_SENTINEL_HOSTS and let the SDK find it";

    /// The configured node is a Sentinel.
    IsSentinel => "is-sentinel", Setup, ["it is a Sentinel and holds no data"],
        "put this address into REDIS_SENTINEL_HOSTS instead of REDIS_HOST";

    /// The configured Sentinel is a plain Redis.
    IsNotSentinel => "is-not-sentinel", Setup, ["it is no Sentinel"],
        "put Sentinel addresses (port 26379 as a rule) into REDIS_SENTINEL_HOSTS";

    /// The server does not have the configured database.
    NoDatabase {
        /// The number of the database.
        database: u32 = 99,
        /// What the server said.
        detail: String = "ERR DB index is out of range".into(),
    } => "no-database", Setup, ["it has no database {database} ({detail})"],
        "set REDIS_DB to 0, or to one below its `databases` (16 by default)";

    /// The server is older than 6.2 or lacks something that the SDK needs.
    TooOld {
        /// What is missing.
        detail: String = "version 5.0.14".into(),
    } => "too-old", Setup, ["the server is too old ({detail})"],
        "use Redis 6.2 or newer, or Valkey";

    /// None of the Sentinels could be asked.
    NoSentinelReachable {
        /// Each Sentinel and why it could not be asked.
        sentinels: Arc<[(Endpoint, Cause)]> = one_refused(),
    } => "no-sentinel-reachable", Passing, ["no Sentinel can be reached ({})", each(sentinels)],
        "start the Sentinels or correct REDIS_SENTINEL_HOSTS";

    /// Too few Sentinels answered to be sure of the master.
    NoSentinelMajority {
        /// Sentinels that named a master.
        answered: usize = 1,
        /// A majority of the known Sentinels.
        needed: usize = 2,
        /// The Sentinels that did not, and why.
        silent: Arc<[(Endpoint, Cause)]> = one_refused(),
        /// Whether some of the silent ones are not configured, but were announced by the others.
        announced: bool = false,
    } => "no-sentinel-majority", Passing,
        [
            "only {answered} {} a master and {needed} are needed{}",
            if *answered == 1 { "Sentinel names" } else { "Sentinels name" },
            bracketed(silent)
        ],
        majority_fix(silent, *announced);

    /// A Sentinel that was found through the others may be one of another group, which has got the
    /// address of one that moved.
    ForeignSentinel {
        /// The master that it names.
        named: Endpoint = Endpoint::new("10.9.0.7", 6379),
    } => "foreign-sentinel", Passing,
        ["it names {named}, and no configured Sentinel confirms that it belongs to its group"],
        FOREIGN;

    /// The Sentinels know no master of that name.
    UnknownMaster {
        /// The name that was asked for.
        service: String = "mymaster".into(),
    } => "unknown-master", Setup,
        ["the Sentinels know no master named `{}`", service.escape_debug()],
        "correct REDIS_SENTINEL_SERVICE; SENTINEL MASTERS lists the known names";

    /// The Sentinels name different masters, as they do for a moment during a failover.
    SentinelsDisagree {
        /// Which Sentinel names which master.
        views: String = "10.0.0.4:26379 names 10.0.0.7:6379 at epoch 4".into(),
    } => "sentinels-disagree", Passing, ["the Sentinels disagree ({views})"],
        "wait for the failover to end; if it lasts, compare SENTINEL MASTER on each of them";

    /// The Sentinels name another master at a lower configuration epoch than before, as they do
    /// after they lost their configuration: it may be one that was deposed and still takes writes.
    EpochWentBack {
        /// The master that they name.
        named: Endpoint = Endpoint::new("10.0.0.7", 6379),
        /// The epoch that they name.
        epoch: u64 = 0,
        /// The highest epoch that they named before.
        before: u64 = 4,
    } => "epoch-went-back", Passing,
        [
            "the Sentinels name {named} at epoch {epoch} and named another master at epoch {before} \
             before, so it may be a deposed one"
        ],
        "wait if they have just restarted; if they lost their configuration for good, make sure \
         that there is one master only (INFO replication), then restart this program";

    /// The node that the Sentinels name does not act as a master yet.
    NotMasterYet => "not-master-yet", Node, ["the Sentinels name it but it is no master yet"],
        LOOKS_AGAIN;

    /// The Sentinels name another master now.
    Superseded {
        /// The other master.
        by: Endpoint = Endpoint::new("10.0.0.8", 6379),
    } => "superseded", Passing, ["the Sentinels name {by} as the master now"], LOOKS_AGAIN;

    /// No majority of the Sentinels confirmed the master for so long that another may exist.
    MasterUnconfirmed {
        /// For how long.
        since: Duration = Duration::from_secs(35),
    } => "master-unconfirmed", Passing,
        [
            "no majority of the Sentinels confirmed the master for {since:.1?}, so another may exist"
        ],
        "bring a majority of the Sentinels back; held leases are still renewed";

    /// The hash slot lives on another node of the cluster (`MOVED`).
    Moved {
        /// Where.
        to: Endpoint = Endpoint::new("10.0.0.8", 6379),
    } => "moved", Passing, ["the hash slot lives on {to} (MOVED)"], FOLLOWS;

    /// The key is on its way to another node of the cluster (`ASK`).
    Ask {
        /// Where to.
        to: Endpoint = Endpoint::new("10.0.0.8", 6379),
    } => "ask", Passing, ["the key is on its way to {to} (ASK)"], FOLLOWS;

    /// The keys of the operation are on their way and not all there yet (`TRYAGAIN`).
    TryAgain => "try-again", Passing, ["the keys are on their way to another node (TRYAGAIN)"],
        FOLLOWS;

    /// The keys of one resource would live on different nodes of the cluster.
    CrossSlot => "cross-slot", Setup,
        ["the slots of this resource would live on different nodes of the cluster"],
        "give the name a hash tag, as in {gpu}:render";

    /// Too few of the independent masters can be asked.
    NoQuorum {
        /// Members that answered as hoped.
        answered: usize = 1,
        /// A majority of the members.
        needed: usize = 2,
        /// Members that did not answer, and why.
        silent: Arc<[(Endpoint, Cause)]> = one_refused(),
    } => "no-quorum", Passing,
        ["only {answered} members answered and {needed} are needed ({})", each(silent)],
        "bring the missing nodes back";

    /// There is no connection yet.
    Connecting => "connecting", Node, ["there is no connection yet"], "wait for the connection";

    /// The server answered something that Redis never answers.
    Protocol {
        /// What was expected and what came.
        detail: String = "something other than the Redis protocol".into(),
    } => "protocol", Setup, ["it answered what Redis never answers ({detail})"],
        "check that a Redis server listens there, that it does not want TLS, and that nothing \
         rewrites its replies";

    /// Any other error of the server.
    Server {
        /// What the server said.
        detail: String = "ERR something that no other cause covers".into(),
    } => "server", Setup, ["the server refused ({detail})"], "see what the server said";
}

const FOREIGN: &str = "give each group of Sentinels a master name of its own, and list all Sentinels \
                       of the group in REDIS_SENTINEL_HOSTS";
const LOOKS_AGAIN: &str = "the SDK looks for the master again by itself";
const FOLLOWS: &str = "the SDK follows by itself; see CLUSTER SLOTS if it lasts";

impl Cause {
    /// Whether waiting can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), CauseKind::Node | CauseKind::Passing)
    }

    /// Whether another node may serve what this one could not.
    pub(crate) fn is_about_the_node(&self) -> bool {
        matches!(self.kind(), CauseKind::Node | CauseKind::WrongNode)
    }

    /// Whether the server refuses the command as such, to this user or to everybody.
    pub(crate) fn is_about_the_command(&self) -> bool {
        matches!(
            self,
            Self::NoPermission { .. } | Self::CommandDisabled { .. }
        )
    }

    /// The same as [`fix`](Self::fix).
    #[doc(hidden)]
    #[must_use]
    pub fn advice(&self) -> &'static str {
        self.fix()
    }
}

/// Some commands have a setting that does without them.
fn command_fix(command: &str) -> &'static str {
    match command {
        "SELECT" => "remove rename-command for it from redis.conf, or set REDIS_DB=0",
        "HELLO" => {
            "remove rename-command for it from redis.conf; a server older than Redis 6 does not \
             have it, and neither have some proxies: connect to the server itself"
        }
        "WAIT" => "remove rename-command for it from redis.conf, or set LOCK_SAFETY=relaxed",
        _ => {
            "remove rename-command for it from redis.conf, or connect to the server itself if a \
             proxy refuses it"
        }
    }
}

fn majority_fix(silent: &[(Endpoint, Cause)], announced: bool) -> &'static str {
    let is_foreign = |cause: &Cause| matches!(cause, Cause::ForeignSentinel { .. });
    if silent.iter().any(|(_, cause)| is_foreign(cause)) {
        FOREIGN
    } else if announced {
        "bring the others back; if they run and cannot be reached at the addresses that they \
         announce, set REDIS_ADDRESS_MAP or list all of them in REDIS_SENTINEL_HOSTS"
    } else {
        "bring the others back; if they are gone for good, SENTINEL RESET makes the rest forget them"
    }
}

/// Nodes with a cause each, as one piece of a message.
fn each(nodes: &[(Endpoint, Cause)]) -> String {
    let shown: Vec<String> = nodes
        .iter()
        .map(|(endpoint, cause)| format!("{endpoint}: {cause}"))
        .collect();
    shown.join("; ")
}

fn bracketed(silent: &[(Endpoint, Cause)]) -> String {
    match silent {
        [] => String::new(),
        silent => format!(" ({})", each(silent)),
    }
}

fn one_refused() -> Arc<[(Endpoint, Cause)]> {
    Arc::new([(Endpoint::new("10.0.0.4", 26379), Cause::Refused)])
}
