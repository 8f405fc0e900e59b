//! Which answers of Sentinels make a master.

use super::*;

fn says(number: u16, master: u16, epoch: u64) -> SentinelAnswer {
    SentinelAnswer {
        member: usize::from(number),
        sentinel: Endpoint::new("sentinel", number),
        confirmation: Evidence::Configured,
        reply: Ok(View {
            sentinel_id: Some(format!("{number:040}")),
            address: Endpoint::new("node", master),
            epoch,
            other_sentinels: 2,
            replicas: 2,
            down_after: Duration::from_secs(1),
            listed: None,
        }),
    }
}

fn silent(number: u16, cause: Cause) -> SentinelAnswer {
    SentinelAnswer {
        member: usize::from(number),
        sentinel: Endpoint::new("sentinel", number),
        confirmation: Evidence::Configured,
        reply: Err(cause),
    }
}

fn agreed_on(answers: &[SentinelAnswer]) -> Option<(u16, u64)> {
    agreement(answers, 3).map(|agreement| (agreement.address.port(), agreement.epoch))
}

fn message(answers: &[SentinelAnswer]) -> String {
    match verdict(answers, 3, "mymaster") {
        Verdict::Agreed(agreement) => panic!("agreed on {agreement:?}"),
        Verdict::TooFew { unavailable } | Verdict::Failed { unavailable } => {
            unavailable.to_string()
        }
    }
}

#[test]
fn two_of_three_are_enough() {
    assert_eq!(agreed_on(&[says(1, 7001, 4)]), None);
    assert_eq!(
        agreed_on(&[says(1, 7001, 4), says(2, 7001, 4)]),
        Some((7001, 4))
    );
}

#[test]
fn one_liar_with_a_huge_epoch_is_outvoted() {
    let answers = [says(1, 666, 9000), says(2, 7001, 4), says(3, 7001, 4)];
    assert_eq!(agreed_on(&answers), Some((7001, 4)));
}

#[test]
fn a_liar_cannot_move_the_majority() {
    let mut liar = says(1, 666, 9000);
    if let Ok(view) = &mut liar.reply {
        view.other_sentinels = 1_000;
    }
    let answers = [liar, says(2, 7001, 4), says(3, 7001, 4)];
    assert_eq!(agreed_on(&answers), Some((7001, 4)));
}

#[test]
fn one_sentinel_under_two_names_counts_once() {
    let twice = [says(1, 7001, 4), says(1, 7001, 4)];
    assert_eq!(agreed_on(&twice), None);
}

fn found(answer: SentinelAnswer, confirmation: Evidence) -> SentinelAnswer {
    SentinelAnswer {
        confirmation,
        ..answer
    }
}

#[test]
fn a_found_sentinel_counts_once_it_agreed_with_a_configured_one() {
    let agreed_on = |answers: &[SentinelAnswer]| agreement(answers, 1).map(|agreed| agreed.epoch);
    let unproven = |number, master| found(says(number, master, 4), Evidence::Unproven);
    assert_eq!(agreed_on(&[says(1, 7001, 4), unproven(2, 7001)]), Some(4));
    // In whatever order they answer.
    assert_eq!(agreed_on(&[unproven(2, 7001), says(1, 7001, 4)]), Some(4));
    let strangers = [says(1, 7001, 4), unproven(2, 666), unproven(3, 666)];
    assert_eq!(agreed_on(&strangers), None);
    // A proven one is believed where a configured one lags behind.
    let proven = |number| found(says(number, 7002, 5), Evidence::Proven);
    assert_eq!(
        agreed_on(&[says(1, 7001, 4), proven(2), proven(3)]),
        Some(5)
    );
}

#[test]
fn unconfigured_sentinels_count_for_the_majority() {
    assert_eq!(agreement(&[says(1, 7001, 4)], 1), None);
}

#[test]
fn during_a_failover_there_is_no_master() {
    let answers = [
        says(1, 7002, 5),
        says(2, 7001, 4),
        silent(3, Cause::Refused),
    ];
    assert_eq!(
        message(&answers),
        "the Sentinels disagree (sentinel:1 names node:7002 at epoch 5, sentinel:2 names \
         node:7001 at epoch 4); wait for the failover to end; if it lasts, compare SENTINEL \
         MASTER on each of them"
    );
}

#[test]
fn too_few_answers_name_the_silent_ones() {
    let after = Duration::from_millis(500);
    let answers = [
        says(1, 7001, 4),
        silent(2, Cause::Refused),
        silent(3, Cause::Timeout { after }),
    ];
    assert_eq!(
        message(&answers),
        "only 1 Sentinel names a master and 2 are needed (sentinel:2: the connection was \
         refused; sentinel:3: no reply within 500ms); bring the others back; if they are gone \
         for good, SENTINEL RESET makes the rest forget them"
    );
}

#[test]
fn an_unknown_name_is_told_as_such() {
    let unknown = || Cause::UnknownMaster {
        service: "mymaster".into(),
    };
    let answers = [
        silent(1, unknown()),
        silent(2, Cause::Refused),
        silent(3, unknown()),
    ];
    assert_eq!(
        message(&answers),
        "the Sentinels know no master named `mymaster`; correct REDIS_SENTINEL_SERVICE; \
         SENTINEL MASTERS lists the known names"
    );
}

#[test]
fn the_same_address_at_two_epochs_is_no_agreement() {
    assert_eq!(agreed_on(&[says(1, 7001, 4), says(2, 7001, 5)]), None);
    assert_eq!(agreed_on(&[says(1, 7001, 4), says(2, 7002, 4)]), None);
}

#[test]
fn of_four_sentinels_three_are_needed() {
    let of_four = |number| {
        let mut answer = says(number, 7001, 4);
        if let Ok(view) = &mut answer.reply {
            view.other_sentinels = 3;
        }
        answer
    };
    assert_eq!(agreement(&[of_four(1), of_four(2)], 1), None);
    assert!(agreement(&[of_four(1), of_four(2), of_four(3)], 1).is_some());
    // As many as are configured count, too, if the Sentinels know of fewer.
    assert_eq!(agreement(&[says(1, 7001, 4), says(2, 7001, 4)], 4), None);
}

#[test]
fn the_most_replicas_and_the_shortest_patience_count() {
    let mut first = says(1, 7001, 4);
    let mut liar = says(3, 666, 9000);
    if let (Ok(view), Ok(lied)) = (&mut first.reply, &mut liar.reply) {
        view.replicas = 4;
        view.down_after = Duration::from_secs(3);
        lied.replicas = 1_000;
        lied.down_after = Duration::ZERO;
    }
    let agreed = agreement(&[first, says(2, 7001, 4), liar], 3).expect("an agreement");
    assert_eq!(agreed.data_nodes, 5);
    assert_eq!(agreed.down_after, Duration::from_secs(1));
}

#[test]
fn sentinels_without_an_id_are_told_apart_by_nothing_and_all_count() {
    let nameless = |number| {
        let mut answer = says(number, 7001, 4);
        if let Ok(view) = &mut answer.reply {
            view.sentinel_id = None;
        }
        answer
    };
    assert_eq!(agreed_on(&[nameless(1), nameless(2)]), Some((7001, 4)));
}

#[test]
fn a_found_sentinel_that_names_another_master_is_named_as_foreign() {
    let stranger = found(says(2, 666, 4), Evidence::Unproven);
    let silent_found = found(silent(3, Cause::Refused), Evidence::Proven);
    let told = message(&[says(1, 7001, 4), stranger.clone()]);
    assert!(
        told.contains("sentinel:2") && told.contains("666"),
        "{told}"
    );
    let is_announced = |answers: &[SentinelAnswer]| match verdict(answers, 3, "mymaster") {
        Verdict::TooFew { unavailable } => match unavailable.cause() {
            Cause::NoSentinelMajority { announced, .. } => *announced,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert!(is_announced(&[says(1, 7001, 4), silent_found]));
    assert!(!is_announced(&[says(1, 7001, 4), stranger]));
    assert!(!is_announced(&[
        says(1, 7001, 4),
        silent(2, Cause::Refused)
    ]));
}

#[test]
fn what_helps_most_is_told_where_nobody_names_a_master() {
    let wrong = [silent(1, Cause::Refused), silent(2, Cause::WrongPassword)];
    assert!(
        message(&wrong).contains("sentinel:2"),
        "{}",
        message(&wrong)
    );
    let unreachable = message(&[silent(1, Cause::Refused), silent(2, Cause::Refused)]);
    assert!(
        unreachable.contains("sentinel:1") && unreachable.contains("sentinel:2"),
        "{unreachable}"
    );
}

#[test]
fn a_found_sentinel_that_names_the_same_master_at_another_epoch_proves_nothing() {
    let found = found(says(2, 7001, 5), Evidence::Unproven);
    let SentinelAnswer {
        reply: Ok(view), ..
    } = &found
    else {
        panic!("it answered")
    };
    assert!(says(1, 7001, 5).proves(view));
    assert!(!says(1, 7001, 4).proves(view) && !says(1, 7002, 5).proves(view));
}

#[test]
fn a_liar_cannot_lower_what_is_needed() {
    let mut liar = says(1, 666, 4);
    if let Ok(view) = &mut liar.reply {
        view.other_sentinels = 0;
    }
    let answers = [liar, says(2, 7001, 4), says(3, 7001, 4)];
    let agreed = agreement(&answers, 1).expect("an agreement");
    assert_eq!(agreed.address.port(), 7001);
}
