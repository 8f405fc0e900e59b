//! The worker example with its metrics at an address that Prometheus scrapes:
//!
//! ```sh
//! METRICS=127.0.0.1:9464 JOURNAL=127.0.0.1:7800 cargo run -p leasehold-examples --bin scrape
//! curl http://127.0.0.1:9464/metrics
//! ```

use std::error::Error;
use std::io::IsTerminal;

#[path = "../../../crates/lock/examples/worker/main.rs"]
#[expect(dead_code, reason = "its own `main` is not run here")]
mod worker;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    leasehold_examples::scrape::serve(std::env::var("METRICS")?.parse()?)?;
    worker::work().await
}
