//! TLS to a server: every connection is wrapped with what the files hold at that time.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use leasehold_config::{Endpoint, Tls};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::sync::Mutex;
use crate::transport::tls_fault::{self, Watched};
use crate::transport::tls_insecure::AnyCertificate;
use crate::unavailable::{Cause, printable};

pub(crate) use crate::transport::tls_fault::fault;

/// The stream of a connection under TLS.
pub(crate) type TlsStream = Watched<tokio_rustls::client::TlsStream<TcpStream>>;

/// How to speak TLS to the servers of one hop: the data nodes, or the Sentinels.
#[derive(Clone)]
pub(crate) struct TlsClient {
    settings: Arc<Tls>,
    /// What the files held when they could last be used.
    config: Arc<Mutex<Arc<ClientConfig>>>,
    /// The name that every certificate must bear; `None`: the host connected to.
    server_name: Option<ServerName<'static>>,
}

impl TlsClient {
    /// Reads the files that the configuration names.
    pub(crate) fn load(tls: &Tls) -> Result<Self, Cause> {
        if tls.insecure {
            tracing::warn!(
                "TLS CERTIFICATES ARE NOT VERIFIED (REDIS_TLS_INSECURE=true): anybody on the way \
                 to Redis can read the password and grant locks; name the CA in REDIS_TLS_CA_FILE \
                 instead"
            );
        }
        let config = Mutex::new(Arc::new(client_config(tls)?));
        let server_name = tls.server_name.as_deref().map(name).transpose()?;
        Ok(Self {
            settings: Arc::new(tls.clone()),
            config: Arc::new(config),
            server_name,
        })
    }

    /// What the files hold now: certificates are replaced while programs run. Files that cannot be
    /// used, as while they are being replaced, leave what was read before.
    async fn current(&self) -> Arc<ClientConfig> {
        let tls = self.settings.clone();
        if tls.ca_file.is_some() || tls.cert_file.is_some() {
            match tokio::task::spawn_blocking(move || client_config(&tls)).await {
                Ok(Ok(config)) => *self.config.lock() = Arc::new(config),
                Ok(Err(cause)) => {
                    tracing::warn!(%cause, "the TLS files cannot be read again, so what they held before is used");
                }
                Err(_) => {}
            }
        }
        self.config.lock().clone()
    }

    /// The same, with the certificate to bear this name unless another is configured.
    pub(crate) fn expecting(mut self, host: &str) -> Self {
        if self.server_name.is_none() {
            self.server_name = name(host).ok();
        }
        self
    }

    /// Shakes hands with `node`. The caller bounds the wait.
    ///
    /// Cancel safe: a dropped attempt closes its socket.
    pub(crate) async fn wrap(
        &self,
        node: &Endpoint,
        stream: TcpStream,
    ) -> Result<TlsStream, Cause> {
        let server_name = match &self.server_name {
            Some(server_name) => server_name.clone(),
            None => name(node.host())?,
        };
        let connector = TlsConnector::from(self.current().await);
        match connector.connect(server_name, stream).await {
            Ok(stream) => Ok(Watched::new(stream)),
            Err(error) => Err(tls_fault::cause(&error).unwrap_or(Cause::ClosedUnanswered)),
        }
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// Reads the files and makes of them what a handshake needs.
fn client_config(tls: &Tls) -> Result<ClientConfig, Cause> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(tls, provider)?);
    match (&tls.cert_file, &tls.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert_file), Some(key_file)) => {
            let chain = certificates("REDIS_TLS_CERT_FILE", cert_file)?;
            let key = private_key("REDIS_TLS_KEY_FILE", key_file)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                failed(&format!(
                    "REDIS_TLS_KEY_FILE {} does not fit REDIS_TLS_CERT_FILE {}: {error}",
                    key_file.display(),
                    cert_file.display()
                ))
            })
        }
        _ => Err(failed(
            "REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE belong together: set both or neither",
        )),
    }
}

/// Who decides whether a server's certificate is good.
fn verifier(
    tls: &Tls,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Cause> {
    if tls.insecure {
        return Ok(Arc::new(AnyCertificate(provider)));
    }
    let roots = match &tls.ca_file {
        Some(ca_file) => roots_in(ca_file)?,
        None => system_roots()?,
    };
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
        .map_err(|error| failed(&error.to_string()))
}

fn roots_in(ca_file: &Path) -> Result<RootCertStore, Cause> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("REDIS_TLS_CA_FILE", ca_file)? {
        roots
            .add(certificate)
            .map_err(|error| in_file("REDIS_TLS_CA_FILE", ca_file, &error))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, Cause> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system carries odd old certificates; those that cannot be read accept nobody.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(failed(
            "this system has no root certificates; name your CA in REDIS_TLS_CA_FILE",
        ));
    }
    Ok(roots)
}

fn certificates(variable: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Cause> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| in_file(variable, path, &error))?;
    if certificates.is_empty() {
        return Err(in_file(variable, path, &"it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn private_key(variable: &str, path: &Path) -> Result<PrivateKeyDer<'static>, Cause> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| in_file(variable, path, &error))
}

fn name(text: &str) -> Result<ServerName<'static>, Cause> {
    ServerName::try_from(text.to_owned()).map_err(|_| {
        failed(&format!(
            "`{}` is no name that a certificate can bear; set REDIS_TLS_SERVER_NAME",
            text.escape_debug()
        ))
    })
}

fn in_file(variable: &str, path: &Path, error: &dyn fmt::Display) -> Cause {
    failed(&format!("{variable} {}: {error}", path.display()))
}

fn failed(detail: &str) -> Cause {
    Cause::Tls {
        detail: printable(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(tls: &Tls) -> String {
        TlsClient::load(tls).expect_err("bad files").to_string()
    }

    #[test]
    fn a_missing_file_is_named() {
        let mut tls = Tls::default();
        tls.ca_file = Some("/nonexistent/ca.crt".into());
        let message = refusal(&tls);
        assert!(
            message.contains("REDIS_TLS_CA_FILE /nonexistent/ca.crt"),
            "{message}"
        );
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let mut tls = Tls::default();
        tls.insecure = true;
        tls.cert_file = Some("/nonexistent/client.crt".into());
        assert!(refusal(&tls).contains("belong together"));
    }

    #[test]
    fn a_name_that_no_certificate_can_bear_is_refused() {
        let mut tls = Tls::default();
        tls.insecure = true;
        tls.server_name = Some("not a name".into());
        assert!(refusal(&tls).contains("REDIS_TLS_SERVER_NAME"));
    }
}
