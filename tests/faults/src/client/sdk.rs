//! The tasks of a client that uses the SDK.

use std::{sync::Arc, time::Duration};

use leasehold::{AcquireOptions, Config, Error, Lease, Locker, Renewal, Ticket};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    Protocol, Shared,
    worker::{Parting, Plan},
};
use crate::{
    history::{Kind, nanoseconds, now},
    random::Random,
};

/// How exactly a deadline must be read: longer, and this process was interrupted while it read.
const EXACT: u64 = 500_000;
/// Before so many in a thousand attempts the resource is taken from whoever holds it by force.
const FORCED: u64 = 4;

/// What is left of a lease by the SDK's own reckoning is 1 % and 2 ms less than its length.
fn validity(ttl: Duration) -> Duration {
    ttl.saturating_sub(ttl / 100 + Duration::from_millis(2))
}

pub(super) async fn run(shared: &Arc<Shared>, random: &mut Random) -> Result<(), Error> {
    #[cfg(feature = "broken")]
    let _left_out = left_out(shared.assignment.protocol);
    let locker = connect(shared).await?;
    let tasks: Vec<_> = (0..shared.assignment.tasks)
        .map(|_| {
            let task = Task {
                shared: shared.clone(),
                locker: locker.clone(),
                random: Random::seeded(random.number()),
                heirs: Vec::new(),
            };
            tokio::spawn(task.run())
        })
        .collect();
    for task in tasks {
        let _ = task.await;
    }
    let _ = locker.close(Duration::from_secs(10)).await;
    Ok(())
}

#[cfg(feature = "broken")]
fn left_out(protocol: Protocol) -> Option<leasehold::broken::LeftOut> {
    use leasehold::broken::{Condition, leave_out};
    match protocol {
        Protocol::AnyHistory => Some(leave_out(Condition::SameHistory)),
        Protocol::AnyUptime => Some(leave_out(Condition::Uptime)),
        _ => None,
    }
}

/// Connects, and does not give up while servers are broken.
async fn connect(shared: &Shared) -> Result<Locker, Error> {
    let mut variables = shared.assignment.variables.clone();
    let safety = match shared.assignment.protocol {
        Protocol::Relaxed | Protocol::Plain => "relaxed",
        _ => "strict",
    };
    variables.push(("LOCK_SAFETY".into(), safety.into()));
    loop {
        match Locker::connect(Config::from_vars(variables.clone())?).await {
            Ok(locker) => return Ok(locker),
            Err(error) if error.is_retryable() && !shared.is_stopping() => {
                sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

struct Task {
    shared: Arc<Shared>,
    locker: Locker,
    random: Random,
    /// Those to whom leases were handed over.
    heirs: Vec<JoinHandle<()>>,
}

impl Task {
    async fn run(mut self) {
        while !self.shared.is_stopping() {
            let plan = Plan::draw(&self.shared, &mut self.random);
            if self.shared.assignment.protocol == Protocol::Strict
                && self.random.between(0, 1_000) < FORCED
            {
                self.force(&plan.resource).await;
            }
            self.carry_out(&plan).await;
            let pause = self.random.milliseconds(0, 20);
            sleep(pause).await;
            self.heirs.retain(|heir| !heir.is_finished());
        }
        for heir in std::mem::take(&mut self.heirs) {
            let _ = heir.await;
        }
        let shared = self.shared.clone();
        for resource in &shared.assignment.resources {
            self.carry_out(&Plan::last(&shared, resource)).await;
        }
    }

    async fn carry_out(&mut self, plan: &Plan) {
        let operation = self.shared.next_operation();
        let record = |kind| self.shared.recorder.record(operation, &plan.resource, kind);
        let patience_ms = u64::try_from(plan.patience.as_millis()).unwrap_or(u64::MAX);
        record(Kind::Invoke { patience_ms });
        let outcome = match plan.cancel_after {
            None => self.acquire(plan).await,
            Some(limit) => match timeout(limit, self.acquire(plan)).await {
                Ok(outcome) => outcome,
                Err(_) => return record(Kind::Cancelled),
            },
        };
        match outcome {
            Ok(lease) => self.hold(plan, operation, lease).await,
            Err(error @ Error::Ambiguous { .. }) => record(Kind::Ambiguous {
                error: format!("{error:?}"),
            }),
            Err(error) => {
                record(Kind::Failed {
                    error: format!("{error:?}"),
                });
                // Whoever asks without waiting asks again soon, but not in a busy loop.
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn acquire(&self, plan: &Plan) -> Result<Lease, Error> {
        let mut options = AcquireOptions::new().ttl(plan.ttl).timeout(plan.patience);
        if !plan.renewed {
            options = options.renewal(Renewal::Off);
        }
        let resource = plan.resource.as_str();
        if plan.patience.is_zero() {
            self.locker.try_acquire(resource).options(&options).await
        } else {
            self.locker.acquire(resource).options(&options).await
        }
    }

    async fn hold(&mut self, plan: &Plan, operation: u64, lease: Lease) {
        let shared = self.shared.clone();
        let record = |kind| shared.recorder.record(operation, &plan.resource, kind);
        let granted = now();
        let Some(mut deadline) = read_deadline(&lease) else {
            return record(Kind::Failed {
                error: "the lease was over when it came".into(),
            });
        };
        let fence = lease.fence().as_i64();
        let granting = Kind::Granted {
            fence,
            asked: deadline.saturating_sub(nanoseconds(validity(plan.ttl))),
            deadline,
            renewed: plan.renewed,
            holder: holder_id(lease.token()),
        };
        shared
            .recorder
            .record_at(granted, operation, &plan.resource, granting);
        let until = Instant::now() + plan.hold;
        while Instant::now() < until {
            let step = Plan::step(&mut self.random).min(until - Instant::now());
            tokio::select! {
                biased;
                reason = lease.lost() => {
                    record(Kind::Lost { reason: reason.to_string() });
                    // Whatever the SDK says now counts as well: it must not come back.
                    Self::check(&shared, plan, operation, &lease);
                    return;
                }
                () = sleep(step) => {}
            }
            if !Self::check(&shared, plan, operation, &lease) {
                continue;
            }
            if let Some(seen) = read_deadline(&lease)
                && seen > deadline + EXACT
            {
                deadline = seen;
                record(Kind::Extended { deadline });
            }
            // Not waited for: a slow register must not keep this task from hearing of a loss.
            let (shared, resource) = (shared.clone(), plan.resource.clone());
            tokio::spawn(async move {
                let process = &shared.assignment.process;
                shared
                    .orders
                    .write(process, operation, &resource, fence)
                    .await;
            });
        }
        self.part(plan, operation, lease).await;
    }

    /// The lease is given up, or handed over.
    async fn part(&mut self, plan: &Plan, operation: u64, lease: Lease) {
        let shared = self.shared.clone();
        let record = |kind| shared.recorder.record(operation, &plan.resource, kind);
        record(Kind::ReleaseInvoked {
            by_drop: plan.parting == Parting::Drop,
        });
        match plan.parting {
            Parting::Drop => {}
            Parting::HandOver => self.hand_over(plan, &lease.into_ticket()),
            Parting::Release => {
                let outcome = match lease.release().await {
                    Ok(released) => format!("{released:?}"),
                    Err(error) => format!("{error:?}"),
                };
                record(Kind::Released { outcome });
            }
        }
    }

    /// Two heirs take the lease over, one soon and one later, when the ticket ought to be of no use.
    fn hand_over(&mut self, plan: &Plan, ticket: &Ticket) {
        let plan = Plan {
            renewed: true,
            parting: Parting::Release,
            ..plan.clone()
        };
        for latest in [20, 1_500] {
            let after = self.random.milliseconds(0, latest);
            let mut heir = Self {
                shared: self.shared.clone(),
                locker: self.locker.clone(),
                random: Random::seeded(self.random.number()),
                heirs: Vec::new(),
            };
            let (plan, ticket) = (plan.clone(), ticket.clone());
            self.heirs.push(tokio::spawn(async move {
                sleep(after).await;
                heir.take_over(&plan, &ticket).await;
            }));
        }
    }

    async fn take_over(&mut self, plan: &Plan, ticket: &Ticket) {
        let operation = self.shared.next_operation();
        let shared = self.shared.clone();
        let record = |kind| shared.recorder.record(operation, &plan.resource, kind);
        record(Kind::Invoke { patience_ms: 0 });
        match self.locker.adopt(ticket).await {
            // Boxed, as holding may end in handing over.
            Ok(lease) => Box::pin(self.hold(plan, operation, lease)).await,
            Err(error @ Error::Ambiguous { .. }) => record(Kind::Ambiguous {
                error: format!("{error:?}"),
            }),
            Err(error) => record(Kind::Failed {
                error: format!("{error:?}"),
            }),
        }
    }

    /// Takes a resource from whoever holds it, as an operator does: looks who that is, and names that holding.
    async fn force(&self, resource: &str) {
        let Ok(Some(held)) = self.locker.inspect(resource).await else {
            return;
        };
        let Some(holder) = held.id else { return };
        let operation = self.shared.next_operation();
        let record = |kind| self.shared.recorder.record(operation, resource, kind);
        let fault = "forced-release".to_owned();
        let target = format!("{}#{operation}", self.shared.assignment.process);
        record(Kind::Fault {
            fault: fault.clone(),
            target: target.clone(),
        });
        record(Kind::ForceInvoked {
            holder: holder.clone(),
        });
        let outcome = match self.locker.force_release(resource, &holder).await {
            Ok(forced) => format!("{forced:?}"),
            Err(error) => format!("{error:?}"),
        };
        record(Kind::Forced { outcome });
        record(Kind::FaultEnded { fault, target });
    }

    /// Asks whether the lease is valid, and records the answer with the time before the question.
    fn check(shared: &Shared, plan: &Plan, operation: u64, lease: &Lease) -> bool {
        let before = now();
        let valid = lease.is_valid();
        shared
            .recorder
            .record_at(before, operation, &plan.resource, Kind::Checked { valid });
        valid
    }
}

/// The lease's deadline, never later than the SDK means it; `None` once it is over.
///
/// Read again when this process was interrupted between looking at the clock and asking.
fn read_deadline(lease: &Lease) -> Option<u64> {
    loop {
        let before = now();
        let remaining = lease.remaining();
        let after = now();
        if remaining.is_zero() {
            return None;
        }
        if after - before < EXACT {
            return Some(before + nanoseconds(remaining));
        }
    }
}

/// The `Holder::id` of a holding: the first 16 digits of the SHA-1 of its token.
fn holder_id(token: &str) -> String {
    let mut id = sha1_smol::Sha1::from(token).digest().to_string();
    id.truncate(16);
    id
}
