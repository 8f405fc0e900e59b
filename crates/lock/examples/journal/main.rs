//! The journal that the worker example writes to, as a program of its own:
//!
//! ```text
//! journal LISTEN FILE        for instance: journal 127.0.0.1:7800 /tmp/journal
//! ```

use std::error::Error;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::register::Register;

mod register;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(listen), Some(file)) = (words.next(), words.next()) else {
        return Err("usage: journal LISTEN FILE".into());
    };
    let file = PathBuf::from(file);
    let mut terminated = signal(SignalKind::terminate())?;
    let register = Register::start(listen.as_str(), &file)
        .map_err(|error| format!("{listen}, {}: {error}", file.display()))?;
    println!("listening at {}", register.address());
    terminated.recv().await;
    println!("{} writes were refused", register.refused());
    Ok(())
}
