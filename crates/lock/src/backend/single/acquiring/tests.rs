use super::*;

/// Without it the key of the void grant would keep the lock from everybody for one TTL.
#[test]
fn a_gate_that_closes_after_a_void_grant_has_it_taken_back() {
    let remaining = Some(Duration::from_secs(3));
    let closed = Refusal::GateClosed {
        remaining,
        epoch: 7,
    };
    let refusal = refused(closed, true);
    assert!(
        matches!(
            refusal,
            GrantOutcome::Refused(Refusal::Resynced { remaining: left, epoch: 7 }) if left == remaining
        ),
        "{refusal:?}"
    );
}

/// Who is held by another has lost the key of the void grant already.
#[test]
fn another_holder_after_a_void_grant_is_told_as_it_is() {
    let held = Refusal::Held {
        owner: Some("other".to_owned()),
        remaining: None,
        before: None,
    };
    let refusal = refused(held, true);
    assert!(
        matches!(refusal, GrantOutcome::Refused(Refusal::Held { .. })),
        "{refusal:?}"
    );
}
