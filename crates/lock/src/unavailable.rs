//! Why Redis or its Sentinels could not be used, one cause at a time.

mod cause;
mod table;

use std::fmt;

use leasehold_config::Endpoint;

pub use self::cause::Cause;

/// An infrastructure failure: its cause, the node it happened on, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    node: Option<Endpoint>,
    part: Part,
    cause: Cause,
}

/// What part a node plays, which decides where its address and credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The one configured server.
    Server,
    /// A configured or discovered Sentinel.
    Sentinel,
    /// The master that the Sentinels name.
    Master,
    /// One of the independent masters.
    Member,
    /// A node of a Redis Cluster.
    ClusterNode,
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

    /// Says which part the node plays, unless it is a Sentinel.
    pub(crate) fn with_part(mut self, part: Part) -> Self {
        if self.node.is_some() && self.part == Part::Server {
            self.part = part;
        }
        self
    }

    /// What to do now. It knows which part the node plays, and so where its address and
    /// credentials are configured; [`Cause::fix`] does not.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        let is_refused = self.cause == Cause::Refused;
        let fix = match self.part {
            Part::Server => None,
            Part::Sentinel => fix_of_sentinel(&self.cause),
            Part::Master => fix_of_named_master(&self.cause),
            Part::Member => {
                is_refused.then_some("start the server there, or correct LOCK_REDLOCK_NODES")
            }
            Part::ClusterNode => {
                is_refused.then_some("start the node there, or correct REDIS_CLUSTER_NODES")
            }
        };
        fix.unwrap_or_else(|| self.cause.fix())
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
            (Some(node), Part::Sentinel) => write!(f, "Sentinel {node}: ")?,
            (Some(node), Part::Master) => write!(f, "master {node}: ")?,
            (Some(node), Part::Server | Part::Member | Part::ClusterNode) => write!(f, "{node}: ")?,
        }
        write!(f, "{}; {}", self.cause, self.fix())
    }
}

fn fix_of_sentinel(cause: &Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Refused => "start the Sentinel there, or correct REDIS_SENTINEL_HOSTS",
        Cause::NoPassword => {
            "set REDIS_SENTINEL_PASSWORD, and REDIS_SENTINEL_USERNAME unless the user is `default`"
        }
        Cause::WrongPassword => {
            "correct REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD (default: REDIS_PASSWORD)"
        }
        Cause::NoPermission { .. } => {
            "give the user of the Sentinels +sentinel|master, +sentinel|get-master-addr-by-name, \
             +sentinel|sentinels, +sentinel|replicas, +sentinel|myid and +subscribe"
        }
        _ => return None,
    })
}

fn fix_of_named_master(cause: &Cause) -> Option<&'static str> {
    let is_unreached = matches!(
        cause,
        Cause::Refused | Cause::Unreachable { .. } | Cause::ConnectTimeout { .. }
    );
    is_unreached.then_some(
        "wait for the Sentinels to name another, or start it; if they name an address that cannot \
         be reached from here, set REDIS_ADDRESS_MAP",
    )
}

/// Server text that is put into a message: one line, bounded, without secrets, and nothing that
/// moves a cursor.
pub(crate) fn printable(text: &str) -> String {
    const SHOWN: usize = 200;
    let text = without_secrets(text);
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

/// A server that refuses a command repeats its arguments, and one of them may be the token that
/// proves who holds a lock.
fn without_secrets(text: &str) -> String {
    const LEAST: usize = 32;
    let text = match text.split_once(", with args beginning with:") {
        Some((before, _)) => before,
        None => text,
    };
    let mut shown = String::with_capacity(text.len());
    let mut digits = String::new();
    for character in text.chars().chain(std::iter::once('\0')) {
        if character.is_ascii_hexdigit() {
            digits.push(character);
            continue;
        }
        let is_secret = digits.len() >= LEAST;
        shown.push_str(if is_secret { "[hidden]" } else { &digits });
        digits.clear();
        if character != '\0' {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_a_code_of_its_own_and_says_what_to_do() {
        let causes = Cause::examples();
        let codes: BTreeSet<&str> = causes.iter().map(Cause::code).collect();
        assert_eq!(codes.len(), causes.len());
        for cause in &causes {
            let (message, fix) = (cause.to_string(), cause.fix());
            assert!(!message.is_empty() && !fix.is_empty(), "{cause:?}");
            assert!(!message.ends_with('.') && !fix.ends_with('.'), "{cause:?}");
        }
    }

    #[test]
    fn a_fix_names_the_variable_of_the_part() {
        let node = Endpoint::new("redis-1", 6379);
        let fix = |part| Unavailable::on(&node, Cause::Refused).with_part(part).fix();
        assert!(fix(Part::Server).contains("REDIS_HOST"));
        assert!(fix(Part::Member).contains("LOCK_REDLOCK_NODES"));
        assert!(fix(Part::ClusterNode).contains("REDIS_CLUSTER_NODES"));
        assert!(fix(Part::Master).contains("REDIS_ADDRESS_MAP"));
        let sentinel = Unavailable::on_sentinel(&node, Cause::Refused);
        assert!(sentinel.fix().contains("REDIS_SENTINEL_HOSTS"));
    }

    #[test]
    fn tokens_do_not_get_into_messages() {
        let token = "worker-7/0123456789abcdef0123456789abcdef";
        let refusals = [
            format!("ERR unknown command 'EVALSHA', with args beginning with: 'ab' '1' '{token}'"),
            format!("ERR proxy does not take evalsha report {token}"),
        ];
        for refusal in refusals {
            let shown = printable(&refusal);
            assert!(!shown.contains("0123456789abcdef"), "{shown}");
        }
        assert_eq!(printable("ERR bad \u{1b} thing"), "ERR bad \\u{1b} thing");
    }
}
