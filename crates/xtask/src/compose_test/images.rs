//! The images: given, pulled before, or made from what is on this machine.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use super::engine::{docker, output};
use super::say;
use crate::cargo;
use crate::prepare::{self, Need};

const OFFICIAL: &str = "redis:7";
const LOCAL_REDIS: &str = "leasehold-redis:compose-test";
const LOCAL_WORKER: &str = "leasehold-worker:compose-test";

/// Names of images that are there; those that were made for this run go with it.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) redis: String,
    pub(super) worker: String,
    made: Vec<String>,
}

impl Images {
    pub(super) fn get(source: &Path) -> Result<Self, Box<dyn Error>> {
        let mut images = Self {
            redis: String::new(),
            worker: LOCAL_WORKER.to_owned(),
            made: Vec::new(),
        };
        let chosen = std::env::var("SERVER_IMAGE").unwrap_or_default();
        images.redis = if !chosen.is_empty() {
            chosen
        } else if docker(["image", "inspect", OFFICIAL]).is_ok() {
            OFFICIAL.to_owned()
        } else {
            prepare::get(Need::REDIS)?;
            images.make(source, &["redis", LOCAL_REDIS])?;
            LOCAL_REDIS.to_owned()
        };
        say("building the worker (crates/lock/examples)");
        for program in ["journal", "service"] {
            cargo::build("--example", program)?;
        }
        let worker = cargo::build("--example", "worker")?;
        let directory = worker.parent().ok_or("the worker is nowhere")?;
        images.make(
            source,
            &["worker", &directory.to_string_lossy(), LOCAL_WORKER],
        )?;
        say(&format!("images {} and {}", images.redis, images.worker));
        Ok(images)
    }

    fn make(&mut self, source: &Path, words: &[&str]) -> Result<(), String> {
        output(Command::new(source.join("docker/build-local-image.sh")).args(words))?;
        self.made
            .extend(words.last().map(|image| (*image).to_owned()));
        Ok(())
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        for image in &self.made {
            if let Err(error) = docker(["image", "rm", image]) {
                say(&error);
            }
        }
    }
}
