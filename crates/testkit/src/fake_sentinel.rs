//! A stand-in for a Sentinel that can be made to lie.

use std::{
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    acceptor::lock,
    error::Result,
    fake_server::{FakeServer, Session},
    resp::{Reply, Request},
};

/// How a [`FakeSentinel`] deals with questions about the master; everything else it answers as usual.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Behaviour {
    /// With what it was told to say.
    Answer,
    /// Not at all, with the connection left open.
    Silent,
    /// As if it had never heard of the master.
    Unknown,
    /// With what it was told to say, this much later.
    Late(Duration),
    /// With this, whatever the question.
    Always(Reply),
}

/// What a [`FakeSentinel`] says about the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its own identifier (`SENTINEL MYID`), 40 hexadecimal digits; by default its port, so that no two are alike.
    pub id: String,
    /// The name under which it watches.
    pub service: String,
    /// The address in `SENTINEL GET-MASTER-ADDR-BY-NAME`.
    pub address: (String, u16),
    /// The address in `SENTINEL MASTER`, where it differs: a real Sentinel pairs the old address with the new epoch for
    /// a moment during a failover.
    pub listed_address: Option<(String, u16)>,
    /// `config-epoch`.
    pub epoch: u64,
    /// `flags`, for example `master,o_down`.
    pub flags: String,
    /// `quorum`.
    pub quorum: u32,
    /// The addresses of its peers.
    pub peers: Vec<(String, u16)>,
    /// The password that it demands.
    pub password: Option<String>,
    /// Whether it speaks the newer protocol; one older than Redis 6 does not know `HELLO`.
    pub speaks_resp3: bool,
}

/// A Sentinel that says what the test wants a client to hear; see [`View`] and [`Behaviour`].
///
/// Connections, counts and closing come from [`FakeServer`].
///
/// ```
/// use leasehold_testkit::{Behaviour, FakeSentinel};
///
/// let sentinel = FakeSentinel::start("mymaster", "127.0.0.1", 6379)?;
/// sentinel.update(|view| view.epoch = 9_000);
/// sentinel.behave(Behaviour::Silent);
/// sentinel.announce_switch("10.0.0.1", 6379);
/// assert_eq!(sentinel.count("SENTINEL MASTER"), 0);
/// # Ok::<(), leasehold_testkit::Error>(())
/// ```
#[derive(Debug)]
pub struct FakeSentinel {
    server: FakeServer,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    view: View,
    behaviour: Behaviour,
}

impl FakeSentinel {
    /// Starts a Sentinel that names the master at this host and port, at epoch 0, and knows no peers.
    ///
    /// # Errors
    ///
    /// [`Error::NoFreePort`](crate::Error::NoFreePort) when it finds none to listen on.
    pub fn start(service: &str, master_host: &str, master_port: u16) -> Result<Self> {
        let view = View {
            id: String::new(),
            service: service.to_owned(),
            address: (master_host.to_owned(), master_port),
            listed_address: None,
            epoch: 0,
            flags: "master".to_owned(),
            quorum: 1,
            peers: Vec::new(),
            password: None,
            speaks_resp3: true,
        };
        let state = Arc::new(Mutex::new(State {
            view,
            behaviour: Behaviour::Answer,
        }));
        let shared = state.clone();
        let server = FakeServer::with(move |request, session| {
            let (view, behaviour) = {
                let state = lock(&shared);
                (state.view.clone(), state.behaviour.clone())
            };
            answer(request, session, &view, &behaviour)
        })?;
        lock(&state).view.id = format!("{:040}", server.port());
        Ok(Self { server, state })
    }

    /// What it says now.
    #[must_use]
    pub fn view(&self) -> View {
        lock(&self.state).view.clone()
    }

    /// Changes what it says.
    pub fn update(&self, change: impl FnOnce(&mut View)) {
        change(&mut lock(&self.state).view);
    }

    /// Names another master from now on.
    pub fn set_master(&self, host: &str, port: u16, epoch: u64) {
        self.update(|view| {
            view.address = (host.to_owned(), port);
            view.epoch = epoch;
        });
    }

    /// Changes how it deals with questions about the master.
    pub fn behave(&self, behaviour: Behaviour) {
        lock(&self.state).behaviour = behaviour;
    }

    /// Publishes `+switch-master` from the address that it names to another, and returns how many subscribers heard it.
    ///
    /// What it answers does not change; a real Sentinel's would.
    pub fn announce_switch(&self, new_host: &str, new_port: u16) -> usize {
        let View {
            service,
            address: (host, port),
            ..
        } = self.view();
        self.server.publish(
            "+switch-master",
            &format!("{service} {host} {port} {new_host} {new_port}"),
        )
    }
}

impl Deref for FakeSentinel {
    type Target = FakeServer;

    fn deref(&self) -> &FakeServer {
        &self.server
    }
}

fn answer(request: &Request, session: &Session, view: &View, behaviour: &Behaviour) -> Reply {
    if request.is("HELLO") && !view.speaks_resp3 {
        return Reply::error("ERR unknown command `HELLO`, with args beginning with: ");
    }
    if let Some(refusal) = refuse(request, session, view) {
        return refusal;
    }
    if !request.is("SENTINEL") {
        let service = Reply::Array(vec![Reply::text(&view.service)]);
        return if request.is("ROLE") {
            Reply::Array(vec![Reply::text("sentinel"), service])
        } else {
            Reply::Usual
        };
    }
    match behaviour {
        Behaviour::Answer => about_master(request, view),
        Behaviour::Silent => Reply::Silence,
        Behaviour::Unknown => about_master(
            request,
            &View {
                service: String::new(),
                ..view.clone()
            },
        ),
        Behaviour::Late(delay) => Reply::After(*delay, Box::new(about_master(request, view))),
        Behaviour::Always(reply) => reply.clone(),
    }
}

/// What a Sentinel with a password says to somebody who has not shown it.
fn refuse(request: &Request, session: &Session, view: &View) -> Option<Reply> {
    let password = view.password.as_ref()?;
    let words = request.words();
    let shown = if request.is("AUTH") {
        words.last()
    } else if request.is("HELLO") {
        let login = words
            .iter()
            .position(|word| word.eq_ignore_ascii_case("AUTH"));
        login.and_then(|index| words.get(index + 2))
    } else {
        None
    };
    match shown {
        Some(shown) if shown == password => session.set_authenticated(),
        Some(_) => {
            return Some(Reply::error(
                "WRONGPASS invalid username-password pair or user is disabled.",
            ));
        }
        None => {}
    }
    let refused = !session.is_authenticated();
    refused.then(|| Reply::error("NOAUTH Authentication required."))
}

fn about_master(request: &Request, view: &View) -> Reply {
    let known = request.word(2) == view.service && !view.service.is_empty();
    let stranger = || Reply::error("ERR No such master with that name");
    match request.word(1).to_ascii_uppercase().as_str() {
        "GET-MASTER-ADDR-BY-NAME" if known => {
            Reply::texts([view.address.0.clone(), view.address.1.to_string()])
        }
        "GET-MASTER-ADDR-BY-NAME" => Reply::Nil,
        "MASTER" if known => master(view),
        "MASTERS" if view.service.is_empty() => Reply::Array(Vec::new()),
        "MASTERS" => Reply::Array(vec![master(view)]),
        "SENTINELS" if known => Reply::Array(view.peers.iter().map(peer).collect()),
        "REPLICAS" | "SLAVES" if known => Reply::Array(Vec::new()),
        "CKQUORUM" if known => Reply::Status("OK 3 usable Sentinels.".to_owned()),
        "MASTER" | "SENTINELS" | "REPLICAS" | "SLAVES" | "CKQUORUM" => stranger(),
        "IS-MASTER-DOWN-BY-ADDR" => {
            Reply::Array(vec![Reply::Integer(0), Reply::text("*"), Reply::Integer(0)])
        }
        "MYID" => Reply::text(&view.id),
        _ => Reply::error("ERR Unknown sentinel subcommand"),
    }
}

fn master(view: &View) -> Reply {
    let (host, port) = view.listed_address.as_ref().unwrap_or(&view.address);
    fields([
        ("name", view.service.clone()),
        ("ip", host.clone()),
        ("port", port.to_string()),
        ("runid", "1".repeat(40)),
        ("flags", view.flags.clone()),
        ("link-pending-commands", "0".to_owned()),
        ("link-refcount", "1".to_owned()),
        ("last-ok-ping-reply", "10".to_owned()),
        ("down-after-milliseconds", "500".to_owned()),
        ("role-reported", "master".to_owned()),
        ("config-epoch", view.epoch.to_string()),
        ("num-slaves", "2".to_owned()),
        ("num-other-sentinels", view.peers.len().to_string()),
        ("quorum", view.quorum.to_string()),
        ("failover-timeout", "1000".to_owned()),
        ("parallel-syncs", "1".to_owned()),
    ])
}

fn peer((host, port): &(String, u16)) -> Reply {
    fields([
        ("name", format!("{port:040}")),
        ("ip", host.clone()),
        ("port", port.to_string()),
        ("runid", format!("{port:040}")),
        ("flags", "sentinel".to_owned()),
        ("voted-leader-epoch", "0".to_owned()),
    ])
}

fn fields<const COUNT: usize>(entries: [(&str, String); COUNT]) -> Reply {
    Reply::Map(
        entries
            .into_iter()
            .map(|(name, value)| (Reply::text(name), Reply::text(value)))
            .collect(),
    )
}
