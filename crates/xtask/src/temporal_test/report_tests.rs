//! What a report must not get away with.

use serde_json::json;

use super::*;

fn good() -> Value {
    json!({
        "limit": 2,
        "workflows": [
            {"workflow": "a", "outcome": "completed", "rows_asked": 1, "rows": 1, "problem": null},
            {"workflow": "b", "outcome": "cancelled", "rows_asked": 1, "rows": null, "problem": null},
        ],
        "cancelled": {"workflow": "b", "message": "waiting for the lock `w`, held by a/r, 3 before us"},
        "record": {
            "holdings": [
                {"warehouse": 0, "slot": 0, "fence": 5, "workflow": "a", "worker": "w1", "holders": 1, "is_done": false},
                {"warehouse": 0, "slot": 0, "fence": 6, "workflow": "a", "worker": "w2", "holders": 1, "is_done": true},
            ],
            "rows": [{"warehouse": 0, "slot": 0, "fence": 6, "workflow": "a"}],
            "refused": 0,
        },
    })
}

fn kept(report: &Value) -> [bool; 5] {
    let report = Report::parse(report);
    [
        report.exclusion().is_kept,
        report.fences().is_kept,
        report.outcomes(2).is_kept,
        report.cancellation().is_kept,
        report.cut_off("w1").is_kept,
    ]
}

#[test]
fn a_good_report_passes() {
    assert_eq!(kept(&good()), [true; 5]);
}

#[test]
fn each_fault_is_found() {
    let faults: [(&str, Value, usize); 12] = [
        ("/record/holdings/1/holders", json!(3), 0),
        ("/record/holdings", json!([]), 0),
        ("/record/holdings/1/fence", json!(4), 1),
        ("/record/rows/0/fence", json!(0), 1),
        ("/workflows/0/outcome", json!("failed"), 2),
        ("/workflows/0/rows", json!(0), 2),
        ("/record/rows/0/workflow", json!("b"), 2),
        ("/workflows", json!([]), 2),
        ("/cancelled/message", json!("waiting for the lock `w`"), 3),
        (
            "/cancelled/message",
            json!("waiting for the lock `w`, held by a/r"),
            3,
        ),
        ("/record/holdings/1/workflow", json!("b"), 3),
        ("/record/holdings/0/is_done", json!(true), 4),
    ];
    for (place, value, broken) in faults {
        let mut report = good();
        *report.pointer_mut(place).expect(place) = value;
        assert!(!kept(&report)[broken], "{place}");
    }
}

#[test]
fn a_stale_write_is_found() {
    let mut report = good();
    let row = |fence| json!({"warehouse": 0, "slot": 0, "fence": fence, "workflow": "a"});
    report["record"]["rows"] = json!([row(6), row(5)]);
    assert!(!Report::parse(&report).fences().is_kept);
    // Two slots have orders of their own.
    report["record"]["rows"][1]["slot"] = json!(1);
    assert!(Report::parse(&report).fences().is_kept);
}
