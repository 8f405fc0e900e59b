//! A network between a client and a server that can be made to fail.

use std::{
    io,
    net::TcpStream,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    acceptor::{Acceptor, lock},
    error::Result,
};

mod link;
mod traffic;

pub use traffic::Counter;

use link::Link;
use traffic::Traffic;

/// What the proxy does to the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Everything goes through.
    #[default]
    Pass,
    /// Nobody listens: open connections are closed and new ones are refused.
    Refuse,
    /// Nothing goes through in either direction, and nobody is told. What was sent waits, as in a partition, and
    /// arrives when the mode changes; new connections are accepted by the kernel and stay silent.
    Blackhole,
    /// Commands arrive and are carried out; their replies do not come back. A connection that has missed a reply
    /// carries none ever after, and is closed when the mode changes.
    DropReplies,
    /// The server's side of every connection is closed and the client is not told, as when a machine loses power.
    /// Such a connection stays dead when the mode changes.
    HalfOpen,
    /// Everything goes through, this much later in each direction.
    Delay(Duration),
}

/// What becomes of a connection whose reply was dropped by [`Proxy::drop_reply_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It is closed once the server has replied, so that the client knows that it does not know.
    Cut,
    /// It stays open and silent.
    Silence,
}

/// A TCP proxy on a free port of the loopback interface, in front of one server.
///
/// ```no_run
/// use leasehold_testkit::{Afterwards, Mode, Proxy, RedisServer};
///
/// let server = RedisServer::start()?;
/// let proxy = Proxy::start(server.address())?;
/// proxy.drop_reply_of("EVALSHA", Afterwards::Cut);
/// // … a client connected to proxy.address() runs a script and does not learn the outcome …
/// proxy.set_mode(Mode::Blackhole)?;
/// proxy.set_mode(Mode::Pass)?;
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
pub struct Proxy {
    acceptor: Acceptor,
    traffic: Arc<Traffic>,
    route: Arc<Route>,
}

/// Where connections go, and those that are on their way.
struct Route {
    /// The servers that take turns.
    targets: Mutex<Vec<String>>,
    turn: AtomicUsize,
    failed_dials: AtomicUsize,
    links: Mutex<Vec<Weak<Link>>>,
}

impl Proxy {
    /// Starts a proxy in front of the server at `target`, given as `host:port`.
    ///
    /// # Errors
    ///
    /// [`Error::NoFreePort`](crate::Error::NoFreePort) when it finds none to listen on.
    pub fn start(target: impl Into<String>) -> Result<Self> {
        let traffic = Arc::new(Traffic::default());
        let route = Route {
            targets: Mutex::new(vec![target.into()]),
            turn: AtomicUsize::new(0),
            failed_dials: AtomicUsize::new(0),
            links: Mutex::default(),
        };
        let route = Arc::new(route);
        let (rules, way) = (traffic.clone(), route.clone());
        let acceptor = Acceptor::start(move |client| way.serve(client, &rules))?;
        Ok(Self {
            acceptor,
            traffic,
            route,
        })
    }

    /// The port that the proxy listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.acceptor.port()
    }

    /// Host and port, as `127.0.0.1:12345`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Sends new connections to another server; existing ones stay where they are.
    pub fn retarget(&self, target: impl Into<String>) {
        self.spread_over([target.into()]);
    }

    /// Sends new connections to these servers in turn, as one address in front of many does, and past those that refuse
    /// them; existing ones stay where they are.
    pub fn spread_over(&self, targets: impl IntoIterator<Item = String>) {
        *lock(&self.route.targets) = targets.into_iter().collect();
    }

    /// Changes what happens to the traffic, of existing connections too.
    ///
    /// # Errors
    ///
    /// [`Error::File`](crate::Error::File) when a port that was given up for [`Mode::Refuse`] was taken by another.
    pub fn set_mode(&self, mode: Mode) -> Result<()> {
        self.traffic.set_mode(mode);
        for link in self.route.links() {
            if mode == Mode::HalfOpen {
                link.lose_server();
            }
            if mode != Mode::DropReplies && link.has_missed_a_reply() {
                link.cut();
            }
        }
        if mode == Mode::Refuse {
            self.acceptor.close();
            self.acceptor.cut();
            return Ok(());
        }
        self.acceptor.open()
    }

    /// What happens to the traffic now.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.traffic.mode()
    }

    /// Closes all open connections now; new ones are treated as the mode says.
    pub fn cut(&self) {
        self.acceptor.cut();
    }

    /// Lets the next command whose bytes contain `needle` be carried out, and drops its reply.
    ///
    /// Replies to other commands in flight on the same connection are lost with it.
    pub fn drop_reply_of(&self, needle: impl AsRef<[u8]>, afterwards: Afterwards) {
        self.traffic.arm(needle.as_ref(), afterwards);
    }

    /// How many replies [`drop_reply_of`](Self::drop_reply_of) has dropped.
    #[must_use]
    pub fn replies_dropped(&self) -> usize {
        self.traffic.replies_dropped()
    }

    /// Counts, from now on, how often `needle` occurs in what clients send.
    pub fn count(&self, needle: impl AsRef<[u8]>) -> Counter {
        self.traffic.count(needle.as_ref())
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.acceptor.accepted()
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.acceptor.open_now()
    }

    /// How many connections were closed because the server behind could not be reached.
    #[must_use]
    pub fn failed_dials(&self) -> usize {
        self.route.failed_dials.load(Ordering::SeqCst)
    }
}

impl Route {
    fn serve(&self, client: TcpStream, traffic: &Arc<Traffic>) {
        if !traffic.wait_while_blackholed() {
            return;
        }
        if traffic.mode() == Mode::HalfOpen {
            let _ = io::copy(&mut &client, &mut io::sink());
            return;
        }
        let Some(server) = self.dial() else {
            self.failed_dials.fetch_add(1, Ordering::SeqCst);
            return;
        };
        let link = Arc::new(Link::new(client, server, traffic.clone()));
        lock(&self.links).push(Arc::downgrade(&link));
        // A change of mode between the dial and the line above has not met this link.
        if traffic.mode() == Mode::HalfOpen {
            link.lose_server();
        }
        link.carry();
    }

    /// Connects to the server whose turn it is, or to the first after it that accepts.
    fn dial(&self) -> Option<TcpStream> {
        let mut targets = lock(&self.targets).clone();
        let turn = self.turn.fetch_add(1, Ordering::SeqCst);
        if !targets.is_empty() {
            let first = turn % targets.len();
            targets.rotate_left(first);
        }
        targets
            .into_iter()
            .find_map(|target| TcpStream::connect(target).ok())
    }

    fn links(&self) -> Vec<Arc<Link>> {
        let mut links = lock(&self.links);
        links.retain(|link| link.strong_count() > 0);
        links.iter().filter_map(Weak::upgrade).collect()
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Proxy")
            .field("address", &self.address())
            .field("targets", &*lock(&self.route.targets))
            .field("mode", &self.mode())
            .finish_non_exhaustive()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.traffic.stop();
        self.route.links().iter().for_each(|link| link.cut());
    }
}
