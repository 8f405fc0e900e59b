//! The configuration files that the servers are started with.

/// The project's own `redis.conf`, the base of every data node.
pub const REDIS_CONF: &str = include_str!("conf/redis.conf");

/// The project's own `sentinel.conf`, the base of every Sentinel.
pub const SENTINEL_CONF: &str = include_str!("conf/sentinel.conf");

/// The project's own access control list, with placeholders for passwords; see [`users_acl`].
pub const USERS_ACL: &str = include_str!("conf/users.acl");

/// The passwords that replace the placeholders of [`USERS_ACL`].
#[derive(Debug, Clone, Copy)]
pub struct AclPasswords<'a> {
    /// Of the user `leasehold`, which takes and releases leases and can do nothing else.
    pub leasehold: &'a str,
    /// Of the user `observer`, which sees who holds what and can change nothing.
    pub observer: &'a str,
    /// Of the user `replica`, as which a replica follows its master.
    pub replica: &'a str,
    /// Of the user `sentinel`, as which a Sentinel watches and reconfigures data nodes.
    pub sentinel: &'a str,
    /// Of the user `admin`, which may do everything.
    pub admin: &'a str,
}

/// The project's access control list with real passwords in it.
#[must_use]
pub fn users_acl(passwords: AclPasswords<'_>) -> String {
    USERS_ACL
        .replace("LEASEHOLD_PASSWORD", passwords.leasehold)
        .replace("OBSERVER_PASSWORD", passwords.observer)
        .replace("REPLICA_PASSWORD", passwords.replica)
        .replace("SENTINEL_PASSWORD", passwords.sentinel)
        .replace("ADMIN_PASSWORD", passwords.admin)
}

/// A configuration file under construction: one directive a line, each at most once unless added on purpose.
#[derive(Debug, Clone)]
pub(crate) struct ConfFile {
    lines: Vec<String>,
}

impl ConfFile {
    /// Comments are dropped, since the servers rewrite the file and would scatter them.
    pub(crate) fn from_base(base: &str) -> Self {
        let lines = base
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self {
            lines: lines.map(str::to_owned).collect(),
        }
    }

    /// Replaces every line that begins with the words of `key`.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let words: Vec<&str> = key.split_whitespace().collect();
        self.lines.retain(|line| {
            let begins = line.split_whitespace().take(words.len());
            !begins
                .map(str::to_ascii_lowercase)
                .eq(words.iter().map(|word| word.to_ascii_lowercase()))
        });
        self.add(key, value);
    }

    /// Adds a line and keeps others with the same key.
    pub(crate) fn add(&mut self, key: &str, value: &str) {
        self.lines.push(format!("{key} {value}"));
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }
}

/// Writes `value` so that the server reads it as one word, whatever it contains.
pub(crate) fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => text.extend(['\\', byte as char]),
            b' '..=b'~' => text.push(byte as char),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_directive_replaces_the_one_of_the_base() {
        let mut conf = ConfFile::from_base(
            "# why\nport 6379\n\nsentinel monitor a 1 2 3\nsentinel monitor b 1 2 3\n",
        );
        conf.set("port", "7000");
        conf.set("sentinel monitor a", "4 5 6");
        assert_eq!(
            conf.text(),
            "sentinel monitor b 1 2 3\nport 7000\nsentinel monitor a 4 5 6\n"
        );
    }

    #[test]
    fn any_password_survives_quoting() {
        assert_eq!(quoted("a b"), r#""a b""#);
        assert_eq!(quoted("\"\\#\n\u{e9}"), r#""\"\\#\x0a\xc3\xa9""#);
    }

    #[test]
    fn the_access_control_list_holds_no_line_that_redis_refuses() {
        assert!(
            USERS_ACL.lines().all(|line| line.starts_with("user ")),
            "comments and blank lines stop the server"
        );
    }
}
