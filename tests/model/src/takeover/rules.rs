//! The rules of a take-over without the pause, each of which can be broken on its own.

/// What shows that a data node has everything that the new master has, and nothing beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It follows the new master, and its `master_replid2` is the deposed one's: it joined by a partial resynchronisation
    /// out of that history.
    Partial,
    /// It follows the new master.
    Follows,
    /// It has acknowledged the claim.
    Acknowledged,
}

/// What becomes of an open gate where `sync_full` is not what the record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pardon {
    /// The new count is written if a majority of the Sentinels, asked after it was read, names this node at the record's
    /// epoch.
    Fresh,
    /// The same, where they named it so at any time before.
    Stale,
    /// The gate is claimed anew and closes.
    Never,
}

/// What a majority is counted of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MajorityOf {
    /// All data nodes that the record knows of.
    Recorded,
    /// The master and the replicas that are connected to it.
    Connected,
}

/// The rules in force. Letters are those of the rules in `docs/protocol.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The gate may be opened without a pause.
    pub fast: bool,
    /// a: the record that the new master has names its `master_replid2`.
    pub record_names_predecessor: bool,
    /// a: and says that the predecessor's gate was open.
    pub predecessor_was_open: bool,
    /// b: what a data node has to show.
    pub evidence: Evidence,
    /// b: of how many nodes a majority has to show it.
    pub majority_of: MajorityOf,
    /// c: whoever shows it has been up for the longest lease, the new master too.
    pub uptime: bool,
    /// d: whoever shows it has the claim.
    pub has_claim: bool,
    /// e: while leases of the old master may run, a grant is told after the clocks' difference has passed.
    pub hold: bool,
    /// e: and is written and acknowledged once more after that.
    pub write_again: bool,
    /// e: where differences are measured, that of the last take-over is added as long as leases from before it may run.
    pub add_holds: bool,
    /// f: the claim's epoch is the one after the record's.
    pub next_epoch: bool,
    /// g: a renewal counts only under this incarnation's own record, and with `sync_full` as recorded.
    pub look_at_renewals: bool,
    /// h: a claim names a `sync_full` that was read before the Sentinels named this node.
    pub vet: bool,
    /// i: `gate_open` names the claim that was confirmed.
    pub bind_open: bool,
    /// j: a claim of an older epoch than the record's is refused.
    pub refuse_older: bool,
    /// A grant is looked at behind its `WAIT`: the gate is open.
    pub look_at_gate: bool,
    /// That look finds the claim under which the client knew the gate to be open.
    pub bind_grants: bool,
    /// The look behind a renewal's `WAIT` finds the claim that the renewal found.
    pub bind_renewals: bool,
    /// That look, and the one behind a renewal's `WAIT`, finds `sync_full` as recorded.
    pub count_syncs: bool,
    /// What else may be done about another count.
    pub pardon: Pardon,
    /// The record keeps the fence counter as the claim found it; a renewal with a greater fence takes another's key.
    pub take_by_counter: bool,
    /// The claim reads the counter before it seeds it.
    pub counter_before_seed: bool,
    /// A claim after a gate that was never open keeps what that record says of the counter.
    pub carry_counter: bool,
    /// Renewals and forced releases write nothing before this incarnation's gate is claimed.
    pub claim_first: bool,
    /// Renewals leave their fence beside the gate that has not been open, and an older one is refused.
    pub companion: bool,
    /// A forced release leaves its fence there too.
    pub force_leaves_fence: bool,
    /// A lease that has issued a ticket is prolonged in another history only behind an open gate.
    pub giver_waits: bool,
    /// Assumed: the Sentinels' epoch never goes back.
    pub epochs_grow: bool,
    /// Assumed: Redis starts with all its data, or with none.
    pub no_old_snapshots: bool,
}

impl Rules {
    /// The take-over as the protocol has it.
    pub const PROTOCOL: Self = Self {
        fast: true,
        record_names_predecessor: true,
        predecessor_was_open: true,
        evidence: Evidence::Partial,
        majority_of: MajorityOf::Recorded,
        uptime: true,
        has_claim: true,
        hold: true,
        write_again: true,
        add_holds: true,
        next_epoch: true,
        look_at_renewals: true,
        vet: true,
        bind_open: true,
        refuse_older: true,
        look_at_gate: true,
        bind_grants: true,
        bind_renewals: true,
        count_syncs: true,
        pardon: Pardon::Fresh,
        take_by_counter: true,
        counter_before_seed: true,
        carry_counter: true,
        claim_first: true,
        companion: true,
        force_leaves_fence: true,
        giver_waits: true,
        epochs_grow: true,
        no_old_snapshots: true,
    };

    /// Some step asks for what the Sentinels said before the last full synchronisation.
    pub(super) fn asks_for_old_views(&self) -> bool {
        !self.vet || self.pardon == Pardon::Stale
    }
}
