//! Talking to a server.

use std::{collections::BTreeMap, process::Command};

use redis::{ToRedisArgs, Value};

use super::ServerProcess;
use crate::{
    binary, client,
    error::{Error, Result, file_error},
};

impl ServerProcess {
    /// Sends one command on a connection of its own and returns the reply.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with the server's or the network's complaint. A server that is silent is given up after two
    /// seconds.
    pub fn command<A: ToRedisArgs>(&self, words: &[A]) -> Result<Value> {
        client::command(&self.host, self.port(), &self.credentials, words).map_err(|source| {
            Error::Command {
                server: self.name(),
                command: client::first_words(words),
                source,
            }
        })
    }

    /// A connection of the synchronous client, with the kit's credentials.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when it cannot be made.
    pub fn connection(&self) -> Result<redis::Connection> {
        self.connection_of(&self.credentials)
    }

    /// A connection of the synchronous client, with the credentials of an application: see [`url`](Self::url). Without
    /// a password nothing was sent on it yet.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when it cannot be made.
    pub fn application_connection(&self) -> Result<redis::Connection> {
        self.connection_of(self.application.as_ref().unwrap_or(&self.credentials))
    }

    fn connection_of(&self, credentials: &client::Credentials) -> Result<redis::Connection> {
        client::connect(&self.host, self.port(), credentials).map_err(|source| Error::Command {
            server: self.name(),
            command: "connect".to_owned(),
            source,
        })
    }

    /// The fields of one section of `INFO`; an empty section name gives the default sections.
    ///
    /// # Errors
    ///
    /// Those of [`command`](Self::command).
    pub fn info(&self, section: &str) -> Result<BTreeMap<String, String>> {
        let words: &[&str] = if section.is_empty() {
            &["INFO"]
        } else {
            &["INFO", section]
        };
        let reply = self.command(words)?;
        let text = client::text(&reply).ok_or_else(|| self.odd("INFO", &reply))?;
        Ok(client::info_fields(&text))
    }

    /// Runs the command-line client against this server and returns what it printed.
    ///
    /// # Errors
    ///
    /// [`Error::Program`] when it ends with a failure, which an error reply counts as from Redis 7 on.
    pub fn cli(&self, words: &[&str]) -> Result<String> {
        let program = binary::client_of(&self.launch.program)?;
        let mut command = Command::new(&program);
        command.args(["-h", &self.host, "-p", &self.port().to_string()]);
        self.credentials.for_cli(&mut command);
        if binary::major_version(&self.launch.program) >= 7 {
            command.arg("-e");
        }
        let output = command
            .args(words)
            .output()
            .map_err(file_error("starting", &program))?;
        let printed = String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned();
        if output.status.success() {
            return Ok(printed);
        }
        Err(Error::Program {
            program: format!("redis-cli {}", words.join(" ")),
            status: output.status.to_string(),
            output: format!("{printed}{}", String::from_utf8_lossy(&output.stderr)),
        })
    }

    pub(crate) fn odd(&self, command: &str, answer: &Value) -> Error {
        Error::Answer {
            server: self.name(),
            command: command.to_owned(),
            answer: format!("{answer:?}"),
        }
    }

    /// Whether our own process, and not another one on the same port, answers and has its data.
    pub(super) fn probe(&self) -> std::result::Result<(), String> {
        match client::command(&self.host, self.port(), &self.credentials, &["INFO"]) {
            Ok(reply) => {
                let fields = client::info_fields(&client::text(&reply).unwrap_or_default());
                let ours = fields.get("process_id").and_then(|id| id.parse().ok()) == self.pid();
                let loaded = fields.get("loading").is_none_or(|loading| loading == "0");
                match (ours, loaded) {
                    (false, _) => Err("another process answers on the port".to_owned()),
                    (_, false) => Err("it is loading its data".to_owned()),
                    _ => Ok(()),
                }
            }
            // It is up, and the test has reasons to keep even the kit out.
            Err(error) if matches!(error.code(), Some("NOAUTH" | "NOPERM" | "WRONGPASS")) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}
