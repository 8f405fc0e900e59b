//! Certificates for servers that speak TLS: good ones, and those that a client must refuse.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

use crate::{
    error::{Error, Result},
    port::Port,
    process,
    redis_server::RedisServerBuilder,
    sentinel_server::SentinelServerBuilder,
};

/// A certificate authority of a test, with a directory for what it issues.
///
/// ```
/// use leasehold_testkit::{Authority, RedisServer};
///
/// let authority = Authority::new("test CA")?;
/// let certificate = authority.issue(&["localhost", "127.0.0.1"])?;
/// let (builder, tls_port) = certificate.serve(RedisServer::builder())?;
/// let server = builder.start()?;
/// // … connect to 127.0.0.1 at tls_port, with authority.ca_file() as the CA …
/// # let _ = (server, tls_port);
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

/// A certificate and its key, in files. They live as long as their [`Authority`].
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The PEM file of the certificate.
    pub cert_file: PathBuf,
    /// The PEM file of its key.
    pub key_file: PathBuf,
    /// The PEM file of the authority's certificate.
    pub ca_file: PathBuf,
}

impl Authority {
    /// A new authority that nobody knows yet.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] when no key can be made.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().map_err(failed)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(failed)?;
        let directory = process::new_directory()?;
        let authority = Self { issuer, directory };
        process::write(&authority.ca_file(), &authority.issuer.pem())?;
        Ok(authority)
    }

    /// The PEM file of the authority's own certificate.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// A certificate for these host names and addresses, or a client's.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] for a name that no certificate can bear.
    pub fn issue(&self, names: &[&str]) -> Result<Certificate> {
        self.sign(&Self::params(names)?, &names.join("+"))
    }

    /// A certificate that was good until the year 2001.
    ///
    /// # Errors
    ///
    /// Those of [`issue`](Self::issue).
    pub fn issue_expired(&self, names: &[&str]) -> Result<Certificate> {
        let mut params = Self::params(names)?;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(&params, &format!("{}+expired", names.join("+")))
    }

    fn params(names: &[&str]) -> Result<CertificateParams> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        CertificateParams::new(names).map_err(failed)
    }

    fn sign(&self, params: &CertificateParams, name: &str) -> Result<Certificate> {
        let key = KeyPair::generate().map_err(failed)?;
        let signed = params.signed_by(&key, &self.issuer).map_err(failed)?;
        let certificate = Certificate {
            cert_file: self.directory.path().join(format!("{name}.crt")),
            key_file: self.directory.path().join(format!("{name}.key")),
            ca_file: self.ca_file(),
        };
        process::write(&certificate.cert_file, &signed.pem())?;
        process::write(&certificate.key_file, &key.serialize_pem())?;
        Ok(certificate)
    }
}

impl Certificate {
    /// Makes a data node speak TLS with this certificate, on a port beside its plain one; the second part of the
    /// answer. It asks clients for no certificate unless `tls-auth-clients yes` is configured after this.
    ///
    /// # Errors
    ///
    /// [`Error::File`] without a free port.
    pub fn serve(&self, server: RedisServerBuilder) -> Result<(RedisServerBuilder, u16)> {
        let port = Port::reserve()?.number();
        let directives = self.directives(port).into_iter();
        let server = directives.fold(server, |server, (key, value)| server.config(key, value));
        Ok((server, port))
    }

    /// Makes a Sentinel speak TLS with this certificate, to clients on a port beside its plain one, and to the nodes.
    ///
    /// # Errors
    ///
    /// [`Error::File`] without a free port.
    pub fn serve_sentinel(
        &self,
        sentinel: SentinelServerBuilder,
    ) -> Result<(SentinelServerBuilder, u16)> {
        let port = Port::reserve()?.number();
        let directives = self.directives(port).into_iter();
        let sentinel = directives.fold(sentinel, |sentinel, (key, value)| {
            sentinel.config(key, value)
        });
        Ok((sentinel.config("tls-replication", "yes"), port))
    }

    fn directives(&self, port: u16) -> [(&'static str, String); 5] {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        [
            ("tls-port", port.to_string()),
            ("tls-cert-file", path(&self.cert_file)),
            ("tls-key-file", path(&self.key_file)),
            ("tls-ca-cert-file", path(&self.ca_file)),
            ("tls-auth-clients", "no".to_owned()),
        ]
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `map_err` wants"
)]
fn failed(error: rcgen::Error) -> Error {
    Error::Unavailable {
        feature: "a certificate",
        reason: error.to_string(),
    }
}
