//! How to connect to a server: credentials, database, TLS, timeouts.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// The ACL user that every Redis has.
pub(crate) const DEFAULT_USERNAME: &str = "default";

/// The default of both [`NodeOptions`] timeouts.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// What every connection to a data node needs, whichever node it is.
///
/// ```
/// use leasehold_config::{Credentials, NodeOptions};
///
/// let mut nodes = NodeOptions::default();
/// nodes.credentials = Credentials::password("correct horse");
/// assert_eq!(nodes.database, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeOptions {
    /// Who logs in.
    pub credentials: Credentials,
    /// The database that is selected after logging in.
    pub database: u32,
    /// TLS, or `None` for a plain connection.
    pub tls: Option<Tls>,
    /// How long connecting and logging in may take: from 1 ms to 365 days.
    pub connect_timeout: Duration,
    /// How long one command may take: at least 1 ms, and below a third of the TTL, so that a renewal can be tried again.
    pub command_timeout: Duration,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            database: 0,
            tls: None,
            connect_timeout: DEFAULT_TIMEOUT,
            command_timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// A user name and perhaps a password.
///
/// With a password both are sent, also for the user `default`: a server that has no password set accepts
/// `AUTH default <password>` but refuses `AUTH <password>`.
///
/// ```
/// use leasehold_config::Credentials;
///
/// let credentials = Credentials::password("correct horse");
/// assert_eq!(credentials.username, "default");
/// assert!(!format!("{credentials:?}").contains("horse"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The ACL user.
    pub username: String,
    /// The password; `None`: do not log in at all.
    pub password: Option<Secret>,
}

impl Credentials {
    /// A user name and a password.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            username: username.into(),
            password: Some(password.into()),
        }
    }

    /// A password for the user `default`.
    pub fn password(password: impl Into<Secret>) -> Self {
        Self::new(DEFAULT_USERNAME, password)
    }
}

impl Default for Credentials {
    /// The user `default` without a password.
    fn default() -> Self {
        Self {
            username: DEFAULT_USERNAME.to_owned(),
            password: None,
        }
    }
}

/// TLS settings. The default verifies the server against the system's root certificates.
///
/// ```
/// use leasehold_config::Tls;
///
/// let mut tls = Tls::default();
/// tls.ca_file = Some("/etc/redis/ca.crt".into());
/// assert!(!tls.insecure);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// PEM file of the accepted certificate authorities; `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client certificate; set together with `key_file` or not at all.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the client certificate's key.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must bear; `None`: the host name connected to.
    pub server_name: Option<String>,
    /// Accept any certificate. Anybody on the network path can then read and change everything.
    pub insecure: bool,
}
