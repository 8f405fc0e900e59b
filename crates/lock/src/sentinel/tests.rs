//! Which masters are accepted of those that a majority names.

use futures_util::FutureExt;
use tokio::time::timeout;

use super::*;
use crate::transport::fake_server::{FakeServer, bulk, settings};

fn agreed(master: u16, epoch: u64) -> Agreement {
    Agreement {
        address: Endpoint::new("node", master),
        epoch,
        data_nodes: 3,
        down_after: Duration::from_secs(5),
    }
}

#[tokio::test]
async fn another_master_at_an_older_epoch_is_not_accepted() {
    let mut sentinels = Sentinels::start(&[], "mymaster", settings(), AddressMap::default());
    let mut accept = |master, epoch| match sentinels.accept(agreed(master, epoch)) {
        Ok(named) => Ok((named.endpoint.port(), named.epoch)),
        Err(unavailable) => Err(unavailable.cause().clone()),
    };
    assert_eq!(accept(7001, 5), Ok((7001, 5)));
    assert_eq!(accept(7002, 5), Ok((7002, 5)), "the epoch is not older");
    assert_eq!(accept(7003, 6), Ok((7003, 6)));
    let went_back = Cause::EpochWentBack {
        named: Endpoint::new("node", 7002),
        epoch: 5,
        before: 6,
    };
    assert_eq!(accept(7002, 5), Err(went_back));
    assert_eq!(accept(7003, 1), Ok((7003, 1)), "they count epochs anew");
    assert_eq!(accept(7002, 2), Ok((7002, 2)), "from where they are now");
}

#[tokio::test]
async fn an_accepted_address_is_mapped() {
    let map: AddressMap = "node:7001=127.0.0.1:1".parse().expect("a map");
    let mut sentinels = Sentinels::start(&[], "mymaster", settings(), map);
    let named = sentinels.accept(agreed(7001, 5)).expect("accepted");
    let expected = Named {
        endpoint: Endpoint::new("127.0.0.1", 1),
        epoch: 5,
        data_nodes: 3,
        down_after: Some(Duration::from_secs(5)),
    };
    assert_eq!(named, expected);
}

#[tokio::test]
async fn without_an_event_there_is_no_hint() {
    let sentinels = Sentinels::start(&[], "mymaster", settings(), AddressMap::default());
    assert!(sentinels.hint().now_or_never().is_none());
    sentinels.hints.notify_one();
    assert!(sentinels.hint().now_or_never().is_some());
    assert!(
        sentinels.hint().now_or_never().is_none(),
        "it was the same one"
    );
}

/// What a Sentinel answers to a subscription.
fn subscribed(words: &[String]) -> String {
    let channel = |name: &String| format!(">3\r\n{}{}:1\r\n", bulk("subscribe"), bulk(name));
    words[1..].iter().map(channel).collect()
}

#[tokio::test]
async fn sentinels_are_polled_where_one_refuses_the_subscription() {
    const REFUSED: &str = "-NOPERM this user has no permissions to run the 'subscribe' command\r\n";
    for is_refused in [false, true] {
        let sentinel = FakeServer::start(move |words| match words[0].as_str() {
            "SUBSCRIBE" if is_refused => REFUSED.to_owned(),
            "SUBSCRIBE" => subscribed(words),
            _ => "+PONG\r\n".to_owned(),
        });
        let sentinel = sentinel.await;
        let nodes = [sentinel.node.clone()];
        let sentinels = Sentinels::start(&nodes, "mymaster", settings(), AddressMap::default());
        let linked = timeout(Duration::from_secs(10), sentinels.hint()).await;
        assert!(linked.is_ok(), "the link is up");
        assert_eq!(sentinels.only_polls(), is_refused);
    }
}
