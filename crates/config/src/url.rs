//! `redis://` and `rediss://` addresses.

use crate::diagnostics::Rejection;
use crate::endpoint::{self, Endpoint};
use crate::parse::Parsed;
use crate::secret::Secret;

pub(crate) const DEFAULT_PORT: u16 = 6379;

/// What a URL says. What it leaves open is taken from the other variables.
pub(crate) struct Url {
    pub(crate) endpoint: Endpoint,
    pub(crate) is_tls: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: Option<u32>,
    /// The names of options behind a `?` that are not read.
    pub(crate) unknown_options: Vec<String>,
}

impl Url {
    /// The address without its credentials.
    pub(crate) fn shown(&self) -> String {
        let scheme = if self.is_tls { "rediss" } else { "redis" };
        match self.database {
            Some(database) => format!("{scheme}://{}/{database}", self.endpoint),
            None => format!("{scheme}://{}", self.endpoint),
        }
    }
}

const ACCEPTED: &str = "redis://[user[:password]@]host[:port][/database] or [?db=database], or rediss:// for TLS; special characters in user and password percent-encoded";

pub(crate) fn parse(name: &str, text: &str) -> Parsed<Url> {
    read(text).map_err(|message| {
        let example = format!("{name}=redis://default:<password>@localhost:6379/0");
        Rejection::value(message, ACCEPTED, example)
    })
}

/// No message repeats any part of the text.
fn read(text: &str) -> Result<Url, String> {
    let (scheme, rest) = text.split_once("://").ok_or("is not a URL")?;
    let is_tls = read_scheme(scheme)?;
    if rest.contains('#') {
        return Err("has a #, which is written %23 in a URL".to_owned());
    }
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (rest, None),
    };
    let (authority, path) = address.split_once('/').unwrap_or((address, ""));
    if path.contains('@') || query.is_some_and(|query| query.contains('@')) {
        let message =
            "has a / or ? in its user or password, which are written %2F and %3F in a URL";
        return Err(message.to_owned());
    }
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority),
    };
    let (username, password) = read_credentials(credentials)?;
    let (host, port) = endpoint::split(host).map_err(|error| {
        // The character may come from a password that was not encoded.
        match error {
            endpoint::AddressError::BadHost(_) => "has a host that is not one".to_owned(),
            endpoint::AddressError::Separator(_) => {
                "names several hosts; Sentinels go into REDIS_SENTINEL_HOSTS, the nodes of a cluster into REDIS_CLUSTER_NODES, independent masters into LOCK_REDLOCK_NODES".to_owned()
            }
            error => error.to_string(),
        }
    })?;
    let (option, unknown_options) = read_query(query.unwrap_or_default())?;
    let database = match (read_database(path)?, option) {
        (Some(path), Some(option)) if path != option => {
            return Err("names one database behind the / and another in ?db=".to_owned());
        }
        (path, option) => path.or(option),
    };
    Ok(Url {
        endpoint: Endpoint::new(host, port.unwrap_or(DEFAULT_PORT)),
        is_tls,
        username,
        password,
        database,
        unknown_options,
    })
}

fn read_scheme(scheme: &str) -> Result<bool, String> {
    let scheme = scheme.to_ascii_lowercase();
    let message = match scheme.as_str() {
        "redis" => return Ok(false),
        "rediss" => return Ok(true),
        _ if scheme.contains("sentinel") => {
            "names Sentinels, which go into REDIS_SENTINEL_HOSTS and REDIS_SENTINEL_SERVICE"
        }
        _ if scheme.contains("cluster") => "names a cluster, which goes into REDIS_CLUSTER_NODES",
        _ if scheme.contains("unix") || scheme.contains("socket") => {
            "names a unix socket, which is not supported"
        }
        _ => "has a scheme that is neither redis nor rediss",
    };
    Err(message.to_owned())
}

/// The database that `db` names, and the names of the other options.
fn read_query(query: &str) -> Result<(Option<u32>, Vec<String>), String> {
    let mut database = None;
    let mut unknown = Vec::new();
    for option in query.split('&').filter(|option| !option.is_empty()) {
        // A text without = may be the rest of a password.
        let Some((name, value)) = option.split_once('=') else {
            unknown.push("one without =".to_owned());
            continue;
        };
        if name.eq_ignore_ascii_case("db") || name.eq_ignore_ascii_case("database") {
            let number = number(value).ok_or("has a ?db= that is not the number of a database")?;
            if database.is_some_and(|known| known != number) {
                return Err("names two databases".to_owned());
            }
            database = Some(number);
        } else if name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            unknown.push(name.to_owned());
        } else {
            unknown.push("one that is no word".to_owned());
        }
    }
    Ok((database, unknown))
}

/// Digits alone: a sign is no part of a database's number.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn read_credentials(credentials: Option<&str>) -> Result<(Option<String>, Option<Secret>), String> {
    let Some(credentials) = credentials else {
        return Ok((None, None));
    };
    let (username, password) = match credentials.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (credentials, None),
    };
    let username = Some(percent_decoded(username)?).filter(|text| !text.is_empty());
    let password = password.map(percent_decoded).transpose()?;
    let password = password.filter(|text| !text.is_empty()).map(Secret::new);
    Ok((username, password))
}

fn read_database(path: &str) -> Result<Option<u32>, String> {
    if path.is_empty() {
        return Ok(None);
    }
    let database = number(path).ok_or("has a path that is not the number of a database")?;
    Ok(Some(database))
}

fn percent_decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match (digit(rest.next()), digit(rest.next())) {
            // Two hexadecimal digits make at most 255.
            (Some(high), Some(low)) => bytes.extend(u8::try_from(high * 16 + low)),
            _ => return Err("has a % that is not followed by two hexadecimal digits".to_owned()),
        }
    }
    String::from_utf8(bytes).map_err(|_| "has credentials that are not UTF-8".to_owned())
}
