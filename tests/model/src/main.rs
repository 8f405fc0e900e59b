//! Runs the models.
use leasehold_model::{report::*, strict, quorum, Expected};
fn main() {
    let which = std::env::args().nth(1);
    let until = |e| match e { Expected::Holds => Until::Exhausted, Expected::Breaks(p) => Until::Counterexample(p) };
    let skip = |n: &str| which.as_deref().is_some_and(|w| !n.starts_with(w)) || which.is_none() && n.starts_with("full");
    for v in strict::variants::all() {
        if skip(v.name) { continue; }
        println!("{} {:?}: {}", v.about, v.expected, explore(v.name, v.model(), until(v.expected)));
    }
    for v in quorum::variants::all() {
        if skip(v.name) { continue; }
        println!("{} {:?}: {}", v.about, v.expected, explore(v.name, v.model, until(v.expected)));
    }
}
