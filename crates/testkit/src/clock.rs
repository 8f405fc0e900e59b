//! A wall clock of its own for each server, which can be set while the server runs.

use std::{
    collections::hash_map::DefaultHasher,
    env,
    fs::{self, OpenOptions},
    hash::{Hash, Hasher},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use crate::{
    acceptor::lock,
    binary,
    error::{Error, Result, file_error},
    spawn::Launch,
};

const SOURCE: &str = include_str!("clock.c");
const INSTALL_COMPILER: &str = "apt-get install gcc libc6-dev";
const OFFSET_FILE: &str = "clock-offset";

/// Makes the program see the wall clock through the shim, with no offset to begin with.
pub(crate) fn shift(launch: &mut Launch, directory: &Path) -> Result<()> {
    let path = directory.join(OFFSET_FILE);
    fs::write(&path, 0_i64.to_ne_bytes()).map_err(file_error("writing", &path))?;
    launch
        .environment
        .push(("LD_PRELOAD".to_owned(), library()?.into()));
    launch
        .environment
        .push(("LEASEHOLD_CLOCK_FILE".to_owned(), path.into()));
    Ok(())
}

/// Moves the clock of a server that was started with the shim.
pub(crate) fn set_offset(directory: &Path, milliseconds: i64) -> Result<()> {
    let path = directory.join(OFFSET_FILE);
    if !path.exists() {
        let reason = "the server was started without `clock_shim(true)`".to_owned();
        return Err(Error::Unavailable {
            feature: "a clock of its own",
            reason,
        });
    }
    // Overwritten in place: the server has mapped these very bytes, and must never find the file shorter.
    let file = OpenOptions::new()
        .write(true)
        .open(&path)
        .map_err(file_error("opening", &path))?;
    file.write_all_at(&milliseconds.to_ne_bytes(), 0)
        .map_err(file_error("writing", &path))
}

/// The compiled shim, made once for each version of its source and kept for later runs.
fn library() -> Result<PathBuf> {
    if !cfg!(target_os = "linux") {
        let reason = "the shim is made for Linux".to_owned();
        return Err(Error::Unavailable {
            feature: "a clock of its own",
            reason,
        });
    }
    static COMPILING: Mutex<()> = Mutex::new(());
    let _once = lock(&COMPILING);
    let mut hasher = DefaultHasher::new();
    SOURCE.hash(&mut hasher);
    let cache = cache_directory()?;
    let library = cache.join(format!(
        "clock-{}-{:016x}.so",
        env::consts::ARCH,
        hasher.finish()
    ));
    if library.is_file() {
        return Ok(library);
    }
    compile(&cache, &library)?;
    Ok(library)
}

/// Compiles beside the final place and moves, so that another process never loads half a library.
fn compile(cache: &Path, library: &Path) -> Result<()> {
    let compiler = binary::require("cc", INSTALL_COMPILER)?;
    let workshop =
        tempfile::tempdir_in(cache).map_err(file_error("creating a directory in", cache))?;
    let (source, product) = (
        workshop.path().join("clock.c"),
        workshop.path().join("clock.so"),
    );
    fs::write(&source, SOURCE).map_err(file_error("writing", &source))?;
    let mut command = Command::new(&compiler);
    command
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-o"])
        .arg(&product)
        .arg(&source);
    let output = command
        .output()
        .map_err(file_error("starting", &compiler))?;
    if !output.status.success() {
        return Err(Error::Program {
            program: "cc clock.c".to_owned(),
            status: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    fs::rename(&product, library).map_err(file_error("writing", library))
}

fn cache_directory() -> Result<PathBuf> {
    let home = || {
        env::var_os("HOME")
            .filter(|home| !home.is_empty())
            .map(|home| PathBuf::from(home).join(".cache"))
    };
    let chosen = env::var_os("XDG_CACHE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let private = || {
        env::temp_dir().join(format!(
            "leasehold-cache-{}",
            rustix::process::getuid().as_raw()
        ))
    };
    let wanted = chosen
        .or_else(home)
        .map(|cache| cache.join("leasehold-testkit"));
    if let Some(path) = wanted.filter(|path| fs::create_dir_all(path).is_ok()) {
        return Ok(path);
    }
    let path = private();
    fs::create_dir_all(&path).map_err(file_error("creating", &path))?;
    Ok(path)
}
