//! A web server whose handler works under a lease:
//!
//! ```sh
//! IS_LOCKING_DISABLED=false REDIS_HOST=127.0.0.1 cargo run -p leasehold-examples --bin web -- 127.0.0.1:8080
//! curl -i -X POST http://127.0.0.1:8080/reports/2026-11-21
//! ```

use std::error::Error;
use std::time::Duration;

use leasehold::{Fence, Locker};
use leasehold_examples::web::{Reports, router};
use tokio::net::TcpListener;

struct Slow;

impl Reports for Slow {
    async fn write(&self, day: &str, fence: Fence) -> String {
        tokio::time::sleep(Duration::from_secs(2)).await;
        format!("the report of {day}, written with fence {fence}\n")
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::args().nth(1).ok_or("usage: web LISTEN")?;
    let locker = Locker::from_env().await?;
    let listener = TcpListener::bind(&listen).await?;
    println!("listening at {}", listener.local_addr()?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, router(locker.clone(), Slow))
        .with_graceful_shutdown(stop)
        .await?;
    locker.close(Duration::from_secs(5)).await?;
    Ok(())
}
