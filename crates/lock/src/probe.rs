//! Asks one server directly, for programs that diagnose a deployment.
//!
//! It connects as the SDK does, with the same credentials, TLS and timeouts, but believes nothing:
//! neither that the server is a master nor what the Sentinels say.

use std::time::Duration;

use leasehold_config::{Endpoint, Topology};
use redis::Value;

use crate::protocol::reply;
use crate::transport::connection::{CloseSignal, Connection, ConnectionSettings};
use crate::transport::tls::TlsClient;
use crate::unavailable::{Cause, Part, Unavailable, printable};

/// Which of the two hops a server belongs to; each has its own credentials and TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// To a Sentinel.
    Sentinel,
    /// To a data node.
    Node,
}

/// A connection to one server.
#[derive(Clone)]
pub struct Probe {
    connection: Connection,
    limit: Duration,
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing there.
    Nil,
    /// A number.
    Integer(i64),
    /// Text; bytes that are not UTF-8 are replaced.
    Text(String),
    /// Several answers; a map becomes its keys and values in turn.
    List(Vec<Answer>),
}

impl Answer {
    /// The text, or the number as text.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The items of a list; empty for anything else.
    #[must_use]
    pub fn items(&self) -> &[Answer] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The value that follows `name` in a list of names and values.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        let mut pairs = self.items().chunks_exact(2);
        pairs.find_map(|pair| (pair[0].text().as_deref() == Some(name)).then(|| pair[1].text())?)
    }
}

impl Probe {
    /// Connects to one server of a topology, logs in, and selects the database.
    ///
    /// # Errors
    ///
    /// Why the server cannot be used.
    pub async fn open(
        topology: &Topology,
        hop: Hop,
        endpoint: &Endpoint,
    ) -> Result<Self, Unavailable> {
        let settings = settings(topology, hop).map_err(|cause| Unavailable::on(endpoint, cause))?;
        let opening = Connection::open(endpoint, &settings, CloseSignal::default(), |_| {});
        let connection = opening.await.map_err(|unavailable| match hop {
            Hop::Sentinel => unavailable.with_part(Part::Sentinel),
            Hop::Node => unavailable,
        })?;
        Ok(Self {
            connection,
            limit: settings.command_timeout,
        })
    }

    /// Asks, and waits as long as `REDIS_COMMAND_TIMEOUT` allows.
    ///
    /// # Errors
    ///
    /// Why there is no answer, or what the server refused.
    pub async fn ask(&self, words: &[&str]) -> Result<Answer, Unavailable> {
        let asking = self.connection.ask([words], self.limit).await;
        let [answer] = asking.map_err(|failure| failure.unavailable)?;
        read(answer).map_err(|cause| Unavailable::on(self.connection.node(), cause))
    }
}

fn settings(topology: &Topology, hop: Hop) -> Result<ConnectionSettings, Cause> {
    let nodes = match topology {
        Topology::Sentinel(sentinel) => &sentinel.nodes,
        Topology::Standalone(standalone) => &standalone.nodes,
        Topology::Cluster(cluster) => &cluster.nodes,
        _ => {
            return Err(Cause::Server {
                detail: "this topology has no single set of credentials".to_owned(),
            });
        }
    };
    let (credentials, tls, database) = match (topology, hop) {
        (Topology::Sentinel(sentinel), Hop::Sentinel) => (&sentinel.credentials, &sentinel.tls, 0),
        _ => (&nodes.credentials, &nodes.tls, nodes.database),
    };
    Ok(ConnectionSettings {
        credentials: credentials.clone(),
        database,
        connect_timeout: nodes.connect_timeout,
        command_timeout: nodes.command_timeout,
        client_name: None,
        tls: tls.as_ref().map(TlsClient::load).transpose()?,
    })
}

fn read(value: Value) -> Result<Answer, Cause> {
    match value {
        Value::Nil => Ok(Answer::Nil),
        Value::Int(number) => Ok(Answer::Integer(number)),
        Value::Boolean(yes) => Ok(Answer::Integer(yes.into())),
        Value::Double(number) => Ok(Answer::Text(number.to_string())),
        Value::Array(items) | Value::Set(items) => {
            let items = items.into_iter().map(read).collect::<Result<_, _>>()?;
            Ok(Answer::List(items))
        }
        Value::Map(entries) => {
            let items = entries.into_iter().flat_map(|(name, value)| [name, value]);
            let items = items.map(read).collect::<Result<_, _>>()?;
            Ok(Answer::List(items))
        }
        Value::ServerError(error) => Ok(Answer::Text(printable(&error.to_string()))),
        other => reply::text(&other).map(Answer::Text).map_err(Cause::from),
    }
}
