//! Files that hold a secret and nothing else.

use std::fs::File;
use std::io::{Error, Read};
use std::path::Path;

const LARGEST: u64 = 64 * 1024;

/// The secret in a file, without the line end behind it; or why there is none, to go on after
/// "names a file that".
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let text = read_small(path)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(line.to_owned())
}

fn read_small(path: &Path) -> Result<String, String> {
    let cannot = |error: Error| format!("cannot be read ({})", error.kind());
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err("is larger than 64 KiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}
