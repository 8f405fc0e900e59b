//! What a gatekeeper does with each answer, over a server that says what it is told to.

mod attending;

use std::sync::Mutex;

use leasehold_config::AddressMap;

use super::*;
use crate::master::confirm::{Confirmer, Subject};
use crate::master::verify::Verified;
use crate::protocol::keys::GateKeys;
use crate::sentinel::Named;
use crate::transport::fake_server::{FakeServer, bulk, settings};

const LONGEST: Duration = Duration::from_secs(30);
const SKEW: Duration = Duration::from_millis(500);

/// What the server answers, the last of several again and again; and what it was sent.
#[derive(Default)]
struct Said {
    claims: Vec<&'static str>,
    openings: Vec<&'static str>,
    /// Replicas that confirm.
    replicas: usize,
    /// As many once the opening was sent.
    replicas_at_opening: Option<usize>,
    /// As the record of the gate has it.
    data_nodes: usize,
    sent_claims: Vec<Vec<String>>,
    sent_openings: Vec<Vec<String>>,
}

struct Case {
    said: Arc<Mutex<Said>>,
    _server: FakeServer,
    link: Arc<Link>,
    gatekeeper: Arc<Gatekeeper>,
}

/// How strict mode's link differs from one to a fixed address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Confirmed,
    Fixed,
}

/// The server's clock.
fn now_us() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.expect("a time after 1970").as_micros()).expect("a time before 292277")
}

fn answer(said: &mut Said, words: &[String]) -> String {
    let nth = |answers: &[&'static str], at: usize| {
        let at = at.min(answers.len().saturating_sub(1));
        answers
            .get(at)
            .copied()
            .unwrap_or("-ERR unexpected\r\n")
            .to_owned()
    };
    match (words[0].as_str(), words.len()) {
        ("INFO", _) if words[1] == "stats" => bulk("sync_full:3\r\n"),
        ("INFO", _) => bulk("role:master\r\nmaster_replid2:last\r\n"),
        ("TIME", _) => {
            let (seconds, rest) = (now_us() / 1_000_000, now_us() % 1_000_000);
            format!(
                "*2\r\n{}{}",
                bulk(&seconds.to_string()),
                bulk(&rest.to_string())
            )
        }
        ("WAIT", _) => {
            let opening = said.replicas_at_opening;
            let opening = opening.filter(|_| !said.sent_openings.is_empty());
            format!(":{}\r\n", opening.unwrap_or(said.replicas))
        }
        // The look behind a confirmation.
        ("EVALSHA", 5) => format!(
            "*13\r\n{life}:3\r\n{life}:-1\r\n:30000\r\n:3\r\n:{}\r\n:1\r\n:0\r\n:1700000000000000\r\n:7\r\n\
             :0\r\n:0\r\n",
            said.data_nodes,
            life = bulk("life")
        ),
        ("EVALSHA", _) if words[2] == "3" => {
            said.sent_claims.push(words[6..].to_vec());
            nth(&said.claims, said.sent_claims.len() - 1)
        }
        ("EVALSHA", _) => {
            said.sent_openings.push(words[4..].to_vec());
            nth(&said.openings, said.sent_openings.len() - 1)
        }
        _ => "-ERR unexpected\r\n".to_owned(),
    }
}

impl Case {
    async fn new(mode: Mode, data_nodes: usize, said: Said) -> Self {
        let said = Said { data_nodes, ..said };
        let said = Arc::new(Mutex::new(said));
        let answers = said.clone();
        let server = FakeServer::start(move |words| {
            answer(&mut answers.lock().expect("the answers"), words)
        })
        .await;
        let subject = Subject {
            replication_id: Arc::from("life"),
            gate_key: Arc::from("record"),
        };
        let wait = Duration::from_secs(2);
        let confirmer = match mode {
            Mode::Confirmed => Some(Confirmer::new(server.connect().await, wait, subject, 0)),
            Mode::Fixed => None,
        };
        let gate = GateKeys {
            record: "record".into(),
            renewed: "renewed".into(),
            counter: "counter".into(),
        };
        let named = Named {
            endpoint: server.node.clone(),
            epoch: 1,
            data_nodes,
            down_after: None,
        };
        let verified = Verified::master(server.connect().await, confirmer, "life");
        let link = Link::new(verified, &named, 1, Some(Arc::new(gate)));
        let gatekeeper = Gatekeeper::new(GateSettings {
            longest: LONGEST,
            max_clock_skew: SKEW,
            owner: "tester".to_owned(),
            replicas: Replicas {
                settings: settings(),
                address_map: AddressMap::default(),
            },
        });
        Self {
            said,
            _server: server,
            link: Arc::new(link),
            gatekeeper,
        }
    }

    async fn open(&self) -> Gate {
        self.gatekeeper.open(&self.link).await.expect("an answer")
    }

    fn pending_because(&self) -> String {
        match self.gatekeeper.state() {
            GateState::Pending { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    fn openings(&self) -> Vec<Vec<String>> {
        self.said.lock().expect("the answers").sent_openings.clone()
    }

    fn claims(&self) -> Vec<Vec<String>> {
        self.said.lock().expect("the answers").sent_claims.clone()
    }
}

fn claims(claims: &[&'static str]) -> Said {
    Said {
        claims: claims.to_vec(),
        replicas: 2,
        ..Said::default()
    }
}

fn opening(pauses_for: &'static str, openings: &[&'static str]) -> Said {
    Said {
        openings: openings.to_vec(),
        ..claims(&[pauses_for])
    }
}

const OPEN: &str = "*4\r\n:1\r\n:0\r\n:30000\r\n:7\r\n";
const CLOSED: &str = "*4\r\n:1\r\n:700\r\n:30000\r\n:7\r\n";
const OTHER_LIFE: &str = "*1\r\n:-3\r\n";
const OLDER_EPOCH: &str = "*2\r\n:-6\r\n:9\r\n";
const SYNCS_CHANGED: &str = "*1\r\n:-7\r\n";
/// Data nodes, claim, why it pauses (1: it may open at once), longest lease.
const MAY_OPEN: &str = "*5\r\n:0\r\n:3\r\n:8\r\n:1\r\n:30000\r\n";
const MAY_OPEN_ALONE: &str = "*5\r\n:0\r\n:1\r\n:8\r\n:1\r\n:30000\r\n";
const OF_FIVE: &str = "*5\r\n:0\r\n:5\r\n:8\r\n:1\r\n:30000\r\n";
const PAUSES: &str = "*5\r\n:0\r\n:3\r\n:8\r\n:5\r\n:30000\r\n";
const OPENS: &str = "*3\r\n:1\r\n:0\r\n:30000\r\n";
const OPENS_LATER: &str = "*3\r\n:1\r\n:900\r\n:30000\r\n";
const OTHER_CLAIM: &str = "*1\r\n:-2\r\n";
const NOT_AT_ONCE: &str = "*2\r\n:-8\r\n:12\r\n";

const AT_ONCE: Gate = Gate::OpenIn(Duration::ZERO);

#[tokio::test]
async fn an_open_gate_is_remembered_with_its_claim_and_its_longest_lease() {
    let case = Case::new(Mode::Confirmed, 3, claims(&[OPEN])).await;
    assert_eq!(case.open().await, AT_ONCE);
    assert_eq!(case.gatekeeper.state(), GateState::Open);
    assert_eq!(case.link.claim_for_commands(LONGEST), Some(7));
    assert_eq!(case.link.claim_for_commands(LONGEST + SKEW), None);
    let claim = &case.claims()[0];
    assert_eq!(claim[..], ["life", "30000", "3", "1", "3", "tester"]);
}

#[tokio::test]
async fn a_gate_that_another_client_closed_is_told_and_not_remembered_as_open() {
    let case = Case::new(Mode::Confirmed, 3, claims(&[CLOSED])).await;
    let before = Instant::now();
    assert_eq!(case.open().await, Gate::OpenIn(Duration::from_millis(700)));
    assert_eq!(case.link.claim_for_commands(Duration::from_secs(1)), None);
    let GateState::Closed { until, reason } = case.gatekeeper.state() else {
        panic!("{:?}", case.gatekeeper.state())
    };
    assert_eq!(reason, "another client has claimed it");
    assert!(until >= before + Duration::from_millis(700));
    let closed = case.gatekeeper.state();
    case.open().await;
    assert_eq!(case.gatekeeper.state(), closed, "it is told once");
}

#[tokio::test]
async fn another_incarnation_is_told() {
    let case = Case::new(Mode::Confirmed, 3, claims(&[OTHER_LIFE])).await;
    assert_eq!(case.open().await, Gate::OtherIncarnation);
    let case = Case::new(Mode::Confirmed, 3, opening(MAY_OPEN, &[OTHER_LIFE])).await;
    assert_eq!(case.open().await, Gate::OtherIncarnation);
}

#[tokio::test]
async fn a_record_of_a_later_epoch_keeps_the_gate_pending() {
    let case = Case::new(Mode::Confirmed, 3, claims(&[OLDER_EPOCH])).await;
    assert_eq!(case.open().await, Gate::Unconfirmed);
    let reason = case.pending_because();
    assert!(
        reason.contains("epoch 9") && reason.contains("at 1"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_claim_is_repeated_while_replicas_arrive_but_not_for_ever() {
    let case = Case::new(
        Mode::Confirmed,
        3,
        claims(&[SYNCS_CHANGED, SYNCS_CHANGED, OPEN]),
    )
    .await;
    assert_eq!(case.open().await, AT_ONCE);
    assert_eq!(case.claims().len(), 3);
    let case = Case::new(Mode::Confirmed, 3, claims(&[SYNCS_CHANGED])).await;
    assert_eq!(case.open().await, Gate::Unconfirmed);
    assert_eq!(case.claims().len(), ROUNDS);
}

#[tokio::test]
async fn a_claim_on_too_few_data_nodes_opens_nothing() {
    // Two of three have it, and the record knows of five.
    let said = Said {
        replicas: 1,
        ..claims(&[OF_FIVE])
    };
    let case = Case::new(Mode::Confirmed, 3, said).await;
    assert_eq!(case.open().await, Gate::Unconfirmed);
    assert_eq!(
        case.pending_because(),
        "2 of 5 data nodes have the claim of this master"
    );
    assert!(case.openings().is_empty());
    assert_eq!(case.link.data_nodes(), 5);
    let said = Said {
        replicas: 0,
        ..claims(&[MAY_OPEN])
    };
    let case = Case::new(Mode::Confirmed, 3, said).await;
    assert_eq!(case.open().await, Gate::Unconfirmed);
    assert!(case.openings().is_empty());
}

#[tokio::test]
async fn a_claim_that_has_to_pause_is_opened_with_a_pause() {
    let case = Case::new(Mode::Confirmed, 3, opening(PAUSES, &[OPENS_LATER])).await;
    assert_eq!(case.open().await, Gate::OpenIn(Duration::from_millis(900)));
    let opening = &case.openings()[0];
    assert_eq!(opening[..4], ["life", "8", "pause", "0"]);
    assert_eq!(opening[4], "the gate of the last master was not open");
    let GateState::Closed { reason, .. } = case.gatekeeper.state() else {
        panic!("{:?}", case.gatekeeper.state())
    };
    assert_eq!(reason, "the gate of the last master was not open");
}

#[tokio::test]
async fn replicas_that_cannot_show_everything_make_it_pause() {
    let case = Case::new(Mode::Confirmed, 3, opening(MAY_OPEN, &[OPENS_LATER])).await;
    assert_eq!(case.open().await, Gate::OpenIn(Duration::from_millis(900)));
    let opening = &case.openings()[0];
    assert_eq!(opening[2], "pause");
    assert!(
        opening[4].contains("no other replica follows the new master"),
        "{opening:?}"
    );
}

/// A master that is alone knows everything that was confirmed.
async fn at_once(last: Option<(&str, Estimate)>) -> Vec<String> {
    let case = Case::new(Mode::Confirmed, 1, opening(MAY_OPEN_ALONE, &[OPENS])).await;
    if let Some((incarnation, clock)) = last {
        case.gatekeeper.last.remember(incarnation.into(), clock);
    }
    assert_eq!(case.open().await, AT_ONCE);
    assert_eq!(case.link.claim_for_commands(LONGEST), Some(8));
    case.openings().remove(0)
}

#[tokio::test]
async fn what_may_open_at_once_holds_grants_back_by_the_clocks_difference() {
    // Nothing is known of the last master's clock, or of another's only.
    let last = |ahead_us: i64| Estimate::new(now_us() + ahead_us, Clock::System.now());
    let unknown = at_once(None).await;
    assert_eq!(unknown[2..4], ["fast", "501"]);
    assert_eq!(at_once(Some(("other", last(0)))).await[3], "501");
    // The new one is two seconds ahead of the last, and as long as the reading took; or far behind it.
    let held = at_once(Some(("last", last(-2_000_000)))).await;
    let held: u64 = held[3].parse().expect("ms");
    assert!((2_000..20_000).contains(&held), "{held} ms");
    let behind = at_once(Some(("last", last(1_000_000_000)))).await;
    let held: u64 = behind[3].parse().expect("ms");
    assert!(held <= 100, "{held} ms");
}

#[tokio::test]
async fn a_server_that_refuses_to_open_at_once_is_asked_to_pause() {
    let said = opening(MAY_OPEN_ALONE, &[NOT_AT_ONCE, OPENS_LATER]);
    let case = Case::new(Mode::Confirmed, 1, said).await;
    assert_eq!(case.open().await, Gate::OpenIn(Duration::from_millis(900)));
    let openings = case.openings();
    assert_eq!(openings[0][2], "fast");
    assert_eq!(openings[1][2..4], ["pause", "0"]);
    assert_eq!(openings[1][4], "the master is up for 12s only");
}

#[tokio::test]
async fn an_opening_that_another_claim_overtook_opens_nothing() {
    let case = Case::new(Mode::Confirmed, 3, opening(PAUSES, &[OTHER_CLAIM])).await;
    assert_eq!(case.open().await, Gate::Unconfirmed);
    assert_eq!(case.pending_because(), "another client claims the gate");
    assert_eq!(case.link.claim_for_commands(LONGEST), None);
}

#[tokio::test]
async fn a_fixed_address_is_claimed_without_replicas() {
    let case = Case::new(Mode::Fixed, 1, opening(MAY_OPEN, &[OPENS_LATER])).await;
    assert_eq!(case.open().await, Gate::OpenIn(Duration::from_millis(900)));
    assert_eq!(case.claims()[0][4], "");
    assert!(case.link.server_clock().is_some(), "the clock was read");
    assert_eq!(case.openings()[0][2..4], ["fixed", "0"]);
}

#[tokio::test]
async fn an_opening_on_too_few_data_nodes_opens_nothing() {
    let said = Said {
        replicas_at_opening: Some(0),
        ..opening(PAUSES, &[OPENS])
    };
    let case = Case::new(Mode::Confirmed, 3, said).await;
    assert_eq!(case.open().await, Gate::Unconfirmed);
    assert_eq!(
        case.pending_because(),
        "the opening is on too few data nodes"
    );
    assert_eq!(case.link.claim_for_commands(LONGEST), None);
}

#[tokio::test]
async fn where_the_sentinels_are_silent_nothing_is_claimed() {
    let mut case = Case::new(Mode::Confirmed, 3, claims(&[OPEN])).await;
    Arc::get_mut(&mut case.link).expect("one link").down_after = Some(Duration::from_secs(1));
    assert_eq!(case.open().await, Gate::Unconfirmed);
    assert_eq!(
        case.pending_because(),
        "the Sentinels do not name this master"
    );
    assert!(case.claims().is_empty());
}
