//! Explores one configuration by its name.

use leasehold_model::{Check, Expected, check};

/// All properties of the configuration hold, and all that must be possible is.
pub(crate) fn holds(name: &str) {
    let check = named(name);
    assert_eq!(check.expected, Expected::Holds);
    let outcome = check.run();
    assert!(check.is_met_by(&outcome), "{outcome}");
}

/// The configuration has the counterexample that it must have.
pub(crate) fn breaks(name: &str) {
    let check = named(name);
    assert_ne!(check.expected, Expected::Holds);
    let outcome = check.run();
    assert!(check.is_met_by(&outcome), "{outcome}");
}

fn named(name: &str) -> Check {
    check(name).unwrap_or_else(|| panic!("there is no configuration {name}"))
}
