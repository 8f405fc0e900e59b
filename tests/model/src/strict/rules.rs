//! The protocol's rules, each of which can be broken on its own.
//!
//! A rule that no broken variant needs is a rule that nobody has shown to be needed. So every rule is a switch here, and
//! every [`Variant`](super::Variant) names the switch it throws.

/// Whose identity stands in the gate's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incarnation {
    /// `master_replid`: new with every promotion and every restart.
    ReplicationId,
    /// `run_id`: new with every restart only. A node that was demoted and promoted again keeps it.
    RunId,
}

/// What a majority is counted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MajorityOf {
    /// All the data nodes that the deployment has, reachable or not.
    Configured,
    /// The master and the replicas that are connected to it at the moment.
    Connected,
}

/// Where a grant asks whether this incarnation's gate is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateCheck {
    /// Inside the script that grants; behind `WAIT` only `sync_full` is read again.
    InScript,
    /// Behind the `WAIT` that confirms the grant: role, incarnation, gate and `sync_full` at one look. Plain commands
    /// grant, so nothing is asked before.
    BehindWait,
    /// Nowhere.
    Nowhere,
}

/// The rules in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A grant counts only once a majority has it (`confirm` after `acquire`).
    pub confirm_grants: bool,
    /// Where a grant asks whether the gate is open.
    pub gate_check: GateCheck,
    /// The look must find the claim under which the client knew the gate to be open when it sent the grant.
    pub bind_grants: bool,
    /// A renewal, like a grant, is looked at behind its `WAIT`: it counts only under this incarnation's own record, and with
    /// `sync_full` as recorded.
    pub look_at_renewals: bool,
    /// A renewal counts only once a majority has it (`confirm` after `renew`).
    pub confirm_renewals: bool,
    /// The gate opens only once a majority has the claim (`confirm` after `gate_claim`).
    pub confirm_gate: bool,
    /// How many ticks less than the longest lease the gate stays closed. Nought in the protocol.
    pub gate_short_by: u8,
    /// A renewal that is confirmed after the old deadline is void.
    pub void_late_renewals: bool,
    /// A grant is void where the master has given a full synchronisation since its gate was claimed, and the gate is
    /// claimed anew then.
    pub count_syncs: bool,
    /// Full synchronisations are pardoned in a new deployment at Sentinel's epoch nought only.
    pub pardon_only_at_epoch_zero: bool,
    /// `renew` does not re-assert at a gate that was open before it was closed anew.
    pub resynced_refuses: bool,
    /// A restarted replica has all that it had, or nothing; not what it had earlier (an assumption, not a rule).
    pub no_old_snapshots: bool,
    /// A data node that has followed the new master does not go back to the deposed one. Assumed only where
    /// synchronisations are not counted.
    pub no_return: bool,
    /// A data set without a record is treated like one with a foreign record, new deployments apart.
    pub absent_record_waits: bool,
    /// After the gate has opened, a holder whose key is missing has lost.
    pub reassert_only_while_closed: bool,
    /// Whose identity is recorded in the gate.
    pub incarnation: Incarnation,
    /// What a majority is counted of.
    pub majority_of: MajorityOf,
    /// The new-deployment exception holds at Sentinel's epoch nought only.
    pub new_only_at_epoch_zero: bool,
    /// The new-deployment exception does not hold where the data set was flushed in this life.
    pub new_only_unflushed: bool,
    /// Even a new deployment's gate opens no sooner than the longest lease after the server's start.
    pub new_counts_uptime: bool,
    /// A restarted replica still follows its master (an assumption, not a rule).
    pub restarts_keep_role: bool,
    /// A client claims a gate only on the node that Sentinel, asked *after* the incarnation was read, calls master.
    pub claim_asks_sentinel: bool,
    /// `renew` refuses where the gate's record is not this incarnation's.
    pub renew_needs_claim: bool,
    /// A grant counts only if a majority of the Sentinels names the same node and epoch before and after.
    pub grants_ask_sentinel: bool,
    /// A renewal counts only if a majority of the Sentinels names the same node and epoch before and after.
    pub renewals_ask_sentinel: bool,
    /// The gate's record bears Sentinel's epoch too; one of another epoch is claimed anew.
    pub epoch_in_record: bool,
    /// Sentinel never promotes a deposed master that it has not demoted first. Assumed only where synchronisations are
    /// not counted.
    pub no_unbroken_repromotion: bool,
}

impl Rules {
    /// Strict mode as the protocol has it.
    pub const STRICT: Self = Self {
        confirm_grants: true,
        gate_check: GateCheck::BehindWait,
        bind_grants: true,
        look_at_renewals: true,
        confirm_renewals: true,
        confirm_gate: true,
        gate_short_by: 0,
        void_late_renewals: true,
        count_syncs: true,
        pardon_only_at_epoch_zero: true,
        resynced_refuses: true,
        no_old_snapshots: true,
        no_return: false,
        absent_record_waits: true,
        reassert_only_while_closed: true,
        incarnation: Incarnation::ReplicationId,
        majority_of: MajorityOf::Configured,
        new_only_at_epoch_zero: true,
        new_only_unflushed: true,
        new_counts_uptime: true,
        restarts_keep_role: true,
        claim_asks_sentinel: false,
        renew_needs_claim: false,
        grants_ask_sentinel: false,
        renewals_ask_sentinel: false,
        epoch_in_record: false,
        no_unbroken_repromotion: false,
    };

    /// Nobody asks Sentinel, any node may follow any master, and any master may be promoted again: so it decides
    /// nothing whom Sentinel names, once there has been a failover.
    #[must_use]
    pub const fn any_master_will_do(&self) -> bool {
        !(self.no_return
            || self.no_unbroken_repromotion
            || self.claim_asks_sentinel
            || self.grants_ask_sentinel
            || self.renewals_ask_sentinel
            || self.epoch_in_record)
    }

    /// Without the rule on synchronisations, and with the assumptions that it would need then.
    pub const UNCOUNTED: Self = Self {
        gate_check: GateCheck::InScript,
        look_at_renewals: false,
        count_syncs: false,
        no_return: true,
        no_unbroken_repromotion: true,
        ..Self::STRICT
    };
}
