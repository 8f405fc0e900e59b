//! The kit's own short conversations with the servers.

use std::{collections::BTreeMap, process::Command, time::Duration};

use redis::{
    Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    RedisResult, ToRedisArgs, Value,
};

/// Loopback answers in microseconds; a server that is paused must not hold up the test for long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who the kit logs in as.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
}

impl Credentials {
    pub(crate) fn url(&self, host: &str, port: u16) -> String {
        let login = match (&self.username, &self.password) {
            (None, None) => String::new(),
            (user, password) => {
                let part = |text: &Option<String>| {
                    text.as_deref().map(percent_encoded).unwrap_or_default()
                };
                format!("{}:{}@", part(user), part(password))
            }
        };
        format!("redis://{login}{host}:{port}")
    }

    pub(crate) fn for_cli(&self, command: &mut Command) {
        if let Some(username) = &self.username {
            command.args(["--user", username]);
        }
        // Not as an argument, where every process on the machine could read it.
        if let Some(password) = &self.password {
            command.env("REDISCLI_AUTH", password);
        }
    }
}

pub(crate) fn connect(
    host: &str,
    port: u16,
    credentials: &Credentials,
) -> RedisResult<redis::Connection> {
    let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(username) = &credentials.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &credentials.password {
        settings = settings.set_password(password);
    }
    let address = ConnectionAddr::Tcp(host.to_owned(), port).into_connection_info()?;
    let connection = Client::open(address.set_redis_settings(settings))?
        .get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}

pub(crate) fn command<A: ToRedisArgs>(
    host: &str,
    port: u16,
    who: &Credentials,
    words: &[A],
) -> RedisResult<Value> {
    if words.is_empty() {
        return Err(RedisError::from((ErrorKind::Client, "an empty command")));
    }
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word);
    }
    command.query(&mut connect(host, port, who)?)
}

/// Enough of a command to recognise it in a message, without its secrets or megabytes.
pub(crate) fn first_words<A: ToRedisArgs>(words: &[A]) -> String {
    let shown = words.iter().take(2).flat_map(ToRedisArgs::to_redis_args);
    let shown: Vec<String> = shown
        .map(|word| String::from_utf8_lossy(&word).chars().take(40).collect())
        .collect();
    if shown
        .first()
        .is_some_and(|verb| verb.eq_ignore_ascii_case("AUTH"))
    {
        "AUTH".to_owned()
    } else {
        shown.join(" ")
    }
}

/// A reply as text, when it is one.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".to_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A flat list of names and values, the form of many Sentinel replies.
pub(crate) fn pairs(value: &Value) -> Option<BTreeMap<String, String>> {
    if let Value::Map(entries) = value {
        return entries
            .iter()
            .map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect();
    }
    let words: Option<Vec<String>> = value.as_sequence()?.iter().map(text).collect();
    let words = words?;
    Some(
        words
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect(),
    )
}

pub(crate) fn info_fields(text: &str) -> BTreeMap<String, String> {
    let fields = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.trim_end().to_owned()))
        .collect()
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            (byte as char).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}
