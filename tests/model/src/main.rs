//! Runs the models.
use leasehold_model::strict::{Bounds, Rules, Strict, rules::*};
use stateright::{Checker, Model, HasDiscoveries};
fn main() {
    let a: Vec<u8> = std::env::args().skip(2).map(|x| x.parse().unwrap()).collect();
    let o = |x: u8| if x == 9 { None } else { Some(x) };
    let bounds = Bounds { clients: a[0], lease: a[1], delay: a[2], failovers: o(a[3]), restarts: o(a[4]), flushes: o(a[5]), backlog_expiries: o(a[6]), horizon: a[7], skew: a[8], floors: true, check_recovery: a[9] > 0 };
    let s = Rules::STRICT;
    let vs = [
        ("strict", s),
        ("nowait", Rules { confirm_grants: false, confirm_renewals: false, ..s }),
        ("nowaitgrant", Rules { confirm_grants: false, ..s }),
        ("nowaitrenew", Rules { confirm_renewals: false, ..s }),
        ("short", Rules { gate_short_by: 1, ..s }),
        ("late", Rules { void_late_renewals: false, ..s }),
        ("return", Rules { no_return: false, ..s }),
        ("gateunconf", Rules { confirm_gate: false, ..s }),
        ("absent", Rules { absent_record_waits: false, ..s }),
        ("reassert", Rules { reassert_only_while_closed: false, ..s }),
        ("runid", Rules { incarnation: Incarnation::RunId, ..s }),
        ("connected", Rules { majority_of: MajorityOf::Connected, ..s }),
        ("noepoch", Rules { new_only_at_epoch_zero: false, ..s }),
        ("flush", Rules { new_only_unflushed: false, ..s }),
        ("uptime", Rules { new_counts_uptime: false, ..s }),
        ("repromote", Rules { no_unbroken_repromotion: false, ..s }),
        ("alone", Rules { restarts_keep_role: false, ..s }),
        ("alone+ask", Rules { restarts_keep_role: false, claim_asks_sentinel: true, ..s }),
        ("repromote+ask", Rules { no_unbroken_repromotion: false, claim_asks_sentinel: true, ..s }),
        ("return+ask", Rules { no_return: false, claim_asks_sentinel: true, ..s }),
        ("reassert+late", Rules { reassert_only_while_closed: false, void_late_renewals: false, ..s }),
    ];
    let which = std::env::args().nth(1).unwrap();
    for (n, rules) in vs { if which != "all" && which != n { continue; }
    let t = std::time::Instant::now();
    let m = Strict { rules, bounds };
    let c = m.checker().threads(if n == "strict" {2} else {1}).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{n}: {} unique depth {} {:?}", c.unique_state_count(), c.max_depth(), t.elapsed());
    for (k, p) in c.discoveries() { println!("   {k} {}", p.clone().into_actions().len()); if which == n && (k.starts_with("at most") || k.starts_with("fences")|| k.starts_with("a grant is")) { for s in p.into_actions() { println!("      {s:?}"); } } }
    }
}
