//! How long after the Sentinels' announcement the first lease is granted on the new master.
//!
//! `cargo test --release -p leasehold-tests --test failover -- --ignored --nocapture announcement`
//! prints one JSON object; `FAILOVERS=20` changes the number of failovers of each kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leasehold::Locker;
use leasehold_testkit::SentinelCluster;
use leasehold_tests::{blocking, connect, patient, sentinel_env, soon};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// One line that a server sent unasked, when it came, and who sent it.
struct Line {
    at: Instant,
    port: u16,
    text: String,
}

/// Sends `command` to a server on a connection of its own and passes on the lines that contain
/// `needle`. A promotion closes all connections, so the connection is made again.
fn listen(
    port: u16,
    command: &'static str,
    needle: &'static str,
    heard: &mpsc::UnboundedSender<Line>,
) {
    let heard = heard.clone();
    tokio::spawn(async move {
        while !heard.is_closed() {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await
                && stream.write_all(command.as_bytes()).await.is_ok()
            {
                let mut lines = BufReader::new(stream).lines();
                while let Ok(Some(text)) = lines.next_line().await {
                    let at = Instant::now();
                    if text.contains(needle) {
                        let _ = heard.send(Line { at, port, text });
                    }
                }
            }
            sleep(Duration::from_millis(2)).await;
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn from_the_announcement_to_the_first_grant() {
    let count = std::env::var("FAILOVERS").map_or(12, |count| count.parse().expect("a number"));
    let mut figures = Vec::new();
    for kill in [true, false] {
        let cluster = if kill {
            SentinelCluster::builder()
        } else {
            patient()
        };
        let cluster = cluster.start().expect("a cluster");
        let (heard, mut announced) = mpsc::unbounded_channel();
        for sentinel in cluster.sentinels() {
            listen(
                sentinel.port(),
                "SUBSCRIBE +switch-master\r\n",
                "mymaster ",
                &heard,
            );
        }
        // What a script of ours writes, as opposed to what a replica copies from its master.
        let (heard, mut granted) = mpsc::unbounded_channel();
        for node in cluster.nodes() {
            listen(
                node.port(),
                "MONITOR\r\n",
                " lua] \"SET\" \"report-",
                &heard,
            );
        }
        let relaxed = [("LOCK_SAFETY", "relaxed")];
        let locker = connect(sentinel_env(&cluster), &relaxed)
            .await
            .expect("connect");
        let mut delays = Vec::new();
        for _ in 0..count {
            delays.push(one(&cluster, &locker, (&mut announced, &mut granted), kill).await);
        }
        delays.sort();
        figures.push(serde_json::json!({
            "failover": if kill { "SIGKILL of the master" } else { "SENTINEL FAILOVER" },
            "count": delays.len(),
            "median_ms": milliseconds(delays[delays.len() / 2]),
            "min_ms": milliseconds(delays[0]),
            "max_ms": milliseconds(delays[delays.len() - 1]),
        }));
    }
    println!(
        "{}",
        serde_json::json!({ "from_switch_master_to_first_grant": figures })
    );
}

fn milliseconds(delay: Duration) -> f64 {
    (delay.as_secs_f64() * 10_000.0).round() / 10.0
}

type Lines = mpsc::UnboundedReceiver<Line>;

/// One failover: from the first announcement of any Sentinel to the first grant on the master that
/// it names.
async fn one(
    cluster: &SentinelCluster,
    locker: &Locker,
    (announced, granted): (&mut Lines, &mut Lines),
    kill: bool,
) -> Duration {
    blocking(|| cluster.wait_until_stable()).expect("a stable cluster");
    while announced.try_recv().is_ok() {}
    while granted.try_recv().is_ok() {}
    let ends = Arc::new(AtomicBool::new(false));
    let working = tokio::spawn(work(locker.clone(), ends.clone()));
    let old = blocking(|| cluster.master_index()).expect("a master");
    let announcement = soon("the announcement", async {
        loop {
            if kill {
                cluster.node(old).kill();
            } else {
                // Refused while it is under way; given up if no replica is fit at that moment.
                let _ = blocking(|| cluster.failover());
            }
            if let Ok(line) = timeout(Duration::from_secs(8), announced.recv()).await {
                break line.expect("a line");
            }
        }
    })
    .await;
    let new: u16 = announcement
        .text
        .rsplit(' ')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("the new master's port");
    let grant = soon("a grant on the new master", async {
        loop {
            let line = granted.recv().await.expect("a line");
            if line.port == new {
                break line;
            }
        }
    })
    .await;
    ends.store(true, Ordering::Relaxed);
    working.await.expect("the worker");
    if kill {
        blocking(|| cluster.node(old).restart()).expect("a restart");
    }
    grant.at.saturating_duration_since(announcement.at)
}

/// Leases and releases as fast as it goes, under ever new names: what the old master released after
/// the promotion is still held on the new one, until it expires.
async fn work(locker: Locker, ends: Arc<AtomicBool>) {
    let mut number = 0;
    while !ends.load(Ordering::Relaxed) {
        number += 1;
        if let Ok(held) = locker.acquire(format!("report-{number}")).await {
            let _ = held.release().await;
        }
    }
}
