//! Strict mode with its default settings: from the announcement of a new master to the first grant by it, how often that
//! takes no pause, and why it does otherwise.

mod cases;
mod pool;

use std::collections::BTreeMap;

use self::cases::{Case, Outcome};
use self::pool::Pool;
use super::Effort;
use crate::Result;
use crate::report::{Figure, Target};
use crate::spread::Spread;

/// Of each kind; a run that is not shortened makes four times as many.
const FEWEST: usize = 5;
/// Clusters that wait until they are warm at the same time.
const CLUSTERS: usize = 10;

pub(super) async fn measure(effort: Effort) -> Result<Figure> {
    let failovers = if effort.rounds > 5 {
        4 * FEWEST
    } else {
        FEWEST
    };
    let pool = Pool::start(failovers.min(CLUSTERS))?;
    let question = "how long from a new master's announcement to its first grant, and how often without a pause?";
    let mut figure = Figure::new("takeover", question);
    for case in Case::ALL {
        let mut outcomes = Vec::new();
        for round in 0..failovers {
            let cluster = pool.cluster(round);
            if round % pool.len() == 0 {
                pool.warm()?;
                eprintln!("takeover: {}: {} are warm", case.name(), pool.len());
            }
            let outcome = case.carry_out(cluster, round, failovers).await?;
            tell(case, &outcome);
            outcomes.push(outcome);
        }
        add(&mut figure, case, &outcomes);
    }
    Ok(figure)
}

fn tell(case: Case, outcome: &Outcome) {
    let pause = match outcome.reason.as_str() {
        _ if outcome.is_fast => "without a pause".to_owned(),
        "" => "after a pause".to_owned(),
        reason => format!("after a pause: {reason}"),
    };
    eprintln!(
        "takeover: {}: {:.0} ms, {pause}; {:.0} ms without a grant",
        case.name(),
        outcome.milliseconds,
        outcome.gap.as_secs_f64() * 1e3
    );
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn add(figure: &mut Figure, case: Case, outcomes: &[Outcome]) {
    let name = format!("{}, {} times", case.name(), outcomes.len());
    let times = Spread::of(outcomes.iter().map(|outcome| outcome.milliseconds));
    let measure = "second of three Sentinels' +switch-master to first grant";
    match case.at_most_ms() {
        Some(bound) => figure.aim(&name, measure, "ms", times, Target::AtMost(bound)),
        None => figure.add(&name, measure, "ms", times),
    }
    // Without a client that was there before there is nothing to compare with.
    if case != Case::Unknown {
        let gaps = outcomes.iter().map(|outcome| outcome.gap.as_secs_f64());
        figure.add(&name, "longest time without a grant", "s", Spread::of(gaps));
    }
    let fast = outcomes.iter().filter(|outcome| outcome.is_fast).count();
    let share = Spread::once(fast as f64 / outcomes.len() as f64);
    let measure = "share without a pause";
    match case.at_least_fast() {
        Some(bound) => figure.aim(&name, measure, "", share, Target::AtLeast(bound)),
        None => figure.add(&name, measure, "", share),
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.is_fast) {
        *reasons.entry(kind_of(&outcome.reason)).or_default() += 1;
    }
    for (reason, count) in reasons {
        let share = Spread::once(count as f64 / outcomes.len() as f64);
        figure.add(&name, &format!("share with a pause: {reason}"), "", share);
    }
}

/// The reason without the nodes and figures in it.
fn kind_of(reason: &str) -> &'static str {
    let kinds = [
        ("fully", "a replica was synchronised fully"),
        ("is up for", "a node has not been up for a longest lease"),
        ("have the claim", "a replica did not have the claim in time"),
        ("does not follow", "a replica did not follow in time"),
        ("no other replica", "no other replica followed in time"),
        ("no answer", "a replica did not answer in time"),
        ("epoch", "Sentinel's epoch was skipped"),
        ("was not open", "the last gate was not open"),
        ("named again", "the same master was named again"),
    ];
    let found = kinds.iter().find(|(word, _)| reason.contains(word));
    found.map_or("another reason", |(_, kind)| kind)
}
