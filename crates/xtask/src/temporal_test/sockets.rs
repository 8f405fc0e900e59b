//! Where a process is connected to, on Linux.

use std::collections::HashSet;
use std::path::Path;

/// The ports of the other ends of a process' TCP connections.
pub(crate) fn remote_ports(process: u32) -> std::io::Result<Vec<u16>> {
    let inodes = sockets(process);
    let mut ports = Vec::new();
    for table in ["tcp", "tcp6"] {
        let table = Path::new("/proc")
            .join(process.to_string())
            .join("net")
            .join(table);
        let Ok(table) = std::fs::read_to_string(table) else {
            continue;
        };
        let found = table.lines().skip(1).filter_map(entry);
        ports.extend(
            found
                .filter(|(_, inode)| inodes.contains(inode))
                .map(|(port, _)| port),
        );
    }
    Ok(ports)
}

/// The inodes of a process' sockets; none once it has ended.
fn sockets(process: u32) -> HashSet<u64> {
    let files = std::fs::read_dir(format!("/proc/{process}/fd"));
    let links = files.into_iter().flatten().flatten();
    let links = links.filter_map(|file| std::fs::read_link(file.path()).ok());
    let inodes = links.filter_map(|link| {
        let link = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        link.parse().ok()
    });
    inodes.collect()
}

/// The remote port and the inode of a line of `/proc/net/tcp`, unless it is a socket that listens.
fn entry(line: &str) -> Option<(u16, u64)> {
    const LISTENS: &str = "0A";
    let words: Vec<&str> = line.split_whitespace().collect();
    if *words.get(3)? == LISTENS {
        return None;
    }
    let (_, port) = words.get(2)?.rsplit_once(':')?;
    Some((
        u16::from_str_radix(port, 16).ok()?,
        words.get(9)?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_of_this_process_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let ports = || remote_ports(std::process::id()).expect("ports");
        assert!(!ports().contains(&address.port()));
        let _stream = TcpStream::connect(address).expect("a connection");
        assert!(ports().contains(&address.port()));
    }
}
