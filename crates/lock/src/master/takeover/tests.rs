//! A take-over without a pause: each condition, over servers that say what they are told to.

use std::time::Duration;

use leasehold_config::AddressMap;

use super::{Replicas, Wanted, reason};
use crate::master::link::Link;
use crate::master::verify::Verified;
use crate::sentinel::Named;
use crate::transport::fake_server::{FakeServer, bulk, settings};
use crate::unavailable::{Cause, Unavailable};

const LONGEST: Duration = Duration::from_secs(30);
const CLAIM: u64 = 7;
const NEW: &str = "new";
const LAST: &str = "last";

/// What a replica says of itself.
#[derive(Clone)]
struct Replica {
    role: &'static str,
    replid: &'static str,
    replid2: &'static str,
    incarnation: &'static str,
    claim: &'static str,
    uptime: i64,
    run_id: &'static str,
}

const GOOD: Replica = Replica {
    role: "slave",
    replid: NEW,
    replid2: LAST,
    incarnation: NEW,
    claim: "7",
    uptime: 31,
    run_id: "one",
};

impl Replica {
    async fn start(self) -> FakeServer {
        FakeServer::start(move |words| match (words[0].as_str(), words[1].as_str()) {
            ("HMGET", "gate") => {
                format!("*2\r\n{}{}", bulk(self.incarnation), bulk(self.claim))
            }
            ("INFO", "replication") => bulk(&format!(
                "role:{}\r\nmaster_replid:{}\r\nmaster_replid2:{}\r\n",
                self.role, self.replid, self.replid2
            )),
            ("INFO", "server") => bulk(&format!(
                "run_id:{}\r\nuptime_in_seconds:{}\r\n",
                self.run_id, self.uptime
            )),
            _ => "-ERR unexpected\r\n".to_owned(),
        })
        .await
    }
}

/// What comes of a take-over among this number of data nodes, of which these follow the new master.
async fn taken_over(data_nodes: usize, replicas: &[Replica]) -> Result<String, String> {
    let mut servers = Vec::new();
    let mut listed = format!("role:master\r\nmaster_replid2:{LAST}\r\n");
    for (number, replica) in replicas.iter().enumerate() {
        let server = replica.clone().start().await;
        let (host, port) = (server.node.host(), server.node.port());
        listed += &format!("slave{number}:ip={host},port={port},state=online,offset=1,lag=0\r\n");
        servers.push(server);
    }
    let master = FakeServer::start(move |_| bulk(&listed)).await;
    let named = Named {
        endpoint: master.node.clone(),
        epoch: 1,
        data_nodes,
        down_after: None,
    };
    let verified = Verified::master(master.connect().await, None, NEW);
    let link = Link::new(verified, &named, 1, None);
    let wanted = Wanted {
        link: &link,
        gate_key: "gate",
        claim: CLAIM,
        longest: LONGEST,
    };
    let replicas = Replicas {
        settings: settings(),
        address_map: AddressMap::default(),
    };
    replicas.have_everything(&wanted).await
}

fn named(run_id: &'static str) -> Replica {
    Replica { run_id, ..GOOD }
}

#[tokio::test]
async fn a_majority_with_the_last_history_is_enough() {
    assert_eq!(taken_over(3, &[GOOD]).await.as_deref(), Ok(LAST));
    assert_eq!(
        taken_over(5, &[named("a"), named("b")]).await.as_deref(),
        Ok(LAST)
    );
    assert_eq!(taken_over(1, &[]).await.as_deref(), Ok(LAST));
}

#[tokio::test]
async fn less_than_a_majority_is_not() {
    let refused = taken_over(3, &[]).await.expect_err("a pause");
    assert_eq!(
        refused,
        "1 of 3 data nodes are known to have everything, 2 are needed: no other replica follows the new master"
    );
    taken_over(2, &[]).await.expect_err("one of two");
    taken_over(4, &[GOOD]).await.expect_err("two of four");
    let refused = taken_over(5, &[GOOD]).await.expect_err("two of five");
    assert!(refused.starts_with("2 of 5 data nodes"), "{refused}");
}

#[tokio::test]
async fn a_replica_that_is_listed_twice_counts_once() {
    taken_over(5, &[GOOD, GOOD]).await.expect_err("two of five");
}

#[tokio::test]
async fn one_replica_that_shows_nothing_does_not_count_beside_another() {
    let other = Replica {
        claim: "6",
        run_id: "two",
        ..GOOD
    };
    assert_eq!(
        taken_over(3, &[other.clone(), GOOD]).await.as_deref(),
        Ok(LAST)
    );
    let refused = taken_over(5, &[other, GOOD]).await.expect_err("a pause");
    assert!(refused.contains("2 of 5 data nodes"), "{refused}");
    assert!(
        refused.contains("it does not have the claim yet"),
        "{refused}"
    );
}

#[tokio::test]
async fn whoever_may_lack_something_does_not_count() {
    let follows_nobody = "it does not follow the new master";
    let without_claim = "it does not have the claim yet";
    let bad = [
        (
            Replica {
                role: "master",
                ..GOOD
            },
            follows_nobody,
        ),
        (
            Replica {
                replid: "other",
                ..GOOD
            },
            follows_nobody,
        ),
        (
            Replica {
                incarnation: LAST,
                ..GOOD
            },
            without_claim,
        ),
        (Replica { claim: "8", ..GOOD }, without_claim),
        (
            Replica {
                replid2: "other",
                ..GOOD
            },
            "it was synchronised fully",
        ),
        (
            Replica { uptime: 30, ..GOOD },
            "it is up for 29s, less than the longest lease of 30s",
        ),
        (
            Replica {
                uptime: -57,
                ..GOOD
            },
            "it is up for 0ns, less than the longest lease of 30s",
        ),
    ];
    for (replica, because) in bad {
        let refused = taken_over(3, &[replica]).await.expect_err(because);
        assert!(refused.contains(because), "{refused}");
    }
}

#[test]
fn a_replica_that_cannot_be_asked_is_told_of_with_the_cause() {
    let refused = Unavailable::new(Cause::Refused);
    assert_eq!(reason(&refused), refused.cause().to_string());
}
