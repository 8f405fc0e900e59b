//! C1: no two leases on one resource are valid at one instant.

use super::{
    Violation,
    leases::{Lease, by_resource},
    milliseconds,
};

/// Sweeps over the leases of each resource with the one that ends last.
#[must_use]
pub fn check(leases: &[Lease]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (resource, leases) in by_resource(leases) {
        let mut longest: Option<&Lease> = None;
        for lease in leases {
            if let Some(earlier) = longest
                && lease.granted < earlier.ended
                && lease.granted < lease.ended
            {
                let together = milliseconds(lease.granted, earlier.ended.min(lease.ended));
                violations.push(Violation {
                    rule: "C1".into(),
                    at: lease.granted,
                    resource: resource.to_owned(),
                    what: format!(
                        "{} and {} held it together for {together:.1} ms",
                        earlier.name(),
                        lease.name()
                    ),
                });
            }
            if longest.is_none_or(|earlier| lease.ended > earlier.ended) {
                longest = Some(lease);
            }
        }
    }
    violations
}
