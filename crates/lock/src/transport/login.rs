//! The credentials, read when a connection is opened.

use leasehold_config::Credentials;

/// The credentials with the password that its file holds now: a secret that was rotated is taken
/// up by the next connection, without a restart.
///
/// Cancel safe. The caller bounds the wait.
pub(crate) async fn current(credentials: &Credentials) -> Credentials {
    let mut current = credentials.clone();
    let Some(password) = credentials.password.clone() else {
        return current;
    };
    if password.file().is_some() {
        let reading = tokio::task::spawn_blocking(move || password.read_again());
        current.password = reading.await.ok().or(current.password);
    }
    current
}
