//! What is read of a Sentinel's answers.

use super::*;

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn texts(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|entry| text(entry)).collect())
}

fn master_at(epoch: &str) -> Value {
    texts(&[
        "name",
        "mymaster",
        "ip",
        "10.0.0.9",
        "config-epoch",
        epoch,
        "num-slaves",
        "3",
        "num-other-sentinels",
        "4",
        "down-after-milliseconds",
        "1500",
    ])
}

fn peer<'a>(id: &'a str, ip: &'a str, flags: &'a str) -> Vec<&'a str> {
    vec!["runid", id, "flags", flags, "ip", ip, "port", "26379"]
}

fn answers(id: &str, address: Value) -> [Value; 6] {
    let listed = [
        peer("b", "10.0.0.2", "sentinel"),
        peer("c", "10.0.0.3", "s_down,sentinel"),
    ];
    let listed = listed.iter().map(|fields| texts(fields)).collect();
    let replicas = ["6379", "0", "6380"].map(|port| texts(&["ip", "10.0.0.7", "port", port]));
    [
        master_at("7"),
        address,
        master_at("7"),
        text(id),
        Value::Array(listed),
        Value::Array(replicas.into()),
    ]
}

fn error(line: &str) -> Value {
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("a reply")
}

#[test]
fn one_view_is_made_of_all_answers() {
    let id = "a".repeat(40);
    let answers = answers(&id, texts(&["10.0.0.1", "6379"]));
    let view = parse(&answers, "mymaster")
        .expect("answers")
        .expect("one epoch");
    let listed = |id: &str, host, is_down| Peer {
        id: id.to_owned(),
        endpoint: Endpoint::new(host, 26379),
        is_down,
    };
    let expected = View {
        sentinel_id: Some(id),
        address: Endpoint::new("10.0.0.1", 6379),
        epoch: 7,
        other_sentinels: 4,
        replicas: 2,
        down_after: Duration::from_millis(1500),
        listed: Some(vec![
            listed("b", "10.0.0.2", false),
            listed("c", "10.0.0.3", true),
        ]),
    };
    assert_eq!(view, expected);
}

/// The Sentinel may not permit it.
#[test]
fn all_replicas_count_where_they_are_not_listed() {
    let mut answers = answers("a", texts(&["10.0.0.1", "6379"]));
    answers[5] = error("NOPERM this user has no permissions");
    let view = parse(&answers, "mymaster").expect("answers");
    assert_eq!(view.expect("one epoch").replicas, 3);
}

#[test]
fn an_identifier_of_another_length_is_none() {
    let answers = answers("short", texts(&["10.0.0.1", "6379"]));
    let view = parse(&answers, "mymaster")
        .expect("answers")
        .expect("one epoch");
    assert_eq!(view.sentinel_id, None);
}

#[test]
fn an_epoch_that_changes_between_the_answers_makes_no_view() {
    let mut answers = answers("a", texts(&["10.0.0.1", "6379"]));
    answers[2] = master_at("8");
    assert_eq!(parse(&answers, "mymaster"), Ok(None));
}

#[test]
fn impossible_addresses_are_refused() {
    let long = "h".repeat(256);
    for (host, port) in [
        ("", "6379"),
        ("h\n", "6379"),
        (long.as_str(), "6379"),
        ("h", "0"),
        ("h", "65536"),
    ] {
        let named = parse(&answers("a", texts(&[host, port])), "mymaster");
        assert!(matches!(named, Err(Cause::Protocol { .. })), "{named:?}");
    }
    let longest = "h".repeat(255);
    assert!(parse(&answers("a", texts(&[&longest, "1"])), "mymaster").is_ok());
}

#[test]
fn refusals_are_told_apart() {
    let refused = |line| {
        let mut answers = answers("a", Value::Nil);
        answers[0] = error(line);
        parse(&answers, "mymaster").expect_err("a refusal")
    };
    let unknown = Cause::UnknownMaster {
        service: "mymaster".to_owned(),
    };
    assert_eq!(refused("ERR No such master with that name"), unknown);
    assert_eq!(
        refused("ERR unknown command 'SENTINEL', with args beginning with: "),
        Cause::IsNotSentinel
    );
    let other = refused("ERR unknown command 'INFO', with args beginning with: ");
    assert!(matches!(other, Cause::CommandDisabled { .. }), "{other:?}");
    let nil = parse(&answers("a", Value::Nil), "mymaster");
    assert_eq!(nil, Err(unknown), "a master without an address");
}

#[test]
fn all_questions_are_asked_in_one_go() {
    assert_eq!(questions("mymaster").cmd_iter().count(), 6);
}

#[test]
fn one_without_an_address_is_left_out() {
    let fields = [peer("b", "", "sentinel"), peer("c", "10.0.0.3", "sentinel")];
    let listed = Value::Array(fields.iter().map(|fields| texts(fields)).collect());
    let ids: Vec<String> = others(&listed)
        .expect("a list")
        .into_iter()
        .map(|peer| peer.id)
        .collect();
    assert_eq!(ids, ["c"]);
}
