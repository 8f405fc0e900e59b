//! `leasehold watch`: on a terminal, on a pipe, as JSON; and what `status` and a waiting command tell.

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use common::terminal::{CTRL_C, CTRL_Z, Terminal};
use common::{Failure, PATIENCE, code, leasehold, output, server_env, stderr, stdout};
use leasehold_testkit::{ChildProcess, RedisServer, wait_for};
use serde_json::Value;

fn command(server: &RedisServer, words: &[&str]) -> Command {
    let mut command = leasehold(&server_env(server));
    command.env("LOCK_TTL", "30s").env("LOCK_MAX_TTL", "30s");
    command.args(words).stdin(Stdio::null());
    command
}

/// Holds a resource for as long as the returned process lives.
fn hold(server: &RedisServer, words: &[&str]) -> Result<ChildProcess, Failure> {
    let mut words = words.to_vec();
    words.extend(["--", "cat"]);
    let mut command = command(server, &words);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    Ok(ChildProcess::spawn(command)?)
}

fn json(server: &RedisServer, words: &[&str]) -> Result<Value, Failure> {
    let printed = output(command(server, words))?;
    serde_json::from_str(&stdout(&printed)).map_err(|error| {
        let (out, err) = (stdout(&printed), stderr(&printed));
        format!("{words:?}: {error}: {out}{err}").into()
    })
}

/// Waits until a JSON document shows what it should.
fn eventually(
    server: &RedisServer,
    words: &[&str],
    holds: impl Fn(&Value) -> bool,
) -> Result<Value, Failure> {
    let seen = wait_for(format!("{words:?}"), PATIENCE, || {
        let document = json(server, words).map_err(|error| error.to_string())?;
        if holds(&document) {
            Ok(document)
        } else {
            Err(document.to_string())
        }
    });
    Ok(seen?)
}

#[test]
fn each_line_of_json_tells_who_holds_and_who_waits() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let _holder = hold(&server, &["--owner", "first", "run", "order"])?;
    eventually(&server, &["status", "order", "--json"], |status| {
        status["held"] == true
    })?;
    let _waiter = hold(&server, &["run", "order"])?;
    let _slots = [
        hold(
            &server,
            &["--owner", "slot-a", "run", "gpu", "--slots", "2"],
        )?,
        hold(
            &server,
            &["--owner", "slot-b", "run", "gpu", "--slots", "2"],
        )?,
    ];
    server.command(&["SET", "plain", "someone else's value", "PX", "60000"])?;
    let words = ["watch", "--json", "--count", "1", "--all"];
    let seen = eventually(&server, &words, |seen| {
        let locks = seen["locks"].as_array().map_or(0, Vec::len);
        locks >= 4 && seen["locks"][2]["waiters"] == 1
    })?;
    // The counters of the fences are strings too, and no locks.
    let [a, b, order, plain] = seen["locks"].as_array().ok_or("no locks")?.as_slice() else {
        return Err(seen.to_string().into());
    };
    assert_eq!(order["resource"], "order");
    assert_eq!(order["owner"], "first");
    assert!(order["slot"].is_null());
    assert!(order["held_for_ms"].as_u64() < Some(PATIENCE.as_millis() as u64));
    assert!(order["remaining_ms"].as_u64() <= Some(30_000));
    for (number, slot) in [a, b].into_iter().enumerate() {
        assert_eq!(
            (&slot["resource"], &slot["slot"]),
            (&"gpu".into(), &number.into())
        );
        assert!(slot["held_for_ms"].is_u64() && slot["seen_for_ms"].is_u64());
    }
    assert_eq!(plain["resource"], "plain");
    assert!(plain["held_for_ms"].is_null() && plain["seen_for_ms"].is_u64());

    let mut reader = command(&server, &["watch", "order", "--json", "--interval", "50ms"]);
    reader.stdout(Stdio::piped());
    let watching = ChildProcess::spawn(reader)?;
    let lines = BufReader::new(watching.take_stdout().ok_or("no pipe")?).lines();
    let times: Vec<u64> = lines
        .take(3)
        .map(|line| -> Result<u64, Failure> {
            let document: Value = serde_json::from_str(&line?)?;
            document["locks"][0]["seen_for_ms"]
                .as_u64()
                .ok_or_else(|| document.to_string().into())
        })
        .collect::<Result<_, _>>()?;
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    // A reader that has gone is no failure.
    assert_eq!(watching.wait(PATIENCE)?.code(), Some(0));
    Ok(())
}

#[test]
fn on_a_pipe_there_is_one_plain_table_per_interval() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    server.command(&["SET", "order", &format!("\u{1b}[31mone/{}", "0".repeat(32))])?;
    let printed = output(command(&server, &["watch", "-i", "50ms", "-c", "3"]))?;
    let text = stdout(&printed);
    assert_eq!(code(&printed), 0, "{}", stderr(&printed));
    assert_eq!(text.matches("RESOURCE").count(), 3, "{text}");
    assert_eq!(text.matches("never expires").count(), 3, "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let none = output(command(&server, &["watch", "--count", "0"]))?;
    assert_eq!(code(&none), 64);
    Ok(())
}

#[test]
fn a_terminal_is_drawn_on_and_given_back() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let token = format!("someone/{}", "0".repeat(32));
    server.command(&["SET", "order", &token, "PX", "60000"])?;
    let terminal = Terminal::open()?;
    let watching = terminal.spawn(&command(&server, &["watch", "-i", "50ms"]))?;
    let seen = terminal.shows("someone")?;
    assert!(
        seen.starts_with("leasehold watch *: 1 held, every 50ms"),
        "{seen}"
    );
    assert!(!terminal.is_as_found());
    server.command(&["SET", "very-long", &token, "PX", "60000"])?;
    terminal.shows("very-long")?;
    server.command(&["DEL", "very-long"])?;
    let seen = terminal.until("one row", |seen| !seen.contains("very-long"))?;
    assert!(seen.contains("order     someone"), "{seen}");
    for number in 0..20 {
        server.command(&["SET", &format!("many-{number:02}"), &token, "PX", "60000"])?;
    }
    let seen = terminal.shows("21 held")?;
    assert!(
        seen.lines().count() <= 12 && seen.starts_with("leasehold watch"),
        "{seen}"
    );

    terminal.type_in(CTRL_Z)?;
    wait_for("a stopped command on a clean screen", PATIENCE, || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", watching.pid()));
        let stat = stat.map_err(|error| error.to_string())?;
        if stat.contains(") T ") && terminal.is_as_found() {
            Ok(())
        } else {
            Err(stat)
        }
    })?;
    watching.resume()?;
    terminal.shows("21 held")?;

    terminal.type_in(CTRL_C)?;
    assert_eq!(watching.wait(PATIENCE)?.code(), Some(130));
    let contents = terminal.until("an empty screen", |seen| !seen.contains("held"))?;
    assert!(terminal.is_as_found(), "{contents}");
    let bytes = terminal.bytes();
    assert!(
        bytes.trim_end_matches("^C").ends_with("\u{1b}[?1049l"),
        "{bytes:?}"
    );
    // Nothing is wiped before it is drawn anew: that is what flickers.
    assert!(!bytes.contains("\u{1b}[2J"), "{bytes:?}");
    Ok(())
}

#[test]
fn colours_need_a_terminal_and_leave() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let token = format!("someone/{}", "0".repeat(32));
    server.command(&["SET", "order", &token])?;
    let red = "\u{1b}[31mnever expires";
    for (no_color, is_coloured) in [("", true), ("1", false)] {
        let terminal = Terminal::open()?;
        let mut command = command(&server, &["watch", "-i", "50ms", "-c", "2"]);
        command.env("NO_COLOR", no_color);
        let watching = terminal.spawn(&command)?;
        assert_eq!(watching.wait(PATIENCE)?.code(), Some(0));
        // What was seen last stays.
        terminal.until("the table on a clean screen", |seen| {
            seen.contains("never expires") && terminal.is_as_found()
        })?;
        assert_eq!(terminal.bytes().contains(red), is_coloured);
    }
    Ok(())
}

#[test]
fn an_outage_is_told_and_survived() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let token = format!("someone/{}", "0".repeat(32));
    server.command(&["SET", "order", &token])?;
    let terminal = Terminal::open()?;
    let watching = terminal.spawn(&command(&server, &["watch", "-i", "50ms"]))?;
    terminal.shows("1 held")?;
    server.kill();
    let port = server.port().to_string();
    let seen = terminal.until("the outage", |seen| {
        seen.lines().nth(1).is_some_and(|line| line.contains(&port))
    })?;
    assert!(seen.contains("order"), "what was seen last stays: {seen}");
    server.restart()?;
    server.command(&["SET", "later", &token])?;
    let seen = terminal.shows("later")?;
    assert!(!seen.contains(&port), "{seen}");
    watching.terminate()?;
    assert_eq!(watching.wait(PATIENCE)?.code(), Some(143));
    Ok(())
}

#[test]
fn with_slots_their_holders_are_told() -> Result<(), Failure> {
    let server = RedisServer::start()?;
    let slots = ["run", "gpu", "--slots", "2"];
    let status = ["status", "gpu", "--slots", "2"];
    assert_eq!(code(&output(command(&server, &status))?), 1);
    let _one = hold(&server, &[&["--owner", "slot-a"], &slots[..]].concat())?;
    let json_status = ["status", "gpu", "--slots", "2", "--json"];
    eventually(&server, &json_status, |seen| seen["held"] == 1)?;
    assert_eq!(code(&output(command(&server, &status))?), 1);
    let _two = hold(&server, &[&["--owner", "slot-b"], &slots[..]].concat())?;
    let seen = eventually(&server, &json_status, |seen| seen["held"] == 2)?;
    let owners: Vec<&Value> = (0..2).map(|slot| &seen["slots"][slot]["owner"]).collect();
    assert!(owners.contains(&&"slot-a".into()) && owners.contains(&&"slot-b".into()));
    let printed = output(command(&server, &status))?;
    assert_eq!(code(&printed), 0);
    let text = stdout(&printed);
    assert!(text.contains("gpu: 2 of 2 slots held"), "{text}");
    assert!(text.contains("slot-a") && text.contains("slot-b"), "{text}");

    let mut waiting = command(&server, &slots);
    waiting.args(["--wait", "2s", "true"]);
    let waited = output(waiting)?;
    assert_eq!(code(&waited), 75);
    let notice = stderr(&waited);
    let notice = notice.lines().next().unwrap_or_default();
    assert!(notice.contains("2 slots held by slot-"), "{notice}");
    assert!(
        notice.contains("slot-a") && notice.contains("slot-b"),
        "{notice}"
    );
    assert!(notice.ends_with("1 waiting"), "{notice}");
    // Who gave up waits no more.
    let seen = json(&server, &json_status)?;
    assert_eq!(seen["slots"][0]["waiters"], 0, "{seen}");
    Ok(())
}
