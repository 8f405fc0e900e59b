//! The witness: counts who believes to hold, apart from any lock.

use std::collections::HashMap;
use std::time::Duration;

use leasehold_tests::PATIENCE;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

const ENTER: &str = include_str!("enter.lua");
const LEAVE: &str = include_str!("leave.lua");
const KEY: &str = "witness";
const DONE: &str = "witness:done";

#[derive(Clone)]
pub(crate) struct Witness {
    connection: MultiplexedConnection,
}

/// What the witness has seen.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) ours: u32,
    pub(crate) foreign: u32,
    /// The most that held at one moment.
    pub(crate) most: u32,
    pub(crate) most_in_a_slot: u32,
    /// Grants while a worker of the other kind held another slot.
    pub(crate) mixed: u32,
    /// Times that a lock went from one kind to the other.
    pub(crate) changes: u32,
    /// Who still holds.
    pub(crate) holders: u32,
}

impl Witness {
    pub(crate) async fn connect(port: u16, password: &str) -> Self {
        let url = format!("redis://:{password}@127.0.0.1:{port}/");
        let client = redis::Client::open(url).expect("an address");
        // The witness is never in a hurry: a loaded machine is no broken lock.
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
        let connection = client
            .get_multiplexed_async_connection_with_config(&patient)
            .await;
        let connection = connection.expect("a connection of the witness");
        Self { connection }
    }

    pub(crate) async fn enter(&self, slot: usize) {
        self.tell(ENTER, slot).await;
    }

    pub(crate) async fn leave(&self, slot: usize) {
        self.tell(LEAVE, slot).await;
    }

    async fn tell(&self, script: &str, slot: usize) {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(KEY).arg("ours").arg(slot);
        let told: redis::RedisResult<redis::Value> =
            command.query_async(&mut self.connection.clone()).await;
        told.expect("the witness listens");
    }

    pub(crate) async fn both_at_work(&self) {
        self.until_each_had(1).await;
    }

    pub(crate) async fn until_each_had(&self, grants: u32) {
        loop {
            let tally = self.tally().await;
            if tally.ours >= grants && tally.foreign >= grants {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tells the foreign workers to end.
    pub(crate) async fn finish(&self) {
        let mut command = redis::cmd("SET");
        command.arg(DONE).arg(1);
        let set: redis::RedisResult<()> = command.query_async(&mut self.connection.clone()).await;
        set.expect("the end is told");
    }

    pub(crate) async fn is_done(&self) -> bool {
        let mut command = redis::cmd("EXISTS");
        command.arg(DONE);
        let exists: redis::RedisResult<bool> =
            command.query_async(&mut self.connection.clone()).await;
        exists.expect("the witness answers")
    }

    pub(crate) async fn tally(&self) -> Tally {
        let mut command = redis::cmd("HGETALL");
        command.arg(KEY);
        let counts: redis::RedisResult<HashMap<String, String>> =
            command.query_async(&mut self.connection.clone()).await;
        let counts = counts.expect("the witness answers");
        let count = |name: &str| {
            let count = counts.get(name);
            count.map_or(0, |count| count.parse().expect("a count"))
        };
        Tally {
            ours: count("grants:ours"),
            foreign: count("grants:foreign"),
            most: count("most"),
            most_in_a_slot: count("most_in_a_slot"),
            mixed: count("mixed"),
            changes: count("changes"),
            holders: count("holders"),
        }
    }
}
