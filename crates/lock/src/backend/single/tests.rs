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

/// Of three data nodes.
fn by(acknowledged: usize, look: Option<Look>) -> Confirmed {
    Confirmed {
        acknowledged,
        needed: 2,
        data_nodes: 3,
        look,
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

/// A renewal prolongs a lease only where a majority confirms it under the claim of the gate that it was made under.
#[test]
fn a_renewal_that_does_not_count_is_not_replicated_whoever_has_it() {
    let outcome = |code, acknowledged, look| {
        let answer = Coded {
            code,
            claim: 7,
            holder: "other/0".to_owned(),
        };
        renewal(&answer, by(acknowledged, look), DataSet::local())
    };
    for (code, reasserted) in [(1, false), (2, true)] {
        let renewed = |is_gate_closed| {
            Some(RenewOutcome::Renewed {
                data_set: DataSet::local(),
                reasserted,
                is_gate_closed,
            })
        };
        let not_replicated = |acknowledged, look| {
            Some(RenewOutcome::NotReplicated {
                confirmed: by(acknowledged, look),
                reasserted,
            })
        };
        let closed = Look {
            opens_in: None,
            ..look(7, true)
        };
        assert_eq!(outcome(code, 2, None), renewed(false));
        assert_eq!(outcome(code, 2, Some(look(7, true))), renewed(false));
        assert_eq!(outcome(code, 2, Some(closed)), renewed(true));
        let few = outcome(code, 1, Some(look(7, true)));
        assert_eq!(few, not_replicated(1, Some(look(7, true))));
        for void in [look(8, true), look(7, false)] {
            let all = outcome(code, 3, Some(void));
            assert_eq!(all, not_replicated(1, Some(void)), "none of them counts");
        }
    }
}

#[test]
fn a_renewal_of_what_is_not_held_says_why() {
    let outcome = |code| {
        let answer = Coded {
            code,
            claim: 0,
            holder: "other/0".to_owned(),
        };
        renewal(&answer, by(3, None), DataSet::local())
    };
    let data_set = DataSet::local();
    assert_eq!(outcome(0), Some(RenewOutcome::Missing { data_set }));
    let by_other = owner_in("other/0");
    assert_eq!(outcome(-1), Some(RenewOutcome::Stolen { by: by_other }));
    let unclaimed = RenewOutcome::NotReplicated {
        confirmed: by(1, None),
        reasserted: false,
    };
    assert_eq!(outcome(-2), Some(unclaimed));
    assert_eq!(outcome(-9), None);
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
