//! What a gatekeeper does by itself.

use super::*;

impl Case {
    /// Has the gatekeeper attend to the link by itself until the gate is as wanted, or its time is over.
    async fn attended(&self, is_wanted: impl Fn(&GateState) -> bool) {
        let (topology, followed) = watch::channel(State::Ready(self.link.clone()));
        let attending = tokio::spawn(self.gatekeeper.clone().attend(followed));
        let mut states = self.gatekeeper.state.subscribe();
        let limit = Duration::from_secs(10);
        let reached = tokio::time::timeout(limit, states.wait_for(is_wanted)).await;
        assert!(reached.is_ok(), "it stays {:?}", self.gatekeeper.state());
        drop(reached);
        drop(topology);
        attending.abort();
    }
}

#[tokio::test]
async fn a_closed_gate_is_opened_by_itself_once_its_time_has_come() {
    const SOON: &str = "*4\r\n:1\r\n:60\r\n:30000\r\n:7\r\n";
    let case = Case::new(Mode::Confirmed, 3, claims(&[SOON, OPEN])).await;
    let began = Instant::now();
    case.attended(|state| *state == GateState::Open).await;
    assert!(began.elapsed() >= Duration::from_millis(60));
    assert_eq!(case.link.claim_for_commands(LONGEST), Some(7));
}

#[tokio::test]
async fn a_pause_after_one_that_is_over_is_told() {
    const SOON: &str = "*4\r\n:1\r\n:20\r\n:30000\r\n:7\r\n";
    const LATER: &str = "*4\r\n:1\r\n:9000\r\n:30000\r\n:7\r\n";
    let case = Case::new(Mode::Confirmed, 3, claims(&[SOON, LATER])).await;
    assert_eq!(case.open().await, Gate::OpenIn(Duration::from_millis(20)));
    sleep(Duration::from_millis(30)).await;
    assert_eq!(case.open().await, Gate::OpenIn(Duration::from_secs(9)));
    let state = case.gatekeeper.state();
    let GateState::Closed { until, .. } = state else {
        panic!("{state:?}")
    };
    assert!(until > Instant::now() + Duration::from_secs(5));
}

#[tokio::test]
async fn an_open_gate_is_claimed_once() {
    let case = Case::new(Mode::Confirmed, 3, claims(&[OPEN])).await;
    let (_topology, followed) = watch::channel(State::Ready(case.link.clone()));
    let attending = tokio::spawn(case.gatekeeper.clone().attend(followed));
    let mut states = case.gatekeeper.state.subscribe();
    let opened = states.wait_for(|state| *state == GateState::Open);
    let opened = tokio::time::timeout(Duration::from_secs(10), opened).await;
    assert!(opened.is_ok(), "it stays {:?}", case.gatekeeper.state());
    drop(opened);
    // A hundred attempts would fit into this.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(case.claims().len(), 1);
    attending.abort();
}

#[tokio::test]
async fn a_claim_that_is_not_confirmed_yet_is_tried_again_by_itself() {
    let case = Case::new(
        Mode::Confirmed,
        3,
        claims(&[OLDER_EPOCH, "-ERR no\r\n", OPEN]),
    )
    .await;
    case.attended(|state| *state == GateState::Open).await;
    assert_eq!(case.claims().len(), 3);
}

#[tokio::test]
async fn the_link_to_another_incarnation_is_ended() {
    let case = Case::new(Mode::Confirmed, 3, claims(&[OTHER_LIFE])).await;
    let (_topology, followed) = watch::channel(State::Ready(case.link.clone()));
    let attending = tokio::spawn(case.gatekeeper.clone().attend(followed));
    let ended = case.link.close_signal().ended();
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert!(matches!(ended, Ok(Cause::NotMasterYet)), "{ended:?}");
    attending.abort();
}
