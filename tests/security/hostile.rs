//! A hostile or broken server gets a typed error out of the SDK, in bounded time and memory.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use leasehold::{Cause, Error};
use leasehold_testkit::{FakeServer, Reply};
use leasehold_tests::{connect, soon};

fn variables(port: u16) -> Vec<(String, String)> {
    [
        ("IS_LOCKING_DISABLED", "false"),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port.to_string()),
        ("REDIS_CONNECT_TIMEOUT", "1s"),
        ("REDIS_COMMAND_TIMEOUT", "1s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

async fn refusal(port: u16) -> Error {
    let asked = Instant::now();
    let connecting = connect(variables(port), &[]);
    let error = soon("an answer", connecting).await.expect_err("a refusal");
    assert!(asked.elapsed() < Duration::from_secs(4), "{error}");
    error
}

/// The most memory that this process ever had, in bytes: what is freed by now counts as well.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.expect("a number") * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_an_error_in_time() {
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8
    };
    let noise: Vec<u8> = (0..4096).map(|_| random()).collect();
    let nested = "*1\r\n".repeat(100_000);
    let answers: [&[u8]; 9] = [
        &noise,
        b"$536870912\r\nxx",
        b"*2147483647\r\n",
        b"%2147483647\r\n",
        b"$-2\r\n",
        b"*-9223372036854775808\r\n",
        b":99999999999999999999999999\r\n",
        nested.as_bytes(),
        b"+OK",
    ];
    let before = memory();
    for answer in answers {
        let server = FakeServer::garbage(answer).expect("a listener");
        let error = refusal(server.port()).await;
        let shown = format!("{error:?}");
        assert!(error.unavailable().is_some(), "{shown}");
        assert!(
            shown.len() < 1000 && !shown.contains(char::is_control),
            "{shown}"
        );
    }
    assert!(memory() < before + 64 * 1024 * 1024);
}

/// One reply that never ends, sent as fast as the machine can.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_reply_fills_no_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.write_all(b"$536870000\r\n");
            while connection.write_all(&[b'x'; 65536]).is_ok() {}
        }
    });
    let before = memory();
    let error = refusal(port).await;
    assert!(error.unavailable().is_some(), "{error}");
    let grown = memory().saturating_sub(before);
    assert!(grown < 64 * 1024 * 1024, "grown by {grown} bytes");
}

/// Answers of the right form and the wrong type, to each question in turn.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_wrong_type_are_protocol_errors() {
    for wrong in [
        Reply::Integer(-1),
        Reply::Nil,
        Reply::Array(vec![Reply::Nil; 3]),
        Reply::text("\u{1b}[2J\u{7}"),
    ] {
        let told = wrong.clone();
        let server = FakeServer::with(move |request, _| {
            match request.word(0).to_ascii_uppercase().as_str() {
                "INFO" => told.clone(),
                _ => Reply::Usual,
            }
        })
        .expect("a listener");
        let error = refusal(server.port()).await;
        let cause = error.unavailable().map(leasehold::Unavailable::cause);
        assert!(matches!(cause, Some(Cause::Protocol { .. })), "{error}");
        assert!(!format!("{error:?}").contains(char::is_control), "{error}");
    }
}
