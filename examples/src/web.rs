//! An axum handler that works under a lease.
//!
//! Who calls must not wait for ever, so the wait is short, and what stood in the way becomes a status
//! that says whether and when to try again. When the caller goes away axum drops the handler where it
//! stands; that drops the lease, which is then released in the background.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::post;
use leasehold::{AcquireOptions, Error, Fence, Locker};

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_millis(500);

/// Writes one day's report; the fence goes along to whatever it writes to.
pub trait Reports: Send + Sync + 'static {
    /// Writes it, and says what to answer.
    fn write(&self, day: &str, fence: Fence) -> impl Future<Output = String> + Send;
}

struct App<R> {
    locker: Locker,
    reports: R,
}

/// What a request that got no report is answered.
type Refusal = (StatusCode, [(HeaderName, &'static str); 1], String);

/// `POST /reports/{day}` writes the report of a day, one request of the whole fleet at a time.
pub fn router<R: Reports>(locker: Locker, reports: R) -> Router {
    let app = Arc::new(App { locker, reports });
    Router::new()
        .route("/reports/{day}", post(write_report::<R>))
        .with_state(app)
}

async fn write_report<R: Reports>(
    State(app): State<Arc<App<R>>>,
    Path(day): Path<String>,
) -> Result<String, Refusal> {
    let short = AcquireOptions::new().timeout(PATIENCE).label("report");
    let lease = app.locker.acquire(format!("report:{day}")).options(&short);
    let lease = lease.await.map_err(refusal)?;
    // Dropped where it stands when the lease is lost: another machine may have begun.
    let writing = app.reports.write(&day, lease.fence());
    let answer = lease.guard(writing).await.map_err(refusal)?;
    // The report is written. If the release cannot be confirmed it goes on in the background, and
    // the next request waits for the TTL at worst.
    if let Err(error) = lease.release().await {
        eprintln!("{error:?}");
    }
    Ok(answer)
}

/// Somebody else is at it: 409. Redis cannot be used, or the lease was lost: 503. Both tell when to
/// come again. What no caller can mend is 500, and its text stays here.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refusal(error: Error) -> Refusal {
    eprintln!("{error:?}");
    let is_held = match &error {
        Error::TimedOut { because, .. } => matches!(**because, Error::Held(_)),
        other => matches!(other, Error::Held(_)),
    };
    let (status, text) = if is_held {
        (StatusCode::CONFLICT, "this report is being written")
    } else if error.is_retryable() {
        (StatusCode::SERVICE_UNAVAILABLE, "no lease is to be had now")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "see the server's log")
    };
    (status, [(header::RETRY_AFTER, "5")], text.to_owned())
}
