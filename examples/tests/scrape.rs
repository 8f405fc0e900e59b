//! A worker that is scraped the way Prometheus does it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use leasehold_testkit::{ChildProcess, RedisServer, wait_for};
use leasehold_tests::{PATIENCE, standalone_env};

/// The journal that the worker writes to; it takes everything.
fn journal() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        let mut last = 0;
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let mut request = [0; 200];
            let length = connection.read(&mut request).expect("a request");
            let is_write = request[..length].starts_with(b"write");
            let answer = if is_write {
                last += 1;
                "accepted\n".to_owned()
            } else {
                format!("{last}\n")
            };
            connection.write_all(answer.as_bytes()).expect("an answer");
        }
    });
    address
}

/// What is served at the address now.
fn scrape(address: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    Ok(text)
}

/// The value of a sample, by the series as it is written.
fn sample(text: &str, series: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[test]
fn prometheus_finds_what_the_alerts_and_the_dashboard_ask_for() {
    let redis = RedisServer::start().expect("a server");
    // A port that was free just now: the exporter does not tell which one it was given.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let mut command = ChildProcess::command(env!("CARGO_BIN_EXE_scrape"));
    let directory = tempfile::tempdir().expect("a directory");
    command
        .current_dir(directory.path())
        .envs(standalone_env(&redis))
        // Renewed while it works.
        .envs([("LOCK_TTL", "300ms"), ("LOCK_RENEW_INTERVAL", "50ms")])
        .env("REDIS_COMMAND_TIMEOUT", "90ms")
        .env("METRICS", &address)
        .env("JOURNAL", journal())
        .stdout(std::process::Stdio::null());
    let worker = ChildProcess::spawn(command).expect("a worker");

    let text = wait_for("some steps and a renewal", PATIENCE, || {
        let text = scrape(&address).map_err(|error| error.to_string())?;
        let granted = r#"leasehold_acquire_total{lock="",outcome="granted"}"#;
        let renewed = r#"leasehold_renew_total{lock="",outcome="confirmed"}"#;
        let counts = (sample(&text, granted), sample(&text, renewed));
        match counts {
            (Some(granted), Some(renewed)) if granted >= 3.0 && renewed >= 1.0 => Ok(text),
            _ => Err(format!("{counts:?} in {text}")),
        }
    });
    let text = text.expect("metrics");
    assert_eq!(sample(&text, "leasehold_connected"), Some(1.0), "{text}");
    for series in [
        r#"leasehold_wait_seconds_bucket{lock="",outcome="granted",le="30"}"#,
        r#"leasehold_hold_seconds_bucket{lock="",outcome="released",le="600"}"#,
        r#"leasehold_renewal_margin_ratio_bucket{lock="",le="0.33"}"#,
        r#"leasehold_release_total{lock="",outcome="released"}"#,
    ] {
        assert!(sample(&text, series).is_some(), "{series} is not in {text}");
    }
    assert!(worker.is_running());
}
