//! The campaign in short: strict mode breaks no rule, and the checker finds the controls guilty.
//!
//! A long one is `cargo xtask faults --minutes 10 --seed 1`.

use std::{path::PathBuf, sync::Mutex, time::Duration};

use leasehold_faults::{
    campaign::{Campaign, Outcome},
    client::Protocol,
};

/// One at a time: a campaign needs the machine for itself.
static TURN: Mutex<()> = Mutex::new(());

/// How much longer a campaign goes on that proved nothing: a busy machine kept it from injecting its faults, or the
/// control had luck.
const LONGER: [u64; 2] = [1, 4];

fn run(protocol: Protocol, seconds: u64) -> Outcome {
    // What breaks a rule counts, however little happened.
    let counts =
        |outcome: &Outcome| outcome.report.void.is_none() || !outcome.violations.is_empty();
    run_until(protocol, seconds, counts).expect("a campaign that is not void")
}

/// The control: it must be found guilty of every rule of the first, and never of one of the second.
fn convict(protocol: Protocol, seconds: u64, guilty: &[&str], innocent: &[&str]) {
    let is_guilty = |outcome: &Outcome| {
        for rule in innocent {
            let found = broken(outcome, rule);
            assert_eq!(found, 0, "{rule}: {:#?}", outcome.violations);
        }
        guilty.iter().all(|rule| broken(outcome, rule) > 0)
    };
    let convicted = run_until(protocol, seconds, is_guilty);
    assert!(
        convicted.is_some(),
        "{protocol:?}: not guilty of all of {guilty:?}"
    );
}

fn run_until(
    protocol: Protocol,
    seconds: u64,
    is_enough: impl Fn(&Outcome) -> bool,
) -> Option<Outcome> {
    let mut outcomes = LONGER
        .into_iter()
        .map(|times| run_for(protocol, seconds * times));
    outcomes.find(|outcome| is_enough(outcome))
}

fn run_for(protocol: Protocol, seconds: u64) -> Outcome {
    let name = format!("{protocol:?}").to_lowercase();
    let campaign = Campaign {
        length: Duration::from_secs(seconds),
        seed: 1,
        protocol,
        clients: 8,
        program: env!("CARGO_BIN_EXE_leasehold-faults").into(),
        directory: PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join("faults")
            .join(name),
    };
    let outcome = campaign.run().expect("a campaign");
    println!("{}", outcome.report);
    outcome
}

fn broken(outcome: &Outcome, rule: &str) -> usize {
    outcome
        .report
        .violations
        .get(rule)
        .copied()
        .unwrap_or_default()
}

#[test]
fn strict_mode_breaks_no_rule() {
    let _turn = TURN.lock();
    let outcome = run(Protocol::Strict, 40);
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}

#[test]
fn quorum_mode_breaks_no_rule() {
    let _turn = TURN.lock();
    let outcome = run(Protocol::Quorum, 20);
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}

#[test]
fn a_plain_client_has_two_holders_and_repeats_its_fences() {
    let _turn = TURN.lock();
    convict(Protocol::Plain, 15, &["C1", "C2", "C3"], &[]);
}

#[test]
fn relaxed_mode_has_two_holders_and_keeps_its_fences() {
    let _turn = TURN.lock();
    convict(Protocol::Relaxed, 15, &["C1"], &["C3", "C4", "C6"]);
}
