//! Which Sentinels are asked, by what they say of one another.

use std::time::Duration;

use super::*;
use crate::transport::fake_server::settings;

/// Where nobody listens: what is said is made up here.
fn at(port: u16) -> Endpoint {
    Endpoint::new("127.0.0.1", port)
}

fn members(configured: &[u16]) -> Members {
    let configured: Vec<Endpoint> = configured.iter().map(|port| at(*port)).collect();
    let (service, hints) = (Arc::from("mymaster"), Arc::default());
    Members::start(
        &configured,
        &service,
        settings(),
        AddressMap::default(),
        &hints,
    )
}

fn peer(id: &str, port: u16) -> Peer {
    Peer {
        id: id.to_owned(),
        endpoint: at(port),
        is_down: false,
    }
}

fn view(id: &str, epoch: u64, listed: &[Peer]) -> View {
    View {
        sentinel_id: Some(id.to_owned()),
        address: Endpoint::new("node", 7001),
        epoch,
        other_sentinels: 2,
        replicas: 2,
        down_after: Duration::from_secs(1),
        listed: Some(listed.to_vec()),
    }
}

/// What the members answer, in their order; `None` if one is silent.
fn say(members: &Members, views: &[Option<View>]) -> Vec<SentinelAnswer> {
    let asked = members.all().iter().zip(views).enumerate();
    asked
        .map(|(index, (member, view))| member.answer(index, view.clone().ok_or(Cause::Refused)))
        .collect()
}

fn ports(members: &Members) -> Vec<u16> {
    let all = members.all().iter();
    all.map(|member| member.target.endpoint.port()).collect()
}

fn confirmations(answers: &[SentinelAnswer]) -> Vec<Evidence> {
    answers.iter().map(|answer| answer.confirmation).collect()
}

#[tokio::test]
async fn those_that_configured_ones_list_are_asked_too() {
    let mut members = members(&[1, 2]);
    assert_eq!(ports(&members), [1, 2]);
    let down = Peer {
        is_down: true,
        ..peer("d", 4)
    };
    let first = view("a", 5, &[peer("b", 2), peer("c", 3), down]);
    let said = say(
        &members,
        &[Some(first.clone()), Some(view("b", 5, &[peer("a", 1)]))],
    );
    assert!(members.learn(&said));
    assert_eq!(
        ports(&members),
        [1, 2, 3],
        "`a` and `b` are known, `d` is down"
    );
    let again = say(&members, &[Some(first), None, None]);
    assert!(!members.learn(&again), "nothing is new");
    assert_eq!(ports(&members), [1, 2, 3]);
}

#[tokio::test]
async fn a_configured_one_under_another_address_is_not_asked_twice() {
    let mut members = members(&[1, 2]);
    let lists = [peer("b", 22)];
    let said = say(
        &members,
        &[Some(view("a", 5, &lists)), Some(view("b", 5, &[]))],
    );
    assert!(!members.learn(&said));
    assert_eq!(ports(&members), [1, 2]);
}

#[tokio::test]
async fn who_is_listed_no_more_is_asked_no_more() {
    let mut members = members(&[1]);
    let listing = |listed: &[Peer]| Some(view("a", 5, listed));
    let said = say(&members, &[listing(&[peer("b", 2), peer("c", 3)])]);
    assert!(members.learn(&said));
    assert_eq!(ports(&members), [1, 2, 3]);
    // The list of one that was found is not believed; one that moved is linked to anew.
    let found = Some(view("b", 5, &[peer("e", 5)]));
    let said = say(&members, &[listing(&[peer("b", 2), peer("c", 33)]), found]);
    assert!(members.learn(&said));
    assert_eq!(ports(&members), [1, 2, 33]);
    let said = say(&members, &[listing(&[peer("x", 2), peer("c", 33)])]);
    members.learn(&said);
    assert_eq!(
        ports(&members),
        [1, 33, 2],
        "another one is at that address"
    );
    // Where no configured one answers, nobody says who is gone.
    let said = say(&members, &[None]);
    assert!(!members.learn(&said));
    assert_eq!(ports(&members), [1, 33, 2]);
}

#[tokio::test]
async fn there_is_a_limit_to_how_many_are_asked() {
    let mut members = members(&[1]);
    let listed: Vec<Peer> = (2..30)
        .map(|port| peer(&format!("{port:02}"), port))
        .collect();
    let said = say(&members, &[Some(view("a", 5, &listed))]);
    assert!(members.learn(&said));
    assert_eq!(members.all().len(), MOST_LINKS);
}

#[tokio::test]
async fn a_found_one_is_proven_once_it_agrees_with_a_configured_one() {
    use Evidence::{Configured, Proven, Unproven};

    let mut members = members(&[1]);
    let first = |epoch| Some(view("a", epoch, &[peer("b", 2)]));
    let second = |epoch| Some(view("b", epoch, &[]));
    members.learn(&say(&members, &[first(5)]));
    let apart = say(&members, &[first(5), second(6)]);
    assert_eq!(confirmations(&apart), [Configured, Unproven]);
    members.learn(&apart);
    let together = say(&members, &[first(6), second(6)]);
    assert_eq!(confirmations(&together), [Configured, Unproven]);
    members.learn(&together);
    let apart = say(&members, &[first(6), second(7)]);
    assert_eq!(confirmations(&apart), [Configured, Proven]);
    members.learn(&apart);
    let still = say(&members, &[first(6), second(7)]);
    assert_eq!(
        confirmations(&still),
        [Configured, Proven],
        "once is enough"
    );
    // Its address may have been given to another.
    let other = say(&members, &[first(6), Some(view("z", 6, &[]))]);
    assert_eq!(confirmations(&other), [Configured, Unproven]);
    assert!(matches!(other[1].reply, Err(Cause::ForeignSentinel { .. })));
}

#[tokio::test]
async fn links_follow_the_configured_names() {
    let mut members = members(&[1, 2]);
    members.learn(&say(&members, &[Some(view("a", 5, &[peer("c", 3)]))]));
    members.follow_names();
    assert_eq!(ports(&members), [1, 2, 3], "as before");
    let hints = Arc::default();
    members.names = [1, 3].map(|port| Name::start(&at(port), &hints)).into();
    members.follow_names();
    assert_eq!(ports(&members), [1, 3]);
    let configured = |member: &SentinelMember| member.origin == Origin::Configured;
    assert!(members.all().iter().all(configured));
}
