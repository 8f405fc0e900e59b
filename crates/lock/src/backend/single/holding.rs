//! Grants right after a take-over without a pause. Leases of the last master may live on for as long as
//! its clock is behind the new one's, so a grant waits for that time before it counts.
//!
//! Then it is written and confirmed once more. A node that acknowledged it before may have left since,
//! and have acknowledged the renewal of such a lease on yet another master.

use tokio::time::sleep;

use super::Single;
use crate::backend::ops::Request;
use crate::fence::Fence;
use crate::master::confirm::Confirmed;
use crate::master::link::Link;
use crate::transport::server_errors::Failure;

impl Single {
    /// What confirms a grant of this slot in the end; `None` if it is void, or the lock was the token's no more.
    pub(super) async fn held_back(
        &self,
        link: &Link,
        request: &Request,
        (fence, slot, claim): (Fence, usize, u64),
        confirmed: Confirmed,
    ) -> Result<Option<Confirmed>, Failure> {
        let counts = |confirmed: &Confirmed| !link.is_void(*confirmed, claim);
        let Some(held_back) = link.held_back(confirmed, claim) else {
            return Ok(Some(confirmed).filter(counts));
        };
        sleep(held_back).await;
        let granted = Request {
            slot: Some(slot),
            ..request.clone()
        };
        let renewed = self.renew_once(link, &granted, fence).await;
        let (answer, confirmed) =
            renewed.map_err(|failure| Failure::unknown(failure.unavailable))?;
        Ok((answer.code == 1).then_some(confirmed).filter(counts))
    }
}
