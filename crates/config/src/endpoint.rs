//! The address of one server.

use std::fmt;
use std::net::Ipv6Addr;

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no host name.
    #[error("has no host name")]
    NoHost,
    /// The host name has a character that host names do not have.
    #[error("has a character that no host name has: {0:?}")]
    BadHost(char),
    /// The port is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    BadPort,
    /// Addresses are separated by something else than a comma.
    #[error("has {0:?} between addresses, which are separated by commas")]
    Separator(char),
    /// A user name or a password stands before the address.
    #[error("has credentials before an @, which go into REDIS_USERNAME and REDIS_PASSWORD")]
    Credentials,
    /// More than one colon, in a text that is not an IPv6 address.
    #[error("has more than one colon")]
    Colons,
    /// An IPv6 address stands without brackets, so that its port cannot be told from its last group.
    #[error("has an IPv6 address without brackets")]
    UnbracketedIpv6,
    /// A bracket is opened and not closed, or what stands in brackets is not an IPv6 address.
    #[error("has brackets that do not hold an IPv6 address")]
    BadBrackets,
    /// The text is a URL where only `host:port` is understood.
    #[error("is a URL where host:port is expected")]
    Url,
    /// An entry of an address map has no `=`.
    #[error("has an entry without =")]
    NoEquals,
    /// An address map maps one address to two.
    #[error("maps one address twice")]
    MappedTwice,
}

/// Host and port of one server.
///
/// IPv6 addresses are kept without brackets and printed with them.
///
/// ```
/// use leasehold_config::Endpoint;
///
/// let local = Endpoint::parse("[::1]:26380", 26379)?;
/// assert_eq!((local.host(), local.port()), ("::1", 26380));
/// assert_eq!(local.to_string(), "[::1]:26380");
/// assert_eq!(Endpoint::parse("redis-1", 6379)?, Endpoint::new("redis-1", 6379));
/// # Ok::<(), leasehold_config::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// An address from its two parts. Brackets around an IPv6 address are dropped; nothing else is checked.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host = host.into();
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .map(canonical_host);
        Self {
            host: bare.unwrap_or_else(|| canonical_host(&host)),
            port,
        }
    }

    /// Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port`; `default_port` stands in for a missing port.
    ///
    /// # Errors
    ///
    /// [`AddressError`] says what is wrong with the text.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, AddressError> {
        let (host, port) = split(text)?;
        Ok(Self {
            host,
            port: port.unwrap_or(default_port),
        })
    }

    /// The host name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

/// Splits `host[:port]` into its checked parts.
pub(crate) fn split(text: &str) -> Result<(String, Option<u16>), AddressError> {
    let text = text.trim();
    if text.contains("://") {
        return Err(AddressError::Url);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(AddressError::BadBrackets)?;
        let host = check_ipv6(host)?;
        return match after {
            "" => Ok((host, None)),
            _ => {
                let port = after.strip_prefix(':').ok_or(AddressError::BadBrackets)?;
                Ok((host, Some(parse_port(port)?)))
            }
        };
    }
    if text.contains('@') {
        return Err(AddressError::Credentials);
    }
    if let Some(separator) = text.chars().find(|c| is_separator(*c)) {
        return Err(AddressError::Separator(separator));
    }
    let is_ipv6_character = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    match text.split_once(':') {
        None => Ok((check_host(text)?, None)),
        Some((_, rest)) if rest.contains(':') => match text.chars().all(is_ipv6_character) {
            true => Err(AddressError::UnbracketedIpv6),
            false => Err(AddressError::Colons),
        },
        Some((host, port)) => Ok((check_host(host)?, Some(parse_port(port)?))),
    }
}

/// Reads a host that has no port beside it, so that an IPv6 address needs no brackets.
pub(crate) fn parse_host(text: &str) -> Result<String, AddressError> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok(canonical_host(text));
    }
    match split(text)? {
        (host, None) => Ok(host),
        (_, Some(_)) => Err(AddressError::BadHost(':')),
    }
}

pub(crate) fn parse_port(text: &str) -> Result<u16, AddressError> {
    // `u16::from_str` would take a leading plus sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(AddressError::BadPort);
    }
    match text.parse::<u16>() {
        Ok(0) | Err(_) => Err(AddressError::BadPort),
        Ok(port) => Ok(port),
    }
}

/// Checks an address that was made in code.
pub(crate) fn check(endpoint: &Endpoint) -> Result<(), AddressError> {
    if endpoint.port() == 0 {
        return Err(AddressError::BadPort);
    }
    match endpoint.host().contains(':') {
        true => check_ipv6(endpoint.host()).map(drop),
        false => check_host(endpoint.host()).map(drop),
    }
}

/// What people write instead of a comma.
fn is_separator(character: char) -> bool {
    matches!(character, ';' | '|' | ',') || character.is_whitespace()
}

fn check_ipv6(text: &str) -> Result<String, AddressError> {
    // A zone (`fe80::1%eth0`) is no part of the address proper.
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    match address.parse::<Ipv6Addr>() {
        Ok(_) if text.chars().all(|c| c.is_ascii_graphic()) => Ok(canonical_host(text)),
        _ => Err(AddressError::BadBrackets),
    }
}

fn check_host(text: &str) -> Result<String, AddressError> {
    if text.is_empty() {
        return Err(AddressError::NoHost);
    }
    match text.chars().find(|&c| !is_host_character(c)) {
        Some(character) => Err(AddressError::BadHost(character)),
        None => Ok(text.to_owned()),
    }
}

fn is_host_character(character: char) -> bool {
    // Underscores are no DNS host names, but Docker and compose give them out.
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_')
}

/// One spelling for each IPv6 address, so that equal addresses compare equal.
fn canonical_host(text: &str) -> String {
    text.parse::<Ipv6Addr>()
        .map_or_else(|_| text.to_owned(), |address| address.to_string())
}
