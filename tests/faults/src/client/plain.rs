//! The control: what most programs do. `SET NX PX` on the master that the first Sentinel names, compare-and-delete, a
//! deadline of their own, and `INCR` for a fence.

use std::{sync::Arc, time::Duration};

use redis::{Client, aio::MultiplexedConnection};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use super::{Shared, worker::Plan};
use crate::{
    history::{Kind, nanoseconds, now},
    random::Random,
};

const PATIENCE: Duration = Duration::from_millis(350);
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

type Connection = Arc<Mutex<Option<MultiplexedConnection>>>;

pub(super) async fn run(shared: &Arc<Shared>, random: &mut Random) {
    let connection = Connection::default();
    let tasks: Vec<_> = (0..shared.assignment.tasks)
        .map(|_| {
            let task = Task {
                shared: shared.clone(),
                connection: connection.clone(),
                random: Random::seeded(random.number()),
            };
            tokio::spawn(task.run())
        })
        .collect();
    for task in tasks {
        let _ = task.await;
    }
}

struct Task {
    shared: Arc<Shared>,
    connection: Connection,
    random: Random,
}

impl Task {
    async fn run(mut self) {
        while !self.shared.is_stopping() {
            let plan = Plan::draw(&self.shared, &mut self.random);
            self.carry_out(&plan).await;
            let pause = self.random.milliseconds(0, 20);
            sleep(pause).await;
        }
        let shared = self.shared.clone();
        for resource in &shared.assignment.resources {
            self.carry_out(&Plan::last(&shared, resource)).await;
        }
    }

    async fn carry_out(&mut self, plan: &Plan) {
        let operation = self.shared.next_operation();
        let shared = self.shared.clone();
        let record = |kind| shared.recorder.record(operation, &plan.resource, kind);
        let patience_ms = u64::try_from(plan.patience.as_millis()).unwrap_or(u64::MAX);
        record(Kind::Invoke { patience_ms });
        let token = format!("{}-{operation}", shared.assignment.process);
        let until = Instant::now() + plan.patience;
        let (asked, deadline, fence) = loop {
            let asked = now();
            if let Some(fence) = self.set(plan, &token).await {
                break (asked, asked + nanoseconds(plan.ttl), fence);
            }
            if Instant::now() >= until {
                let error = "it was not free in time".to_owned();
                sleep(Duration::from_millis(20)).await;
                return record(Kind::Failed { error });
            }
            sleep(Duration::from_millis(20)).await;
        };
        let renewed = false;
        record(Kind::Granted {
            fence,
            asked,
            deadline,
            renewed,
            holder: String::new(),
        });
        let until = Instant::now() + plan.hold;
        while Instant::now() < until {
            sleep(Plan::step(&mut self.random)).await;
            let before = now();
            let valid = before < deadline;
            shared
                .recorder
                .record_at(before, operation, &plan.resource, Kind::Checked { valid });
            if !valid {
                return;
            }
            let process = &shared.assignment.process;
            shared
                .orders
                .write(process, operation, &plan.resource, fence)
                .await;
        }
        record(Kind::ReleaseInvoked { by_drop: false });
        let mut release = redis::cmd("EVAL");
        release.arg(RELEASE).arg(1).arg(&plan.resource).arg(&token);
        let outcome = format!("{:?}", self.ask::<i64>(&release).await);
        record(Kind::Released { outcome });
    }

    /// Sets the lock and draws a fence, if it is free.
    async fn set(&self, plan: &Plan, token: &str) -> Option<i64> {
        let mut set = redis::cmd("SET");
        let ttl = u64::try_from(plan.ttl.as_millis()).unwrap_or(u64::MAX);
        set.arg(&plan.resource)
            .arg(token)
            .arg("NX")
            .arg("PX")
            .arg(ttl);
        self.ask::<Option<String>>(&set).await??;
        let counter = format!("{}:fence", plan.resource);
        self.ask(redis::cmd("INCR").arg(counter)).await
    }

    /// Runs a command; after a failure the next one finds the master again.
    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        let mut connection = {
            let mut kept = self.connection.lock().await;
            match &*kept {
                Some(connection) => connection.clone(),
                None => kept.insert(self.connect().await?).clone(),
            }
        };
        let reply = timeout(PATIENCE, command.query_async(&mut connection)).await;
        match reply {
            Ok(Ok(value)) => Some(value),
            Ok(Err(_)) | Err(_) => {
                *self.connection.lock().await = None;
                None
            }
        }
    }

    async fn connect(&self) -> Option<MultiplexedConnection> {
        for sentinel in &self.shared.assignment.sentinels {
            if let Some(master) = master_of(sentinel).await {
                return open(self.reachable(&master)).await;
            }
        }
        None
    }

    /// The address at which this client reaches a server that is known to others as `announced`.
    fn reachable<'a>(&'a self, announced: &'a str) -> &'a str {
        let variables = &self.shared.assignment.variables;
        let map = variables
            .iter()
            .find(|(name, _)| name == "REDIS_ADDRESS_MAP");
        let pairs = map.into_iter().flat_map(|(_, map)| map.split(','));
        let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
        let own = pairs.find(|(known, _)| *known == announced);
        own.map_or(announced, |(_, reachable)| reachable)
    }
}

async fn master_of(sentinel: &str) -> Option<String> {
    let mut connection = open(sentinel).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg("mymaster");
    let answer = timeout(
        PATIENCE,
        question.query_async::<(String, u16)>(&mut connection),
    )
    .await;
    let (host, port) = answer.ok()?.ok()?;
    Some(format!("{host}:{port}"))
}

async fn open(address: &str) -> Option<MultiplexedConnection> {
    let client = Client::open(format!("redis://{address}")).ok()?;
    let opening = client.get_multiplexed_async_connection();
    timeout(PATIENCE, opening).await.ok()?.ok()
}
