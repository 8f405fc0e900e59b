//! Entries for fuzzing: bytes as a server could send them, through everything that reads them.
//!
//! Each panics if a promise is broken: whatever a server says, the answer is a value or a typed
//! error in bounded text that no terminal obeys.

use std::sync::Arc;
use std::time::Duration;

use leasehold_config::{AddressMap, Credentials, Endpoint};
use redis::{Parser, PushInfo, Value};

use crate::backend::single;
use crate::master::gate_replies::{Claimed, Opened};
use crate::master::identity;
use crate::protocol::reply;
use crate::protocol::slots;
use crate::protocol::wakeups::{Calls, WaiterCall};
use crate::sentinel::{link, names, view};
use crate::transport::connection::{CloseSignal, Connection, ConnectionSettings};
use crate::transport::server_errors;
use crate::unavailable::{Cause, Unavailable};

/// More than the longest message has characters.
const LONGEST_MESSAGE: usize = 4096;

/// More replies than any pipeline of ours has.
const MOST_REPLIES: usize = 64;

const PATIENCE: Duration = Duration::from_secs(5);

/// Replies one after another, each read as the answer to every question that is ever asked.
pub fn replies(bytes: &[u8]) {
    let mut rest = bytes;
    let mut parser = Parser::new();
    let mut values = Vec::new();
    while values.len() < MOST_REPLIES && !rest.is_empty() {
        match parser.parse_value(&mut rest) {
            Ok(value) => values.push(value),
            Err(error) => {
                told(server_errors::command_error(&error).0);
                told(server_errors::handshake_error(&error));
                break;
            }
        }
    }
    for value in &values {
        one(value);
    }
    together(&values);
}

fn one(value: &Value) {
    for unexpected in single::read_all(value) {
        protocol(unexpected);
    }
    Claimed::parse(value).map_err(protocol).ok();
    Opened::parse(value).map_err(protocol).ok();
    server_errors::is_unknown_script(value);
    reply::pairs(value).map_err(protocol).ok();
    view::others(value).map_err(told).ok();
    match value {
        Value::ServerError(error) => {
            told(server_errors::server_error(error));
        }
        Value::Push { kind, data } => pushed(&PushInfo {
            kind: kind.clone(),
            data: data.clone(),
        }),
        _ => {}
    }
}

/// Answers that belong together, at each place where they could begin.
fn together(values: &[Value]) {
    let asked = Endpoint::new("asked", 1);
    for pair in values.windows(2) {
        let texts = (reply::text(&pair[0]), reply::text(&pair[1]));
        if let (Ok(server), Ok(replication)) = texts {
            identity::parse(&server, &replication).map_err(told).ok();
        }
        match slots::parse(&pair[0], &pair[1], &asked, &AddressMap::default()) {
            Ok(map) => {
                let masters = map.masters();
                let served = (0..16_384).filter_map(|slot| map.master_of(slot));
                assert!(served.take(100).all(|master| masters.contains(master)));
            }
            Err(unexpected) => protocol(unexpected),
        }
    }
    for six in values.windows(6) {
        view::parse(six, "mymaster").map_err(told).ok();
    }
}

/// Bytes that are everything a server ever says: the connection is opened, or is not, and what is
/// asked over it gets a reply or an error, at once since nothing more will come.
pub fn connection(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let Ok(runtime) = runtime else {
        return;
    };
    let talk = talk(bytes.to_vec());
    let ended = runtime.block_on(async { tokio::time::timeout(PATIENCE, talk).await });
    assert!(ended.is_ok(), "it hangs");
}

async fn talk(said: Vec<u8>) {
    let node = Endpoint::new("node", 1);
    let settings = ConnectionSettings {
        credentials: Credentials::default(),
        database: 1,
        connect_timeout: PATIENCE,
        command_timeout: PATIENCE,
        client_name: Some("fuzz".to_owned()),
        tls: None,
    };
    let stream = tokio::io::join(std::io::Cursor::new(said), tokio::io::sink());
    let opening = Connection::log_in(
        &node,
        &settings,
        CloseSignal::default(),
        |push| pushed(&push),
        stream,
    );
    let connection = match opening.await {
        Ok(connection) => connection,
        Err(cause) => return told(cause),
    };
    for _ in 0..4 {
        match connection.run(&redis::cmd("PING")).await {
            Ok(value) => one(&value),
            Err(failure) => return told_of(&failure.unavailable),
        }
    }
    match identity::read(&connection, PATIENCE).await {
        Ok(_) => {}
        Err(failure) => return told_of(&failure.unavailable),
    }
    let questions = view::questions("mymaster");
    match connection.run_all(&questions, PATIENCE).await {
        Ok(values) => together(&values),
        Err(failure) => told_of(&failure.unavailable),
    }
    // Nothing more comes, so the connection ends by itself.
    connection.close_signal().ended().await;
}

fn pushed(message: &PushInfo) {
    link::concerns(message, "mymaster");
    let calls = Calls {
        channel: "leasehold:wake:0".to_owned(),
        on_call: Arc::new(|call| {
            let (WaiterCall::Free(name) | WaiterCall::Soon(name) | WaiterCall::Changed(name)) =
                call;
            slots::slot_of(name);
        }),
    };
    calls.dispatch(message);
}

fn protocol(unexpected: reply::Unexpected) {
    told(unexpected.into());
}

fn told(cause: Cause) {
    told_of(&Unavailable::new(cause));
}

fn told_of(unavailable: &Unavailable) {
    let message = unavailable.to_string();
    assert!(message.len() <= LONGEST_MESSAGE, "{} bytes", message.len());
    assert!(!message.contains(char::is_control), "{message:?}");
}

/// Has a name of the Sentinels lead to these addresses, in this process, without DNS.
pub fn resolve_as(name: &str, addresses: Vec<Endpoint>) {
    names::made_up::set(name, addresses);
}
