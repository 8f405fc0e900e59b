//! The handler over HTTP, on a real server.

use std::sync::Arc;

use leasehold::{Fence, Locker};
use leasehold_examples::web::{Reports, router};
use leasehold_testkit::RedisServer;
use leasehold_tests::{blocking, connect, eventually, soon, standalone_env};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Reports that are written when the test says so.
struct Gated(Arc<Semaphore>);

impl Reports for Gated {
    async fn write(&self, day: &str, fence: Fence) -> String {
        self.0.acquire().await.expect("a go").forget();
        format!("{day} under {fence}")
    }
}

/// A server of the fleet, its address, and what lets its reports be written.
async fn serve(locker: Locker) -> (String, Arc<Semaphore>) {
    let go = Arc::new(Semaphore::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address").to_string();
    let router = router(locker, Gated(go.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, go)
}

async fn locker(server: &RedisServer) -> Locker {
    let locker = connect(standalone_env(server), &[]).await;
    locker.expect("a locker")
}

async fn send(address: &str, day: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request =
        format!("POST /reports/{day} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    soon("an answer", read).await.expect("a text");
    text
}

fn is_held(server: &RedisServer) -> bool {
    let key = "report:2026-11-21";
    blocking(|| server.cli(&["EXISTS", key])).expect("EXISTS") == "1"
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_of_the_fleet_writes_and_the_others_are_told_to_come_again() {
    let server = RedisServer::start().expect("a server");
    let (first, go) = serve(locker(&server).await).await;
    let (second, _) = serve(locker(&server).await).await;
    let writing = send(&first, "2026-11-21").await;
    eventually("the lease", async || is_held(&server)).await;

    let refused = answer(send(&second, "2026-11-21").await).await;
    assert!(refused.starts_with("HTTP/1.1 409 "), "{refused}");
    assert!(refused.contains("retry-after: 5"), "{refused}");

    go.add_permits(1);
    let written = answer(writing).await;
    assert!(written.starts_with("HTTP/1.1 200 "), "{written}");
    assert!(written.contains("2026-11-21 under "), "{written}");
    assert!(!is_held(&server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_no_lease_behind() {
    let server = RedisServer::start().expect("a server");
    let (address, _go) = serve(locker(&server).await).await;
    let calling = send(&address, "2026-11-21").await;
    eventually("the lease", async || is_held(&server)).await;
    drop(calling);
    eventually("the release", async || !is_held(&server)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_and_a_dead_redis_are_503() {
    let server = RedisServer::start().expect("a server");
    let (address, _go) = serve(locker(&server).await).await;
    let writing = send(&address, "2026-11-21").await;
    eventually("the lease", async || is_held(&server)).await;
    blocking(|| server.cli(&["DEL", "report:2026-11-21"])).expect("DEL");
    let lost = answer(writing).await;
    assert!(lost.starts_with("HTTP/1.1 503 "), "{lost}");

    server.kill();
    let unavailable = answer(send(&address, "2026-11-21").await).await;
    assert!(unavailable.starts_with("HTTP/1.1 503 "), "{unavailable}");
    assert!(unavailable.contains("retry-after: 5"), "{unavailable}");
}
