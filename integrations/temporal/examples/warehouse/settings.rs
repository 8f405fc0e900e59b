//! What the programs of this example read from the environment and `.env`.
//!
//! The SDK reads its own variables by itself; these are the rest.

use std::error::Error;
use std::str::FromStr;

use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, Url};

#[derive(Clone)]
pub struct Settings {
    pub temporal_address: Url,
    pub namespace: String,
    pub task_queue: String,
    /// Where the warehouses' store listens: the starter runs it, the workers write to it.
    pub store_address: String,
    /// What the store calls this worker.
    pub worker: String,
}

impl Settings {
    pub fn read() -> Result<Self, Box<dyn Error>> {
        // Variables of the process beat those of the file, as in the SDK.
        dotenvy::dotenv().ok();
        Ok(Self {
            temporal_address: variable("TEMPORAL_ADDRESS", "http://127.0.0.1:7233")?,
            namespace: variable("TEMPORAL_NAMESPACE", "default")?,
            task_queue: variable("TEMPORAL_TASK_QUEUE", "warehouse")?,
            store_address: variable("WAREHOUSE_STORE", "127.0.0.1:7300")?,
            worker: variable("WORKER", &format!("worker-{}", std::process::id()))?,
        })
    }

    pub async fn client(&self) -> Result<Client, Box<dyn Error>> {
        let options = ConnectionOptions::new(self.temporal_address.clone());
        let options = options.identity(self.worker.clone()).build();
        let connection = Connection::connect(options).await?;
        let options = ClientOptions::new(self.namespace.clone()).build();
        Ok(Client::new(connection, options)?)
    }
}

/// A variable's value, or the default without one.
pub fn variable<T: FromStr<Err: Error + 'static>>(
    name: &str,
    default: &str,
) -> Result<T, Box<dyn Error>> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty());
    let text = text.unwrap_or_else(|| default.to_owned());
    text.parse()
        .map_err(|error| format!("{name}={text}: {error}").into())
}
