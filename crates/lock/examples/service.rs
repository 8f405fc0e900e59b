//! One address in front of several servers, as the cluster IP of a Service is in Kubernetes.
//!
//! `service 0.0.0.0:26379 sentinels:26379` leads each connection to the next of the addresses that the
//! name has at that moment. `docker/compose.service.yml` puts it in front of the Sentinels. It has
//! nothing to do with leases; clients need not know of it.

use std::error::Error;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::Duration;

/// One that does not answer by then is passed over, as one that is not ready.
const PATIENCE: Duration = Duration::from_millis(500);

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(listen), Some(servers)) = (words.next(), words.next()) else {
        return Err("usage: service LISTEN-ADDRESS SERVERS, each as host:port".into());
    };
    let listener = TcpListener::bind(&listen)?;
    println!("{listen} leads to {servers}");
    for (number, client) in listener.incoming().enumerate() {
        let (client, servers) = (client?, servers.clone());
        thread::spawn(move || match connect(&servers, number) {
            Ok(server) => pass_on(&client, &server),
            Err(error) => eprintln!("{servers}: {error}"),
        });
    }
    Ok(())
}

/// To the next one that is there.
fn connect(servers: &str, number: usize) -> io::Result<TcpStream> {
    let mut addresses: Vec<SocketAddr> = servers.to_socket_addrs()?.collect();
    addresses.sort_unstable();
    let count = addresses.len().max(1);
    addresses.rotate_left(number % count);
    let mut last = io::Error::other("no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(server) => return Ok(server),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Passes everything on, until one side closes.
fn pass_on(client: &TcpStream, server: &TcpStream) {
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        // The end of either side is the end of both.
        let _ = io::copy(&mut from, &mut to);
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    };
    thread::scope(|scope| {
        scope.spawn(|| copy(client, server));
        copy(server, client);
    });
}
