//! What replies mean, without a server.

use std::time::Duration;

use redis::Value;

use super::looking::{found, questions};
use super::operator::scanned;
use super::replies::Coded;
use super::*;
use crate::master::look::Look;

fn text(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn look(claim: u64, is_claimed: bool) -> Look {
    Look {
        is_incarnation: true,
        is_claimed,
        opens_in: Some(Duration::ZERO),
        longest: Duration::from_secs(30),
        data_nodes: 3,
        others: 0,
        epoch: 1,
        held_back: None,
        server_us: 0,
        claim,
    }
}

#[test]
fn a_renewal_counts_under_the_claim_that_its_confirmation_found() {
    let answer = |code| Coded {
        code,
        claim: 7,
        holder: String::new(),
    };
    let confirmed = |look| Confirmed {
        look,
        ..Confirmed::not_asked()
    };
    for code in [1, 2] {
        assert!(counts(&answer(code), confirmed(Some(look(7, true)))));
        assert!(!counts(&answer(code), confirmed(Some(look(8, true)))));
        assert!(!counts(&answer(code), confirmed(Some(look(7, false)))));
        assert!(
            counts(&answer(code), confirmed(None)),
            "nothing is asked for"
        );
    }
    // -2 is a gate that is unclaimed; the others are told as they are.
    assert!(!counts(&answer(-2), confirmed(Some(look(7, true)))));
    for code in [0, -1, -3] {
        assert!(counts(&answer(code), confirmed(Some(look(8, false)))));
    }
}

#[test]
fn a_step_through_the_keys_has_a_cursor_and_names() {
    let reply = Value::Array(vec![text("42"), Value::Array(vec![text("a"), text("b")])]);
    let (next, names) = scanned(&reply).expect("a step");
    assert_eq!((next, names), (42, vec!["a".to_owned(), "b".to_owned()]));
    for wrong in [
        Value::Nil,
        Value::Array(vec![text("x"), Value::Array(Vec::new())]),
        Value::Array(vec![text("0"), Value::Nil]),
    ] {
        assert!(scanned(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn each_key_is_asked_for_its_value_its_expiry_and_its_queues() {
    let names = ["gpu:1".to_owned(), "report".to_owned()];
    let sent = questions(&names).get_packed_pipeline();
    let sent = String::from_utf8(sent).expect("text");
    let words: Vec<_> = sent
        .split("\r\n")
        .filter(|word| !word.starts_with(['*', '$']) && !word.is_empty())
        .collect();
    assert_eq!(
        words.join(" "),
        "GETRANGE gpu:1 0 1023 PTTL gpu:1 ZCARD {gpu:1}:queue ZCARD {gpu}:slot-queue \
         GETRANGE report 0 1023 PTTL report ZCARD {report}:queue ZCARD {report}:slot-queue"
    );
}

#[test]
fn a_key_that_cannot_be_read_or_has_expired_hides_no_other() {
    let names = ["a", "gone", "secret", "b"].map(str::to_owned).to_vec();
    let answers = |value, left| [value, Value::Int(left), Value::Int(0), Value::Int(0)];
    let answers = [
        answers(text("x"), 5),
        answers(text(""), -2),
        answers(Value::Nil, 5),
        answers(text("y"), -1),
    ]
    .concat();
    let found = found(names, &answers);
    let told: Vec<_> = found
        .iter()
        .map(|found| (found.name.as_str(), found.holding.remaining))
        .collect();
    assert_eq!(told, [("a", Some(Duration::from_millis(5))), ("b", None)]);
}
