//! Which masters are accepted of those that a majority names.

use super::*;
use crate::transport::fake_server::settings;

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
