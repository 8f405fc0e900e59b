//! TLS to data nodes and Sentinels, with real servers and real certificates, good and bad.

use std::path::Path;
use std::time::{Duration, Instant};

use leasehold::{Cause, Error, Locker, Unavailable};
use leasehold_testkit::{Authority, Certificate, RedisServer, SentinelServer};
use leasehold_tests::{connect, soon};

type Failure = Box<dyn std::error::Error>;

/// A server with this certificate, and the variables of a client that trusts `ca`.
struct Setup {
    server: RedisServer,
    tls_port: u16,
    variables: Vec<(String, String)>,
}

fn setup(certificate: &Certificate, ca: &Path) -> Result<Setup, Failure> {
    setup_with(certificate, ca, &[])
}

fn setup_with(
    certificate: &Certificate,
    ca: &Path,
    directives: &[(&str, &str)],
) -> Result<Setup, Failure> {
    let (mut builder, tls_port) = certificate.serve(RedisServer::builder())?;
    for (key, value) in directives {
        builder = builder.config(*key, *value);
    }
    let server = builder.start()?;
    let variables = [
        ("IS_LOCKING_DISABLED", "false"),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &tls_port.to_string()),
        ("REDIS_TLS_ENABLED", "true"),
        ("REDIS_TLS_CA_FILE", &ca.to_string_lossy()),
        ("REDIS_CONNECT_TIMEOUT", "1s"),
    ];
    let variables = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    Ok(Setup {
        server,
        tls_port,
        variables,
    })
}

impl Setup {
    async fn connect(&self, overrides: &[(&str, &str)]) -> Result<Locker, Error> {
        let connecting = connect(self.variables.clone(), overrides);
        soon("an answer to connecting", connecting).await
    }

    async fn refusal(&self, overrides: &[(&str, &str)]) -> Error {
        match self.connect(overrides).await {
            Ok(_) => panic!("the connection was accepted"),
            Err(error) => error,
        }
    }
}

/// The TLS failure in words; panics on any other.
fn tls_detail(error: &Error) -> String {
    match error.unavailable().map(leasehold::Unavailable::cause) {
        Some(Cause::Tls { detail }) => detail.clone(),
        _ => panic!("no TLS failure: {error}"),
    }
}

#[tokio::test]
async fn a_verified_server_grants_leases() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let setup = setup(&authority.issue(&["127.0.0.1"])?, &authority.ca_file())?;
    let locker = setup.connect(&[]).await?;
    let lease = locker.try_acquire("order").await?;
    assert_eq!(setup.server.cli(&["EXISTS", "order"])?, "1");
    lease.release().await?;
    Ok(())
}

#[tokio::test]
async fn a_certificate_of_a_stranger_is_refused() -> Result<(), Failure> {
    let (ours, theirs) = (Authority::new("our CA")?, Authority::new("their CA")?);
    let setup = setup(&theirs.issue(&["127.0.0.1"])?, &ours.ca_file())?;
    let error = setup.refusal(&[]).await;
    assert!(tls_detail(&error).contains("authority"), "{error}");
    assert!(!error.is_retryable());
    Ok(())
}

#[tokio::test]
async fn an_expired_certificate_is_refused() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let certificate = authority.issue_expired(&["127.0.0.1"])?;
    let setup = setup(&certificate, &authority.ca_file())?;
    let error = setup.refusal(&[]).await;
    assert!(tls_detail(&error).contains("expired"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_that_name_is_expected()
-> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let certificate = authority.issue(&["redis.internal"])?;
    let setup = setup(&certificate, &authority.ca_file())?;
    let error = setup.refusal(&[]).await;
    assert!(
        tls_detail(&error).contains("REDIS_TLS_SERVER_NAME"),
        "{error}"
    );
    let named = [("REDIS_TLS_SERVER_NAME", "redis.internal")];
    let _ = setup.connect(&named).await?.try_acquire("order").await?;
    Ok(())
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_wanted() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let wants = [("tls-auth-clients", "yes")];
    let setup = setup_with(
        &authority.issue(&["127.0.0.1"])?,
        &authority.ca_file(),
        &wants,
    )?;
    let error = setup.refusal(&[]).await;
    assert!(
        tls_detail(&error).contains("REDIS_TLS_CERT_FILE"),
        "{error}"
    );

    let client = authority.issue(&["worker"])?;
    let shown = [
        ("REDIS_TLS_CERT_FILE", &*client.cert_file.to_string_lossy()),
        ("REDIS_TLS_KEY_FILE", &*client.key_file.to_string_lossy()),
    ];
    let _ = setup.connect(&shown).await?.try_acquire("order").await?;

    let strangers = Authority::new("their CA")?;
    let stranger = strangers.issue(&["worker"])?;
    let shown = [
        (
            "REDIS_TLS_CERT_FILE",
            &*stranger.cert_file.to_string_lossy(),
        ),
        ("REDIS_TLS_KEY_FILE", &*stranger.key_file.to_string_lossy()),
    ];
    tls_detail(&setup.refusal(&shown).await);
    Ok(())
}

#[tokio::test]
async fn plain_text_against_a_tls_port_asks_whether_tls_is_meant() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let setup = setup(&authority.issue(&["127.0.0.1"])?, &authority.ca_file())?;
    let error = setup.refusal(&[("REDIS_TLS_ENABLED", "false")]).await;
    assert!(
        error.to_string().contains("REDIS_TLS_ENABLED=true"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn tls_against_a_plain_port_is_told_in_time() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let setup = setup(&authority.issue(&["127.0.0.1"])?, &authority.ca_file())?;
    let plain_port = setup.server.port().to_string();
    assert_ne!(plain_port, setup.tls_port.to_string());
    let asked = Instant::now();
    let error = setup.refusal(&[("REDIS_PORT", &plain_port)]).await;
    let cause = error.unavailable().map(Unavailable::cause);
    assert!(matches!(cause, Some(Cause::NoTlsAnswer { .. })), "{error}");
    assert!(asked.elapsed() < Duration::from_secs(2));
    Ok(())
}

#[tokio::test]
async fn an_insecure_client_accepts_anything() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let certificate = authority.issue_expired(&["elsewhere"])?;
    let setup = setup(&certificate, &authority.ca_file())?;
    let insecure = [("REDIS_TLS_INSECURE", "true"), ("REDIS_TLS_CA_FILE", "")];
    let _ = setup.connect(&insecure).await?.try_acquire("order").await?;
    Ok(())
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let certificate = authority.issue(&["127.0.0.1"])?;
    let setup = setup(&certificate, &authority.ca_file())?;
    let key_as_ca = certificate.key_file.to_string_lossy();
    let error = setup.refusal(&[("REDIS_TLS_CA_FILE", &key_as_ca)]).await;
    let detail = tls_detail(&error);
    assert!(
        detail.contains("REDIS_TLS_CA_FILE") && detail.contains(&*key_as_ca),
        "{detail}"
    );

    let other = authority.issue(&["worker"])?;
    let mismatched = [
        ("REDIS_TLS_CERT_FILE", &*other.cert_file.to_string_lossy()),
        (
            "REDIS_TLS_KEY_FILE",
            &*certificate.key_file.to_string_lossy(),
        ),
    ];
    let detail = tls_detail(&setup.refusal(&mismatched).await);
    assert!(detail.contains("does not fit"), "{detail}");
    Ok(())
}

#[tokio::test]
async fn both_hops_can_speak_tls() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let certificate = authority.issue(&["127.0.0.1"])?;
    let setup = setup(&certificate, &authority.ca_file())?;
    let sentinel = SentinelServer::builder("127.0.0.1", setup.tls_port).quorum(1);
    let (sentinel, sentinel_port) = certificate.serve_sentinel(sentinel)?;
    let sentinel = sentinel.start()?;
    let tls_sentinel = format!("127.0.0.1:{sentinel_port}");
    let hosts = [
        ("REDIS_HOST", ""),
        ("REDIS_PORT", ""),
        ("REDIS_SENTINEL_HOSTS", tls_sentinel.as_str()),
        ("LOCK_SAFETY", "relaxed"),
    ];
    let _ = setup.connect(&hosts).await?.try_acquire("order").await?;

    // One hop each way: the error names the hop that is wrong.
    let plain_sentinel = format!("127.0.0.1:{}", sentinel.port());
    let mut plain = hosts.to_vec();
    plain.push(("REDIS_SENTINEL_HOSTS", plain_sentinel.as_str()));
    let error = setup.refusal(&plain).await.to_string();
    assert!(error.contains(&plain_sentinel), "{error}");
    plain.push(("REDIS_SENTINEL_TLS_ENABLED", "false"));
    let _ = setup.connect(&plain).await?.try_acquire("second").await?;
    Ok(())
}

/// TLS to the Sentinels alone, and to the data nodes alone.
#[tokio::test]
async fn one_hop_alone_can_speak_tls() -> Result<(), Failure> {
    let authority = Authority::new("test CA")?;
    let certificate = authority.issue(&["127.0.0.1"])?;
    let setup = setup(&certificate, &authority.ca_file())?;
    // The Sentinel watches the plain port, and speaks TLS to clients only.
    let watching = SentinelServer::builder("127.0.0.1", setup.server.port()).quorum(1);
    let (watching, tls_port) = certificate.serve_sentinel(watching)?;
    let watching = watching.config("tls-replication", "no").start()?;
    let (tls, plain) = (
        format!("127.0.0.1:{tls_port}"),
        format!("127.0.0.1:{}", watching.port()),
    );
    let hosts = [
        ("REDIS_HOST", ""),
        ("REDIS_PORT", ""),
        ("LOCK_SAFETY", "relaxed"),
        ("REDIS_TLS_ENABLED", "false"),
        ("REDIS_SENTINEL_TLS_ENABLED", "true"),
    ];
    let mut sentinels = hosts.to_vec();
    sentinels.push(("REDIS_SENTINEL_HOSTS", tls.as_str()));
    let _ = setup
        .connect(&sentinels)
        .await?
        .try_acquire("order")
        .await?;

    // The master is announced with its plain port, which the map translates.
    let map = format!("{}=127.0.0.1:{}", setup.server.address(), setup.tls_port);
    let mut nodes = hosts.to_vec();
    nodes.extend([
        ("REDIS_SENTINEL_HOSTS", plain.as_str()),
        ("REDIS_TLS_ENABLED", "true"),
        ("REDIS_SENTINEL_TLS_ENABLED", "false"),
        ("REDIS_ADDRESS_MAP", map.as_str()),
    ]);
    let _ = setup.connect(&nodes).await?.try_acquire("second").await?;
    Ok(())
}

/// The server gets certificates of another authority, and closes every connection.
fn rotate(server: &RedisServer, authority: &Authority) -> Result<(), Failure> {
    let issued = authority.issue(&["127.0.0.1"])?;
    let shown = |path: &Path| path.display().to_string();
    let words = [
        "CONFIG".to_owned(),
        "SET".to_owned(),
        "tls-ca-cert-file".to_owned(),
        shown(&authority.ca_file()),
        "tls-cert-file".to_owned(),
        shown(&issued.cert_file),
        "tls-key-file".to_owned(),
        shown(&issued.key_file),
    ];
    server.command(&words)?;
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])?;
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"])?;
    Ok(())
}

/// The server gets certificates of another authority, and the client's three files are replaced: the
/// next connection is made with what they hold then.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_rotated_are_read_again() -> Result<(), Failure> {
    let (old, new) = (Authority::new("old CA")?, Authority::new("new CA")?);
    let wants = [("tls-auth-clients", "yes")];
    let setup = setup_with(&old.issue(&["127.0.0.1"])?, &old.ca_file(), &wants)?;
    let mounted = tempfile::tempdir()?;
    let path = |name: &str| mounted.path().join(name);
    let mount = |authority: &Authority| -> Result<(), Failure> {
        let client = authority.issue(&["worker"])?;
        std::fs::copy(authority.ca_file(), path("ca.crt"))?;
        std::fs::copy(&client.cert_file, path("tls.crt"))?;
        std::fs::copy(&client.key_file, path("tls.key"))?;
        Ok(())
    };
    mount(&old)?;
    let files = ["ca.crt", "tls.crt", "tls.key"].map(|name| path(name).display().to_string());
    let locker = setup
        .connect(&[
            ("REDIS_TLS_CA_FILE", &files[0]),
            ("REDIS_TLS_CERT_FILE", &files[1]),
            ("REDIS_TLS_KEY_FILE", &files[2]),
        ])
        .await?;
    locker.try_acquire("order").await?.release().await?;

    rotate(&setup.server, &new)?;
    soon("the refusal", async {
        let is_tls = |error: &Error| {
            let cause = error.unavailable().map(leasehold::Unavailable::cause);
            matches!(cause, Some(Cause::Tls { .. }))
        };
        while !locker
            .try_acquire("order")
            .await
            .is_err_and(|error| is_tls(&error))
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    mount(&new)?;
    soon("the way back", async {
        while locker.try_acquire("order").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    Ok(())
}
